"""A pipeline that another host deploys: its holder runs once more, others wait."""

from __future__ import annotations

from typing import Any

import pytest

from build_agent.queue.inbox import Delivery
from slipway.contracts.messages import Target
from slipway.contracts.table.requests import Settled
from slipway.following.backoff import LOCKED_DELAY
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import Killed, World, make_request


# --- locked elsewhere
def test_a_tip_request_joins_the_run_of_the_holder_which_runs_once_more(world: World) -> None:
    # GIVEN a worker that builds A when B is pushed and another host gets the request
    first, second = make_request(1), make_request(2)
    world.send(first)
    other = world.worker("i-2", boot="2027-01-15T07:00:00Z")
    holder = world.worker()

    def push() -> None:
        world.images.on_build = lambda: None
        world.source.tip = B
        world.send(second)
        other.step()
        # THEN the other settles it at once, and is not kept awake by it
        assert world.outcome(second) == "joined"
        assert world.table.wants.all() == []
        assert world.table.locks.get("web").again == second.request_id

    world.images.on_build = push
    holder.step()
    holder.step()
    # AND the holder deploys B in a deployment of its own
    assert [r.commit and r.commit.id for r in world.topic.results] == [A, B]
    assert world.topic.results[1].pushed_by == second.pushed_by
    assert world.table.locks.get("web").again is None
    assert world.table.locks.get("web").holder == ""
    assert world.table.wants.all() == []


def test_several_who_join_cause_one_more_run_and_one_who_joins_that_another(world: World) -> None:
    requests = [make_request(n) for n in range(1, 5)]
    world.send(requests[0])
    other = world.worker("i-2", boot="2027-01-15T07:00:00Z")
    holder = world.worker()
    builds: list[int] = []

    def push() -> None:
        builds.append(1)
        world.source.tip = {1: B, 2: "c" * 40}.get(len(builds), world.source.tip)
        for request in {1: requests[1:3], 2: requests[3:]}.get(len(builds), []):
            world.send(request)
            other.step()

    world.images.on_build = push
    for _ in range(3):
        holder.step()
    assert world.images.built == [A, B, "c" * 40]
    assert [world.outcome(r) for r in requests] == ["succeeded", "joined", "joined", "joined"]


def test_a_kill_in_the_run_that_was_asked_for_leaves_a_want(world: World) -> None:
    first, second = make_request(1), make_request(2)
    world.send(first)
    other = world.worker("i-2", boot="2027-01-15T07:00:00Z")
    holder = world.worker()

    def push() -> None:
        world.source.tip = B
        world.send(second)
        other.step()
        world.images.on_build = lambda: world.dead_lives.add(world.lives)

    world.images.on_build = push
    holder.step()
    with pytest.raises(Killed):
        holder.step()
    (want,) = world.table.wants.all()
    assert want.request.is_tip
    assert want.request_id not in (first.request_id, second.request_id)


def test_a_named_target_waits_for_the_holder_uncounted(world: World) -> None:
    world.table.locks.take("web", "cli:ada", world.clock.now(), ttl=120)
    request = make_request(1, target=Target(kind="commit", commit_id=B))
    world.send(request)
    world.worker().step()
    assert world.outcome(request) is None
    assert world.queued() == (0, 1)
    assert world.table.requests.attempts(request.request_id).count == 0
    assert LOCKED_DELAY >= 30


def test_a_request_whose_own_deployment_runs_elsewhere_is_not_joined(world: World) -> None:
    # GIVEN a deployment under way, and a second delivery of its request at another host
    request = make_request(1)
    world.send(request)
    other = world.worker("i-2", boot="2027-01-15T07:00:00Z")
    holder = world.worker()

    def deliver() -> None:
        world.send_body(request.to_json())
        other.step()

    world.images.on_build = deliver
    holder.step()
    # THEN it has one outcome, and no second run
    assert world.outcome(request) == "succeeded"
    assert len(world.topic.results) == 1


def test_a_request_that_another_joins_before_it_begins_is_run_as_that_other_asked(
    world: World,
) -> None:
    # GIVEN a request that came to two hosts: while one is about to begin it, the other joins it
    request = make_request(1)
    world.send(request)
    other, holder = world.worker("i-2", boot="2027-01-15T07:00:00Z"), world.worker()
    begin = holder._runs._parts.recorder.begin

    def begin_late(*arguments: Any) -> Any:
        holder._runs._parts.recorder.begin = begin  # type: ignore[method-assign]
        world.send_body(request.to_json())
        other.step()
        return begin(*arguments)

    holder._runs._parts.recorder.begin = begin_late  # type: ignore[method-assign]
    holder.step()
    # THEN nothing begins for it: the run that was asked for deploys the tip, once
    assert world.outcome(request) == "joined"
    assert [r.commit and r.commit.id for r in world.topic.results] == [A]
    assert world.table.requests.deployments_of([request.request_id]) == {}
    assert (world.queued(), world.table.wants.all()) == ((0, 0), [])


def test_a_request_that_begins_before_another_joins_it_is_not_joined(world: World) -> None:
    # GIVEN the same two, of which the other looked before anything had begun
    request = make_request(1)
    world.send(request)
    other, holder = world.worker("i-2", boot="2027-01-15T07:00:00Z"), world.worker()

    def join() -> None:
        other._ends.leave_to_holder(Delivery(request, []))
        # THEN the run that is under way keeps its request
        assert world.outcome(request) is None

    world.images.on_build = join
    holder.step()
    assert world.outcome(request) == "succeeded"
    assert world.images.built == [A]


def test_a_request_that_another_settled_meanwhile_is_not_deployed_again(world: World) -> None:
    # GIVEN a request that another host settles between this one's receive and its lock
    request = make_request(1)
    world.send(request)
    worker = world.worker()
    take = worker._runs._parts.table.locks.take

    def take_late(*arguments: Any, **members: Any) -> Any:
        outcome = Settled(
            request_id=request.request_id, outcome="succeeded", pipeline="web", settled_at=1.0
        )
        world.table.requests.settle([outcome], kept=1000)
        return take(*arguments, **members)

    worker._runs._parts.table.locks.take = take_late  # type: ignore[method-assign]
    worker.step()
    # THEN it is only deleted
    assert world.source.fetched == []
    assert (world.queued(), world.table.wants.all()) == ((0, 0), [])
