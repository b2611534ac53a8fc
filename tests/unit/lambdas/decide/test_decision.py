"""`decide` in tables: each rule of DESIGN section 4, and what its absence would do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.decide.decision import decide, start_delay
from lambdas.decide.situation import (
    Ask,
    EndAlert,
    Host,
    IdleNotice,
    NoteTip,
    RaiseAlert,
    Republish,
    Snapshot,
    StartHost,
    StopBroken,
    StopIdle,
    Tip,
)
from slipway.contracts.installation import Limits
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.table.locks import LockRow
from slipway.contracts.table.pipelines import NO_TIP, PipelineRow
from slipway.contracts.table.wants import Want
from tests.unit.lambdas.world import HOST, OTHER, START, request

LIMITS = Limits()
NOTICE = IdleNotice(host_id=HOST, boot="boot-1", idle_number=3)


def want(name: str = "shop", noted_at: float = START) -> Want:
    made = request(name=name)
    return Want(
        pipeline=name,
        request_id=made.request_id,
        pushed_at=made.pushed_at,
        noted_at=noted_at,
        body=made.to_json(),
    )


def host(ec2: str = "running", host_id: str = HOST, *, up: float = 600, **row: object) -> Host:
    """A host that arrived after its launch `up` seconds ago and was heard just now, idle(3)."""
    values = {
        "boot": "boot-1",
        "state": "idle",
        "idle_number": 3,
        "heartbeat_at": START - 10,
        "progress_at": START - 10,
        "idle_since": START - 20,
    }
    made = HostRow(host_id=host_id, **{**values, **row})  # type: ignore[arg-type]
    return Host(row=made, ec2_state=ec2, launched_at=START - up)


def asleep(host_id: str = HOST, **row: object) -> Host:
    """A stopped host that was last heard before its last launch ended."""
    return host("stopped", host_id, up=9000, heartbeat_at=START - 8000, **row)


def died(reason: str) -> Host:
    """A host that was launched a minute ago and is stopped, last heard in its boot before."""
    return replace(host("stopped", up=60, heartbeat_at=START - 900), reason=reason)


def snapshot(*hosts: Host, **values: object) -> Snapshot:
    return Snapshot(now=START, limits=LIMITS, hosts=hosts, **values)  # type: ignore[arg-type]


def chosen(kind: type, *hosts: Host, **values: object) -> list:
    return [a for a in decide(snapshot(*hosts, **values)) if isinstance(a, kind)]


def started(*hosts: Host, **values: object) -> list[str]:
    return [a.host.host_id for a in chosen(StartHost, *hosts, **values)]


def locked(name: str = "shop", holder: str = f"{HOST}/boot-1", **values: object) -> dict:
    row = LockRow(pipeline=name, holder=holder, fence=1, expires_at=START + 60)
    return {name: replace(row, **values)}  # type: ignore[arg-type]


PAUSED = {"shop": PipelineRow(pipeline="shop", paused=True)}


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
        busy = host(state="busy", pipeline="shop")
        assert started(busy, asleep(OTHER), wants=(want("blog"),)) == [OTHER]

    def test_a_second_push_while_its_pipeline_is_at_work_wakes_no_second_host(self):
        busy = host(state="busy", pipeline="shop")
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


AT_WORK = {"state": "stopping", "pipeline": "shop"}
"""Claimed by somebody who then died, and at work all the while."""


class TestBrokenHosts:
    @pytest.mark.parametrize(
        ("there", "unchanged"),
        [
            (host(heartbeat_at=START - 601, up=900), "heartbeat_at"),
            (host(up=601, heartbeat_at=START - 9000), "heartbeat_at"),
            (host(state="busy", progress_at=START - 3901), "progress_at"),
            (host(state="stopping", claim_expires=0.0), "claim_expires"),
            (
                host(**AT_WORK, claim_expires=START - 1, progress_at=START - 3901),
                "progress_at",
            ),
        ],
        ids=[
            "went silent",
            "never heard in this boot",
            "no progress",
            "stop did not take",
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
            host(state="busy", progress_at=START - 3900),
            host(state="stopping", claim_expires=START + 1),
            host(state="stopping", claim_expires=START - 1),
            host(**AT_WORK, claim_expires=START - 1, progress_at=START - 3900),
            host(**AT_WORK, claim_expires=START + 1, progress_at=START - 3901),
            host(heartbeat_at=START - 9000, held=True),
            host("stopped", heartbeat_at=START - 9000),
            host("pending", heartbeat_at=START - 9000),
        ],
    )
    def test_it_is_left_alone(self, there):
        assert chosen(StopBroken, there) == []


class TestRequestsThatGotLost:
    def test_a_want_without_progress_is_published_again(self):
        old = want(noted_at=START - 901)
        assert [a.want for a in chosen(Republish, asleep(), wants=(old,))] == [old]
        assert chosen(Republish, asleep(), wants=(want(noted_at=START - 900),)) == []

    def test_a_count_delays_it_and_does_not_prevent_it(self):
        old, older = want(noted_at=START - 901), want(noted_at=START - 3601)
        assert chosen(Republish, asleep(), wants=(old,), held_messages=1) == []
        assert chosen(Republish, asleep(), wants=(older,), held_messages=1)

    def test_not_while_it_is_worked_on_or_paused(self):
        old = (want(noted_at=START - 9000),)
        assert chosen(Republish, host(), wants=old, locks=locked()) == []
        assert chosen(Republish, host(state="busy", pipeline="shop"), wants=old) == []
        assert chosen(Republish, host(), wants=old, pipelines=PAUSED) == []

    def test_an_orphaned_again_becomes_a_request_with_one_id(self):
        orphan = locked(expires_at=START, again="1" * 32, again_by="ada")
        first, second = (chosen(Ask, asleep(), locks=orphan)[0] for _ in range(2))
        assert first.request.request_id == second.request.request_id
        assert (first.orphan, first.request.pushed_by) == (orphan["shop"], "ada")

    def test_a_held_lock_keeps_its_again(self):
        assert chosen(Ask, asleep(), locks=locked(again="ada")) == []


class TestDrift:
    A, B = "a" * 40, "b" * 40

    def tips(self, tip: str, **row: object) -> list:
        rows = {"shop": PipelineRow(pipeline="shop", **row)}  # type: ignore[arg-type]
        answer = {"shop": Tip(commit_id=tip)}
        return [
            a
            for a in decide(snapshot(asleep(), pipelines=rows, tips=answer))
            if isinstance(a, Ask | NoteTip)
        ]

    def test_the_first_sight_is_the_baseline(self):
        (note,) = self.tips(self.A)
        assert note.values == {"checked_at": START, "baseline_tip": self.A}

    @pytest.mark.parametrize("row", [{"handled_tip": "a" * 40}, {"baseline_tip": "a" * 40}])
    def test_a_known_tip_is_not_ahead(self, row):
        (note,) = self.tips(self.A, ahead_tip=self.B, ahead_since=START - 9000, **row)
        assert note.values["ahead_tip"] is None

    def test_a_new_tip_is_remembered_first(self):
        (note,) = self.tips(self.B, handled_tip=self.A)
        assert (note.values["ahead_tip"], note.values["ahead_since"]) == (self.B, START)

    def test_a_tip_ahead_for_five_minutes_is_asked_for_once(self):
        ahead = {"handled_tip": self.A, "ahead_tip": self.B}
        assert self.tips(self.B, **ahead, ahead_since=START - 299) == []
        (ask,) = self.tips(self.B, **ahead, ahead_since=START - 300)
        (same,) = self.tips(self.B, **ahead, ahead_since=START - 300)
        assert (ask.request.reason, ask.request.commit_id) == ("drift", self.B)
        assert ask.request.request_id == same.request.request_id

    def test_a_tip_that_stays_ahead_is_asked_for_anew(self):
        # A request that another host's run has joined is settled, and that run may have failed.
        row = PipelineRow(
            pipeline="shop", handled_tip=self.A, ahead_tip=self.B, ahead_since=START - 300
        )
        seen = snapshot(asleep(), pipelines={"shop": row}, tips={"shop": Tip(commit_id=self.B)})

        def asked(now: float) -> str:
            (ask,) = (a for a in decide(replace(seen, now=now)) if isinstance(a, Ask))
            return str(ask.request.request_id)

        after_an_age = START - 300 + LIMITS.drift_every
        assert asked(START) == asked(after_an_age - 1)
        assert asked(START) != asked(after_an_age) == asked(after_an_age + 300)

    def test_the_baseline_is_ahead_again_once_another_tip_was_handled(self):
        # a branch that goes A, B, back to A, whose last trigger never fired
        row = {"baseline_tip": self.A, "handled_tip": self.B}
        (ask,) = self.tips(self.A, **row, ahead_tip=self.A, ahead_since=START - 300)
        assert ask.request.commit_id == self.A

    def test_a_rollback_is_not_behind(self):
        row = {"handled_tip": self.B, "running_commit": self.A, "rolled_back_to": "shop-1"}
        assert not any(isinstance(a, Ask) for a in self.tips(self.B, **row))

    def test_a_tip_that_is_asked_for_is_not_asked_for_again(self):
        rows = {
            "shop": PipelineRow(
                pipeline="shop", handled_tip=self.A, ahead_tip=self.B, ahead_since=START - 900
            )
        }
        answer = {"shop": Tip(commit_id=self.B)}
        assert chosen(Ask, asleep(), pipelines=rows, tips=answer, wants=(want(),)) == []

    def test_no_answer_about_a_branch_that_was_never_seen_is_not_said(self):
        silent = {"shop": Tip(problem="AccessDenied")}
        assert chosen(RaiseAlert, asleep(), tips=silent) == []

    def test_a_branch_that_is_not_there_yet_is_the_baseline(self):
        (note,) = chosen(NoteTip, asleep(), tips={"shop": Tip()})
        assert note.values == {"checked_at": START, "baseline_tip": NO_TIP}
        # AND one that is gone is no news, and nothing is asked for
        row = PipelineRow(pipeline="shop", handled_tip=self.A)
        (note,) = decide(snapshot(asleep(), tips={"shop": Tip()}, pipelines={"shop": row}))
        assert note.values == {"checked_at": START}

    def test_no_answer_is_said_once_and_its_end_too(self):
        silent = {"shop": Tip(problem="AccessDenied")}
        rows = {"shop": PipelineRow(pipeline="shop", baseline_tip=self.A)}
        (alert,) = chosen(RaiseAlert, asleep(), tips=silent, pipelines=rows)
        assert (alert.kind, alert.subject) == ("drift_skipped", "shop")
        standing = AlertRow(kind="drift_skipped", subject="shop", raised_at=START - 900)
        again = {"tips": silent, "pipelines": rows, "alerts": (standing,)}
        assert chosen(RaiseAlert, asleep(), **again) == []
        answer = {"shop": Tip(commit_id=self.A)}
        (end,) = chosen(EndAlert, asleep(), tips=answer, alerts=(standing,))
        assert end.alert == standing


class TestAlerts:
    @pytest.mark.parametrize(
        ("kind", "trouble", "well"),
        [
            ("no_heartbeat", host(heartbeat_at=START - 601, up=900), host()),
            ("no_progress", host(state="busy", progress_at=START - 3901), host(state="busy")),
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

    def test_a_silent_held_host_is_alerted_and_not_stopped(self):
        silent = host(heartbeat_at=START - 9000, up=9000, held=True)
        assert chosen(RaiseAlert, silent)
        assert chosen(StopBroken, silent) == []

    def test_a_long_awake_host_is_not_stopped_for_that(self):
        busy = host(state="busy", up=20000)
        assert [a.kind for a in chosen(RaiseAlert, busy)] == ["awake_long"]
        assert chosen(StopBroken, busy) == []
