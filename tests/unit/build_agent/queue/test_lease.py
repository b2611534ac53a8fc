"""The keeper: renews all, tells the work to stop when anything is late or lost, never raises."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from build_agent.host.stop import Interrupted
from build_agent.queue.inbox import Message
from build_agent.queue.lease import KeeperThread, Work
from slipway.contracts.installation import Limits
from tests.aws.answers import instead, refused
from tests.unit.build_agent.world import World, make_request

TTL = Limits().lock_ttl


class Held:
    """A worker's keeper with a message and a lock in its hands."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.worker().step()
        self.keeper = world.keeper
        lock = world.table.locks.take("web", "i-1/b", world.clock.now(), ttl=TTL)
        assert lock is not None
        world.send(make_request(1))
        (received,) = world.sqs.receive_message(QueueUrl=world.queue)["Messages"]
        self.message = Message(received["MessageId"], received["ReceiptHandle"], received["Body"])
        self.work = Work(
            run=1, pipeline="web", lock=lock, renewed_at=world.clock.now(), messages=(self.message,)
        )
        self.keeper.hold([self.message])
        self.keeper.begin(self.work)


@pytest.fixture
def held(world: World) -> Held:
    return Held(world)


def test_a_beat_renews_lock_lease_and_heartbeat(held: Held, world: World) -> None:
    extended: list[Any] = []
    change = world.sqs.change_message_visibility_batch

    def extend(**members: Any) -> Any:
        extended.append(members)
        return change(**members)

    instead(world.sqs, "change_message_visibility_batch", extend)
    held.work.deployment_id = "web-20270115080000-abcdef"
    held.keeper.progress(held.work, "build")
    world.clock.pass_by(30)
    held.keeper.beat()
    assert extended[0]["Entries"][0]["VisibilityTimeout"] == world.installation.limits.visibility
    assert world.table.locks.get("web").expires_at == world.clock.now() + TTL
    row = world.table.hosts.get("i-1")
    assert row is not None
    (run,) = row.runs
    assert (run.pipeline, run.stage, run.deployment_id) == ("web", "build", held.work.deployment_id)
    assert (row.heartbeat_at, row.progress_at) == (world.clock.now(), world.clock.now() - 30)
    held.work.stop.check()


def test_many_beats_keep_the_lock_for_as_long_as_the_work_lasts(held: Held, world: World) -> None:
    for _ in range(20):
        world.clock.pass_by(30)
        held.keeper.beat()
    held.keeper.check(held.work)


def test_a_lock_that_another_took_stops_the_work(held: Held, world: World) -> None:
    world.clock.pass_by(TTL + 1)
    assert world.table.locks.take("web", "i-2/b", world.clock.now(), ttl=TTL)
    held.keeper.beat()
    with pytest.raises(Interrupted, match="lock was lost"):
        held.work.stop.check()


def test_a_lock_that_cannot_be_renewed_in_time_stops_the_work(held: Held, world: World) -> None:
    # GIVEN a table that does not answer
    def fails(**_members: Any) -> None:
        raise refused("dynamodb", "UpdateItem", "InternalServerError")

    instead(world.dynamodb, "update_item", fails)
    world.clock.pass_by(60)
    held.keeper.beat()
    held.work.stop.check()
    # WHEN the lock is about to expire unrenewed
    world.clock.pass_by(TTL - 60 - 9)
    held.keeper.beat()
    with pytest.raises(Interrupted, match="renewed in time"):
        held.work.stop.check()


def failed(entry: dict[str, Any]) -> dict[str, Any]:
    """A batch's answer about an entry whose receipt is not known."""
    return {"Id": entry["Id"], "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}


def test_a_lease_that_is_lost_stops_its_work(held: Held, world: World) -> None:
    def lost(**members: Any) -> Any:
        entries = members["Entries"]
        return {"Successful": [], "Failed": [failed(e) for e in entries]}

    instead(world.sqs, "change_message_visibility_batch", lost)
    held.keeper.beat()
    assert held.keeper.held == ()
    with pytest.raises(Interrupted, match="lease of the request"):
        held.work.stop.check()


def test_a_lost_lease_of_another_message_does_not_stop_the_work(held: Held, world: World) -> None:
    held.keeper.hold([Message("other", "other", "")])

    def lost(**members: Any) -> Any:
        entries = members["Entries"]
        other = [e for e in entries if e["ReceiptHandle"] == "other"]
        done = [{"Id": e["Id"]} for e in entries if e not in other]
        return {"Successful": done, "Failed": [failed(e) for e in other]}

    instead(world.sqs, "change_message_visibility_batch", lost)
    held.keeper.beat()
    held.work.stop.check()
    assert held.keeper.held == (held.message,)


def test_an_operator_who_takes_over_stops_the_work(held: Held, world: World) -> None:
    held.work.request = make_request(1)
    rollback = make_request(2, reason="rollback")
    world.table.locks.ask_takeover(rollback, world.clock.now())
    held.keeper.beat()
    assert held.work.stop.reason == f"{rollback.request_id} takes over"


def test_a_request_that_was_received_twice_does_not_stop_its_own_work(
    held: Held, world: World
) -> None:
    held.work.request = make_request(1, reason="rollback")
    world.table.locks.ask_takeover(held.work.request, world.clock.now())
    held.keeper.beat()
    assert not held.work.stop.requested


def test_one_part_that_fails_does_not_keep_the_others_from_their_turn(
    held: Held, world: World
) -> None:
    def fails(**_members: Any) -> None:
        raise refused("sqs", "ChangeMessageVisibilityBatch", "RequestThrottled")

    instead(world.sqs, "change_message_visibility_batch", fails)
    world.clock.pass_by(30)
    held.keeper.beat()
    assert world.table.locks.get("web").expires_at == world.clock.now() + TTL


def test_from_a_look_before_a_change_the_lock_has_all_its_time(held: Held, world: World) -> None:
    world.clock.pass_by(TTL - 1)
    held.keeper.check(held.work)
    assert world.table.locks.get("web").expires_at == world.clock.now() + TTL


def test_no_change_is_made_once_the_lock_has_ended(held: Held, world: World) -> None:
    world.clock.pass_by(TTL)
    with pytest.raises(Interrupted, match="lock was lost"):
        held.keeper.check(held.work)


def test_a_hosts_next_boot_takes_over_what_its_last_one_held(world: World) -> None:
    now = world.clock.now()
    first = world.table.locks.take("web", "i-1/b1/p1.1", now, ttl=TTL)
    assert first is not None
    assert world.table.locks.take("web", "i-10/b1/p1.1", now, ttl=TTL) is None
    assert world.table.locks.take("web", "cli:i-1/b1/p1.1", now, ttl=TTL) is None
    second = world.table.locks.take("web", "i-1/b2/p1.1", now, ttl=TTL)
    assert second is not None
    assert not world.table.locks.renew(first, now, ttl=TTL)
    # AND neither two people at the command line nor two of the follower's invocations are one host
    assert world.table.locks.take("api", "cli:role/a", now, ttl=TTL)
    assert world.table.locks.take("api", "cli:role/b", now, ttl=TTL) is None
    assert world.table.locks.take("blog", "the follower/4f1c", now, ttl=TTL)
    assert world.table.locks.take("blog", "the follower/9e0d", now, ttl=TTL) is None


def test_the_thread_beats_until_it_is_stopped() -> None:
    beaten = threading.Event()

    class Keeper:
        def beat(self) -> None:
            beaten.set()

    thread = KeeperThread(Keeper(), 0.01)  # type: ignore[arg-type]
    thread.start()
    assert beaten.wait(5)
    thread.stop()
    beaten.clear()
    assert not thread._thread.is_alive()
