"""Awake and idle: what the host says of itself, and a stop that is claimed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.answers import instead
from tests.unit.build_agent.world import World, make_request


# --- awake, idle
def test_idle_is_said_after_an_idle_period_and_again(world: World) -> None:
    worker = world.worker()
    assert worker.step() == "idle"
    assert world.topic.notices == []
    for number in (1, 2):
        world.clock.pass_by(world.installation.limits.idle_period)
        worker.step()
        notice = world.topic.notices[-1]
        assert (notice.kind, notice.idle_number) == ("idle", number)
    assert len(world.topic.notices) == 2


def test_it_rests_from_an_empty_look_until_there_is_work(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a worker that looks at itself while it announces an outcome
    worker, publish = world.worker(), world.topic.publish
    seen = []

    def publishing(**message: Any) -> Any:
        seen.append(worker.resting)
        return publish(**message)

    instead(world.topic, "publish", publishing)
    assert not worker.resting
    # WHEN there is nothing, then a push, then nothing
    worker.step()
    assert worker.resting
    world.send(make_request(1))
    assert worker.step() == "worked"
    # THEN it rests in between only
    assert seen == [False]
    assert not worker.resting
    worker.step()
    assert worker.resting


def test_work_begins_a_new_idle_period(world: World) -> None:
    worker = world.worker()
    worker.step()
    world.clock.pass_by(world.installation.limits.idle_period - 1)
    world.send(make_request(1))
    worker.step()
    world.clock.pass_by(2)
    worker.step()
    assert [n.kind for n in world.topic.notices] == ["deployment"]
    row = world.table.hosts.get("i-1")
    assert row is not None and row.state == "busy"


def test_a_host_that_is_being_stopped_takes_no_work(world: World) -> None:
    # GIVEN an idle host whose stop is claimed
    worker = world.worker()
    worker.step()
    row = world.table.hosts.get("i-1")
    assert row is not None
    now = world.clock.now()
    assert world.table.hosts.claim_stop("i-1", row.boot, row.idle_number, now, claim=60)
    # WHEN a push arrives
    request = make_request(1)
    world.send(request)
    # THEN it is given back at once, and the host waits
    assert worker.step() == "waiting"
    assert world.queued() == (1, 0)
    assert worker.step() == "waiting"
    # BUT a claim whose stop never came lapses
    world.clock.pass_by(61)
    assert worker.step() == "worked"
    assert world.outcome(request) == "succeeded"


def test_once_idle_was_said_nothing_is_polled_for_long_nor_into_a_stop(world: World) -> None:
    # GIVEN a host that has said that it is idle
    asked: list[int] = []
    receive = world.sqs.receive_message

    def note(**members: Any) -> Any:
        asked.append(members["WaitTimeSeconds"])
        return receive(**members)

    instead(world.sqs, "receive_message", note)
    worker = world.worker(waits=True)
    world.clock.pass_by(-1)
    world.send(make_request(1))
    worker.step()
    world.clock.pass_by(world.installation.limits.idle_period)
    worker.step()
    asked.clear()
    # THEN it looks without waiting
    worker.step()
    assert asked == [0]
    # AND not at all once its stop is claimed
    row = world.table.hosts.get("i-1")
    assert row is not None
    assert world.table.hosts.claim_stop(
        "i-1", row.boot, row.idle_number, world.clock.now(), claim=60
    )
    assert worker.step() == "waiting"
    assert asked == [0]


def test_a_host_whose_stop_is_claimed_while_it_says_idle_waits(world: World) -> None:
    worker = world.worker()
    worker.step()
    world.clock.pass_by(world.installation.limits.idle_period)
    row = world.table.hosts.get("i-1")
    assert row is not None
    now = world.clock.now()
    world.table.hosts.claim_stop("i-1", row.boot, row.idle_number, now, claim=60)
    assert worker.step() == "waiting"
    assert world.topic.notices == []


def test_a_new_boot_honours_a_claim_that_has_not_expired(world: World) -> None:
    world.worker().step()
    row = world.table.hosts.get("i-1")
    assert row is not None
    world.table.hosts.claim_broken(row, world.clock.now(), claim=60, unchanged="heartbeat_at")
    booted = world.worker(boot="2027-01-15T09:00:00Z")
    assert booted.step() == "waiting"
    world.clock.pass_by(61)
    assert booted.step() == "idle"
