"""A newer push of a pipeline under way: before its build begins, during it, and after it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from build_agent.deploy import FETCHES
from build_agent.host.stop import Interrupted
from slipway.contracts.errors import DeploymentFailed, WorldFailed
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


@pytest.mark.parametrize(
    "comes",
    [
        pytest.param(push_to("web", 2, commit_id=B), id="its own push a second time"),
        pytest.param(push_to("web", 1, commit_id=A), id="an older push, late"),
        pytest.param(push_to("web", 3, commit_id=B), id="the push whose commit it has fetched"),
    ],
)
@pytest.mark.parametrize("seen_by", ["the worker", "its want", "a note in the lock"])
def test_a_build_is_ended_by_a_newer_push_alone(
    aws: Any, comes: BuildRequest, seen_by: str
) -> None:
    # GIVEN a build of B under way, where stale builds are ended
    world = several(aws, cancel_stale_build=True)
    own = push_to("web", 2, commit_id=B)
    world.source.tip = B
    world.send(own)
    later = Later()
    worker = world.worker(slots=2, spawn=later)
    worker.step()

    def during_the_build() -> None:
        # WHEN a request comes that asks for nothing newer
        world.images.on_build = lambda: None
        if seen_by == "a note in the lock":
            assert world.table.locks.ask_again(
                "web", comes.request_id, world.clock.now(),
                pushed_at=comes.pushed_at, commit_id=comes.commit_id,
            )  # fmt: skip
        else:
            world.send(comes)
        if seen_by == "the worker":
            worker.step()
        world.keeper.beat()

    world.images.on_build = during_the_build
    later.go()
    worker.step()
    later.go()

    # THEN the build goes on, and what it has built runs
    assert world.outcome(own) == "succeeded"
    assert world.images.built[0] == B
    assert world.row.running_commit == B
    assert "superseded" not in [r.status for r in world.table.deployments.newest("web", 9)]


def test_where_pushes_come_faster_than_they_are_fetched_one_is_built(aws: Any) -> None:
    # GIVEN a branch that has moved whenever it was fetched
    world = several(aws)
    numbers = itertools.count(2)
    world.send(push_to("web", 1))
    world.source.on_fetch = lambda: world.send(push_to("web", next(numbers)))
    # WHEN
    worker = world.worker(slots=1)
    worker.step()
    # THEN it is built after so many fetches, and the last push has its message, for the next run
    assert len(world.source.fetched) == FETCHES
    assert len(world.images.built) == 1
    assert world.queued()[0] > 0


def joined(world: World, request: BuildRequest) -> None:
    """Another host has received the push: it joins the run that is under way here."""
    now = world.clock.now()
    world.table.wants.note(request, now)
    assert world.table.locks.ask_again(
        "web", request.request_id, now, by=request.pushed_by, pushed_at=request.pushed_at
    )
    world.table.wants.clear([request])


def joins_in_the_fetch(world: World, request: BuildRequest, then: Callable[[], None]) -> None:
    """The push joins the run that fetches next; `then` is called at the fetch after that."""

    def noted() -> None:
        world.source.on_fetch = then
        joined(world, request)

    world.source.on_fetch = noted


def test_a_push_that_joined_what_is_cancelled_before_it_was_fetched_runs_after_it(
    aws: Any,
) -> None:
    # GIVEN a run that has taken the note of a push, and fetches it
    world = several(aws)
    first, second = push_to("web", 1), push_to("web", 2)
    world.send(first)

    def cancelled() -> None:
        world.source.on_fetch = lambda: None
        cancel(world)

    joins_in_the_fetch(world, second, cancelled)
    # WHEN somebody cancels it during that fetch
    world.source.tip = B
    world.worker(slots=1).step()
    # THEN the push that nobody cancelled is live, though no message of it is left
    assert world.outcome(first) == "cancelled"
    rows = world.table.deployments.newest("web", 9)
    assert sorted(row.status or "" for row in rows) == ["cancelled", "succeeded"]
    assert world.row.running_commit == B


def cancel(world: World) -> None:
    """Somebody cancels the deployment under way, which looks at its stop then."""
    (work,) = world.keeper.works
    assert work.deployment_id is not None
    assert world.table.following.ask_cancel(work.deployment_id, "eve")
    assert world.table.locks.interrupt("web", work.deployment_id, world.clock.now())
    world.keeper.beat()
    work.stop.check()


def run_after_a_failure(world: World, on_fetch: Callable[[], None]) -> list[int]:
    """A push that joined a run, which fails and runs it then: no message of that run is left.

    `on_fetch` is called at each fetch. How many wants there are when the second run builds.
    """
    wants: list[int] = []
    world.send(push_to("web", 1))

    def first_build() -> None:
        world.images.on_build = second_build
        world.source.tip = B
        joined(world, push_to("web", 2))
        raise DeploymentFailed("exit code 1", stage="build")

    def second_build() -> None:
        wants.append(len(world.table.wants.all()))
        world.images.on_build = lambda: None

    world.images.on_build = first_build
    world.source.on_fetch = on_fetch
    world.worker(slots=1).step()
    return wants


def test_a_run_that_no_message_brought_keeps_its_want_when_a_push_joins_it(aws: Any) -> None:
    # GIVEN such a run, and a push that joins it
    world = several(aws)

    def fetched() -> None:
        if world.source.tip == B:
            world.source.on_fetch = lambda: None
            joined(world, push_to("web", 3))

    # THEN while it is built there is a want, by which it would come again were the host lost
    assert run_after_a_failure(world, fetched) == [1]


def test_a_cancel_ends_no_other_deployment_than_its_own(aws: Any) -> None:
    # GIVEN a lock's note of a cancel, whose deployment has ended
    world = several(aws)
    request = push_to("web", 1)
    world.send(request)

    def noted() -> None:
        world.images.on_build = lambda: None
        earlier = "web-20261118110640-0a1b2c"
        assert world.table.locks.interrupt("web", earlier, world.clock.now())
        world.keeper.beat()
        assert not any(work.stop.requested for work in world.keeper.works)

    world.images.on_build = noted
    world.worker(slots=1).step()
    assert world.outcome(request) == "succeeded"


@pytest.mark.parametrize("fails", [WorldFailed("git is down"), Interrupted("SIGTERM")])
def test_a_note_stays_where_its_push_was_not_fetched(aws: Any, fails: Exception) -> None:
    # GIVEN a run that has taken the note of a push, and cannot fetch it
    world = several(aws)
    first, second = push_to("web", 1), push_to("web", 2)
    world.send(first)

    def failing() -> None:
        raise fails

    joins_in_the_fetch(world, second, failing)
    world.worker(slots=1).step()
    # THEN whoever comes next finds it, though the first be cancelled before that
    lock = world.table.locks.get("web")
    assert (lock.holder, lock.again) == ("", second.request_id)


def test_a_run_that_no_message_brought_gets_its_want_back_once_the_other_s_is_gone(
    aws: Any,
) -> None:
    # GIVEN such a run, and a push whose note it takes before that one has cleared its want
    world, newer = several(aws), push_to("web", 3)

    def asks() -> None:
        if world.source.tip == B:
            world.source.on_fetch = joins
            now = world.clock.now()
            world.table.wants.note(newer, now)
            assert world.table.locks.ask_again("web", newer.request_id, now, pushed_at=3.0)

    def joins() -> None:
        world.source.on_fetch = lambda: None
        world.table.wants.clear([newer])

    # THEN it has a want while it is built
    assert run_after_a_failure(world, asks) == [1]
