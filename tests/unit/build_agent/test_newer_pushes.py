"""A newer push of a pipeline under way: before its build begins, during it, and after it."""

from __future__ import annotations

from typing import Any

from slipway.contracts.messages import BuildRequest
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.test_dispatch import Later, push_to, several
from tests.unit.build_agent.world import World


def test_before_its_build_begins_a_run_moves_on_to_the_newest_push(aws: Any) -> None:
    # GIVEN a push that comes while the one before is fetched: seen by its want alone
    world = several(aws)
    first, second = push_to("web", 1, commit_id=A), push_to("web", 2, commit_id=B)
    world.send(first)

    def pushed() -> None:
        world.source.on_fetch = lambda: None
        world.source.tip = B
        world.send(second)

    world.source.on_fetch = pushed
    world.worker(slots=1).step()
    # THEN only the newest is built
    assert world.images.built == [B]
    assert world.source.fetched == [None, None]


def test_a_push_that_is_fetched_already_is_not_fetched_again(aws: Any) -> None:
    world = several(aws)
    world.source.tip = B
    world.source.on_fetch = lambda: world.send(push_to("web", 2, commit_id=B))
    world.send(push_to("web", 1, commit_id=A))
    world.worker(slots=1).step()
    assert world.images.built == [B]
    assert world.source.fetched == [None]


def test_what_is_noted_before_the_build_begins_is_fetched(aws: Any) -> None:
    # GIVEN a push that another host received, and joined to this run
    world = several(aws)
    first, second = push_to("web", 1), push_to("web", 2)
    world.send(first)

    def noted() -> None:
        world.source.on_fetch = lambda: None
        world.source.tip = B
        now = world.clock.now()
        assert world.table.locks.ask_again("web", second.request_id, now, pushed_at=2.0)

    world.source.on_fetch = noted
    world.worker(slots=1).step()
    # THEN it is built, and no run comes after it
    assert world.images.built == [B]
    assert world.table.locks.get("web").again is None


def overtaken(world: World, *, slots: int = 2) -> tuple[BuildRequest, BuildRequest]:
    """A build under way, while which a newer push is received by the same host."""
    first, second = push_to("web", 1), push_to("web", 2)
    later = Later()
    world.send(first)
    worker = world.worker(slots=slots, spawn=later)
    worker.step()

    def pushed() -> None:
        world.images.on_build = lambda: None
        world.source.tip = B
        world.send(second)
        worker.step()

    world.images.on_build = pushed
    later.go()
    worker.step()
    later.go()
    return first, second


def test_during_the_build_a_newer_push_is_noted_and_run_right_after(aws: Any) -> None:
    world = several(aws)
    first, second = overtaken(world)
    assert (world.outcome(first), world.outcome(second)) == ("succeeded", "joined")
    assert world.images.built[0] == A


def test_a_stale_build_is_ended_where_that_is_configured(aws: Any) -> None:
    # GIVEN
    world = several(aws, cancel_stale_build=True)
    # WHEN
    first, second = overtaken(world)
    # THEN the stale one is superseded, and the newest is built right after, under the same lock
    assert (world.outcome(first), world.outcome(second)) == ("superseded", "joined")
    rows = {row.status: row for row in world.table.deployments.newest("web", 9)}
    assert set(rows) == {"superseded", "succeeded"}
    stale = rows["superseded"]
    assert stale.result.cause == "a newer push took the place of its build"
    assert world.row.running_commit == B
    assert world.images.pushed == [B]


def test_a_stale_build_is_ended_though_no_slot_is_free_to_receive_for(aws: Any) -> None:
    # GIVEN a host of one slot: the newer push is seen by its want, with the next beat
    world = several(aws, cancel_stale_build=True)
    first, second = push_to("web", 1), push_to("web", 2)
    world.send(first)

    def pushed() -> None:
        world.images.on_build = lambda: None
        world.source.tip = B
        world.send(second)
        world.keeper.beat()

    world.images.on_build = pushed
    worker = world.worker(slots=1)
    worker.step()
    worker.step()
    assert (world.outcome(first), world.outcome(second)) == ("superseded", "succeeded")
    assert world.row.running_commit == B
