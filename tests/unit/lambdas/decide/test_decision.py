"""`decide` in tables: each rule of DESIGN section 4, and what its absence would do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.decide.decision import start_delay
from lambdas.decide.situation import (
    AGENT_FIRST,
    EndAlert,
    Host,
    RaiseAlert,
    StartHost,
    StopBroken,
    StopIdle,
)
from slipway.contracts.table.alerts import AlertRow
from tests.unit.lambdas.decide.situations import (
    LIMITS,
    NOTICE,
    PAUSED,
    asleep,
    at_work,
    chosen,
    died,
    host,
    locked,
    run,
    started,
    want,
)
from tests.unit.lambdas.world import HOST, OTHER, START


class TestWaking:
    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            ("stopped", [HOST]),
            ("pending", []),
            ("running", []),
            ("stopping", []),
            ("terminated", []),
            ("missing", []),
        ],
    )
    def test_work_starts_a_stopped_host_and_no_other(self, state, expected):
        assert started(host(state), wants=(want(),)) == expected

    def test_no_work_starts_nothing(self):
        assert started(asleep()) == []

    def test_a_count_alone_wakes_one_host(self):
        # a starter whose invocations all failed leaves no want: the queue still tells
        assert started(asleep(), asleep(OTHER), queued=40) == [HOST]

    def test_a_count_wakes_nobody_while_a_host_is_awake(self):
        assert started(host(), asleep(OTHER), queued=40) == []

    def test_a_held_host_is_not_started(self):
        assert started(asleep(held=True), wants=(want(),)) == []

    def test_a_host_that_backs_off_is_not_started_before_its_time(self):
        assert started(asleep(next_start_at=START + 1), wants=(want(),)) == []
        assert started(asleep(next_start_at=START), wants=(want(),)) == [HOST]

    def test_a_paused_pipeline_wakes_nobody_nor_does_its_request_in_the_queue(self):
        assert started(asleep(), wants=(want(),), pipelines=PAUSED, queued=3) == []

    def test_a_pipeline_locked_elsewhere_wakes_nobody_until_the_lock_expires(self):
        cli = locked(holder="cli:ada")
        assert started(asleep(), wants=(want(),), locks=cli) == []
        expired = locked(holder="cli:ada", expires_at=START)
        assert started(asleep(), wants=(want(),), locks=expired) == [HOST]

    def test_the_lock_of_a_host_that_lost_its_power_keeps_nobody_asleep(self):
        # GIVEN a host that died while it worked: its want and its lock are left
        work = {"wants": (want(),), "locks": locked()}
        # THEN EC2's `stopped` event alone starts it again, the lock's expiry is not waited for
        assert started(host("stopped", state="busy"), **work) == [HOST]
        # while another one that is awake at the pipeline does keep it
        elsewhere = {**work, "locks": locked(holder=f"{OTHER}/boot-9")}
        assert (
            started(asleep(), host(host_id=OTHER, boot="boot-9", state="busy"), **elsewhere) == []
        )

    def test_an_orphaned_again_wakes_a_host(self):
        orphan = locked(holder="", expires_at=0.0, again="ada")
        assert started(asleep(), locks=orphan) == [HOST]

    def test_as_many_hosts_as_pipelines_with_work(self):
        both = (want("shop"), want("blog"))
        assert started(asleep(), asleep(OTHER), wants=both) == [HOST, OTHER]
        assert started(host(), asleep(OTHER), wants=both) == [OTHER]
        assert started(host(), host(host_id=OTHER), wants=both) == []

    def test_a_busy_host_is_not_free_for_another_pipeline(self):
        busy = at_work(run())
        assert started(busy, asleep(OTHER), wants=(want("blog"),)) == [OTHER]

    def test_a_second_push_while_its_pipeline_is_at_work_wakes_no_second_host(self):
        busy = at_work(run())
        assert started(busy, asleep(OTHER), wants=(want(),)) == []

    def test_a_host_about_to_be_stopped_does_not_count_as_awake(self):
        leaving = host(state="stopping", claim_expires=START + 60)
        assert started(leaving, asleep(OTHER), wants=(want(),)) == [OTHER]

    def test_spare_hosts_are_there_for_lack_of_capacity(self):
        (start,) = chosen(StartHost, asleep(), asleep(OTHER), wants=(want(),))
        assert [h.host_id for h in start.others] == [OTHER]

    def test_starts_are_an_hour_apart_after_three_silent_boots(self):
        assert [start_delay(n) for n in (1, 2, 3, 9)] == [0, 0, 3600, 3600]


class TestSleeping:
    def test_an_idle_host_without_work_is_stopped(self):
        assert [a.notice for a in chosen(StopIdle, host(), notice=NOTICE)] == [NOTICE]

    @pytest.mark.parametrize(
        ("why", "there", "values"),
        [
            ("of another boot", host(boot="boot-2"), {}),
            ("not heard in this boot", host(up=5), {}),
            ("busy", host(state="busy"), {}),
            ("claimed already", host(state="stopping", claim_expires=START + 9), {}),
            ("idle again since", host(idle_number=4), {}),
            ("held", host(held=True), {}),
            ("pending", host("pending"), {}),
            ("stopping", host("stopping"), {}),
            ("stopped", host("stopped"), {}),
            ("missing", host("missing"), {}),
            ("work", host(), {"wants": (want(),)}),
            ("work that it holds itself", host(), {"wants": (want(),), "locks": locked()}),
            ("a count", host(), {"queued": 1}),
        ],
    )
    def test_a_notice_stops_nothing_if_the_host_is(self, why, there, values):
        assert chosen(StopIdle, there, notice=NOTICE, **values) == []

    def test_work_for_another_host_keeps_nobody_awake(self):
        elsewhere = locked(holder=f"{OTHER}/boot-9")
        assert chosen(StopIdle, host(), notice=NOTICE, wants=(want(),), locks=elsewhere)

    def test_a_paused_pipeline_keeps_nobody_awake(self):
        paused = {"wants": (want(),), "pipelines": PAUSED, "queued": 2}
        assert chosen(StopIdle, host(), notice=NOTICE, **paused)

    def test_a_notice_of_a_foreign_host_stops_nothing(self):
        assert chosen(StopIdle, host(), notice=replace(NOTICE, host_id="i-0ffffffffffffffff")) == []

    def test_a_host_whose_notices_were_all_lost_is_stopped_after_three_periods(self):
        period = LIMITS.idle_period
        assert chosen(StopIdle, host(idle_since=START - 3 * period)) == []
        (stop,) = chosen(StopIdle, host(idle_since=START - 3 * period - 1))
        assert stop.notice == NOTICE
        assert chosen(StopIdle, host(idle_since=START - 9 * period), wants=(want(),)) == []


STILL = LIMITS.no_progress + AGENT_FIRST * LIMITS.heartbeat
"""Seconds without progress after which a host is stopped: its agent has ended the run by then."""


def claimed(still: float, **row: object) -> Host:
    """Claimed by somebody who then died, and at work all the while."""
    return at_work(run(still=still), state="stopping", **row)


class TestBrokenHosts:
    @pytest.mark.parametrize(
        ("there", "unchanged"),
        [
            (host(heartbeat_at=START - 601, up=900), "heartbeat_at"),
            (host(up=601, heartbeat_at=START - 9000), "heartbeat_at"),
            (at_work(run(still=STILL + 1)), "progress_at"),
            (host(state="stopping", claim_expires=0.0), "claim_expires"),
            (at_work(run(still=STILL + 9), run("blog", still=STILL + 1), slots=2), "progress_at"),
            (claimed(STILL + 1, claim_expires=START - 1), "progress_at"),
        ],
        ids=[
            "went silent",
            "never heard in this boot",
            "no progress",
            "stop did not take",
            "no progress of any run",
            "no progress under a claim that has lapsed",
        ],
    )
    def test_it_is_stopped(self, there, unchanged):
        assert [a.unchanged for a in chosen(StopBroken, there)] == [unchanged]

    @pytest.mark.parametrize(
        "there",
        [
            host(heartbeat_at=START - 600),
            host(up=600, heartbeat_at=START - 9000),
            at_work(run(still=STILL)),
            at_work(run(still=STILL + 1), run("blog"), slots=2),
            host(state="stopping", claim_expires=START + 1),
            host(state="stopping", claim_expires=START - 1),
            host(state="stopping", claim_expires=START - 1, progress_at=START - 9000),
            claimed(STILL, claim_expires=START - 1),
            claimed(STILL + 1, claim_expires=START + 1),
            host(heartbeat_at=START - 9000, held=True),
            host("stopped", heartbeat_at=START - 9000),
            host("pending", heartbeat_at=START - 9000),
        ],
    )
    def test_it_is_left_alone(self, there):
        assert chosen(StopBroken, there) == []


class TestAlerts:
    @pytest.mark.parametrize(
        ("kind", "trouble", "well"),
        [
            ("no_heartbeat", host(heartbeat_at=START - 601, up=900), host()),
            ("no_progress", at_work(run(still=STILL + 1)), at_work(run())),
            ("awake_long", host(up=14401), host()),
            ("start_failed", host("terminated"), host()),
            ("start_failed", host("missing"), host()),
            ("start_failed", died("Client.InternalError: Client error on launch"), host()),
            ("start_failed", died("Client.InstanceInitiatedShutdown: Shut down"), host()),
            ("start_failed", died(""), host()),
        ],
    )
    def test_trouble_is_raised_once_and_ended(self, kind, trouble, well):
        standing = AlertRow(kind=kind, subject=HOST, raised_at=START - 60)
        assert [a.kind for a in chosen(RaiseAlert, trouble)] == [kind]
        assert chosen(RaiseAlert, trouble, alerts=(standing,)) == []
        assert chosen(EndAlert, trouble, alerts=(standing,)) == []
        assert chosen(RaiseAlert, well) == []
        assert [a.alert for a in chosen(EndAlert, well, alerts=(standing,))] == [standing]

    def test_a_host_that_was_stopped_by_somebody_before_it_was_heard_is_no_alert(self):
        stopped = died("Client.UserInitiatedShutdown: User initiated shutdown")
        assert chosen(RaiseAlert, stopped) == []

    def test_that_a_host_is_pending_or_silent_does_not_end_its_failed_start(self):
        standing = AlertRow(kind="start_failed", subject=HOST, raised_at=START - 60)
        for waking in (host("pending", up=10, heartbeat_at=START - 900),
                       host("running", up=60, heartbeat_at=START - 900)):  # fmt: skip
            assert chosen(EndAlert, waking, alerts=(standing,)) == []

    def test_the_alert_of_a_standstill_names_each_run(self):
        still = at_work(run(still=4030), run("blog", "fetch", still=4029), slots=2)
        (alert,) = chosen(RaiseAlert, still)
        assert alert.why == "no progress for 1 h 7 min in stage build of shop, stage fetch of blog"

    def test_a_silent_held_host_is_alerted_and_not_stopped(self):
        silent = host(heartbeat_at=START - 9000, up=9000, held=True)
        assert chosen(RaiseAlert, silent)
        assert chosen(StopBroken, silent) == []

    def test_a_long_awake_host_is_not_stopped_for_that(self):
        busy = host(state="busy", up=20000)
        assert [a.kind for a in chosen(RaiseAlert, busy)] == ["awake_long"]
        assert chosen(StopBroken, busy) == []
