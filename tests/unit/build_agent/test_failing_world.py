"""The world is wrong: tried again, given up and said, announced later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.contracts.errors import WorldFailed
from slipway.contracts.sentences import runs_now
from tests.aws.answers import instead
from tests.unit.build_agent.fakes import A
from tests.unit.build_agent.world import World, make_request

THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "Publish")


# --- the world is wrong
def fail_with(error: Exception, times: int) -> Callable[[], None]:
    left = [times]

    def fail() -> None:
        if left[0]:
            left[0] -= 1
            raise error

    return fail


def test_the_worlds_failure_is_tried_again_in_the_same_deployment(world: World) -> None:
    request = make_request(1)
    world.send(request)
    world.images.on_push = fail_with(WorldFailed("registry is down"), 1)
    worker = world.worker()
    worker.step()
    # THEN nothing is settled or told, the attempt is counted, the lock is free, it waits
    assert (world.outcome(request), world.topic.results) == (None, [])
    assert world.table.requests.attempts(request.request_id).count == 1
    assert world.table.locks.get("web").holder == ""
    assert world.queued() == (0, 1)
    # AND the next attempt ends the same deployment
    world.redeliver(request)
    worker.step()
    (row,) = world.table.deployments.newest("web", 5)
    assert (row.status, world.outcome(request)) == ("succeeded", "succeeded")


@pytest.mark.parametrize("error", [WorldFailed("down"), THROTTLED, RuntimeError("a bug")])
def test_after_enough_failed_attempts_it_is_given_up_and_said(
    world: World, error: Exception
) -> None:
    request = make_request(1)
    world.images.on_push = fail_with(error, 99)
    worker = world.worker()
    limit = world.installation.limits.max_attempts
    world.send(request)
    for _ in range(limit):
        worker.step()
        world.redeliver(request)
    worker.step()
    # THEN
    (result,) = world.topic.results
    assert (result.status, world.outcome(request)) == ("gave_up", "gave_up")
    assert f"given up after {limit} failed attempts" in (result.cause or "")
    assert world.queued(world.dead) == (1, 0)
    assert world.table.wants.all() == []
    assert world.row.handled_tip == A


def test_a_rollout_that_the_world_fails_is_given_up_from_the_row(world: World) -> None:
    # GIVEN a rollout that updated the service, of which nothing is heard any more
    request = make_request(1)
    world.services.script = raising(WorldFailed("the answer was lost"))
    world.send(request)
    world.worker().step()
    assert (world.services.revision, world.outcome(request)) == (2, None)
    assert world.queued() == (0, 0)
    # WHEN it is tried again and again, by whoever follows
    worker = world.worker(boot="2027-01-15T09:00:00Z")
    for _ in range(2 * world.installation.limits.max_attempts):
        world.follow(after=1000)
    # THEN it is given up, told, kept as a dead letter, and not said that the version before runs
    (result,) = world.topic.results
    assert (result.status, result.task_definition_after) == ("gave_up", "web:2")
    assert runs_now(result) == "It is not known which version runs now."
    assert f"given up after {world.installation.limits.max_attempts} failed attempts" in str(
        result.cause
    )
    assert world.queued(world.dead) == (1, 0)
    assert world.table.locks.get("web").holder == ""
    worker.step()
    assert len(world.topic.results) == 1


def raising(error: Exception) -> Callable[[Any], Any]:
    def fail(_result: Any) -> Any:
        raise error

    return fail


def test_it_is_given_up_after_six_hours_whatever_the_count(world: World) -> None:
    request = make_request(1)
    world.images.on_push = fail_with(WorldFailed("down"), 99)
    worker = world.worker()
    world.send(request)
    worker.step()
    world.clock.pass_by(world.installation.limits.give_up_after)
    world.redeliver(request)
    worker.step()
    assert world.outcome(request) == "gave_up"


def test_an_outcome_that_cannot_be_announced_is_kept_and_announced_later(world: World) -> None:
    # GIVEN a topic that is down for longer than attempts last
    request = make_request(1)
    world.topic.fail = THROTTLED
    worker = world.worker()
    world.send(request)
    worker.step()
    for _ in range(world.installation.limits.max_attempts + 2):
        world.follow(after=60)
    assert world.table.locks.get("web").untold is not None
    # WHEN it is back
    world.topic.fail = None
    world.follow(after=60)
    # THEN the outcome of the one deployment is told; nothing was built again or given up
    assert [r.status for r in world.topic.results] == ["succeeded"]
    assert world.images.built == [A]
    assert world.queued(world.dead) == (0, 0)


def test_a_lost_queue_never_ends_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = world.worker()
    calls: list[float] = []

    def fails(**_members: Any) -> None:
        raise THROTTLED

    def wait(seconds: float) -> bool:
        calls.append(seconds)
        if len(calls) == 3:
            worker.request_stop("enough")
        return True

    instead(world.sqs, "receive_message", fails)
    monkeypatch.setattr(worker._stop, "wait", wait)
    worker.run()
    assert len(calls) == 3
    assert calls[0] < calls[2] <= 60
