"""A deployment that somebody cancels while an agent has it, or between two attempts."""

from __future__ import annotations

from slipway.contracts.errors import WorldFailed
from slipway.contracts.sentences import what_happened
from tests.unit.build_agent.test_failing_world import fail_with
from tests.unit.build_agent.world import World, make_request

EVE = "arn:aws:iam::222222222222:user/eve"


def test_what_is_cancelled_between_two_attempts_is_not_built_again(world: World) -> None:
    # GIVEN an attempt that the world failed, and somebody who cancels the deployment meanwhile
    request = make_request(1)
    world.send(request)
    world.images.on_push = fail_with(WorldFailed("registry is down"), 1)
    worker = world.worker()
    worker.step()
    (row,) = world.table.deployments.newest("web", 5)
    assert world.table.following.ask_cancel(row.deployment_id, EVE)
    built = list(world.images.built)
    # WHEN its request comes again
    world.redeliver(request)
    worker.step()
    # THEN it is over at once, told with who it was, and nothing is left of it
    (result,) = world.topic.results
    assert (result.status, result.cause, result.cancelled_by) == (
        "cancelled", "cancelled by eve", EVE,
    )  # fmt: skip
    assert what_happened(result).endswith("was cancelled")
    assert world.images.built == built
    assert world.services.plans == []
    assert world.outcome(request) == "cancelled"
    assert world.table.wants.all() == []
    assert world.table.locks.get("web").holder == ""
    assert world.row.failures == 0


def test_what_is_cancelled_is_not_begun_again_by_an_older_push_that_comes_late(
    world: World,
) -> None:
    # GIVEN a deployment of the tip that was cancelled in its build
    late, newest = make_request(1), make_request(2)

    def cancelled() -> None:
        (row,) = world.table.deployments.newest("web", 5)
        assert world.table.following.ask_cancel(row.deployment_id, EVE)
        assert world.table.locks.interrupt("web", row.deployment_id, world.clock.now())
        world.keeper.beat()

    world.clock.pass_by(60)  # both were pushed before its end
    world.images.on_build = cancelled
    world.send(newest)
    worker = world.worker()
    worker.step()
    assert world.outcome(newest) == "cancelled"
    world.images.on_build = lambda: None
    built = list(world.images.built)
    # WHEN an older push comes, whose message was late, and finds the same tip
    world.send(late)
    worker.step()
    # THEN it was part of that deployment: nothing is built, rolled out or told again
    assert world.outcome(late) == "superseded"
    assert world.images.built == built
    assert world.services.plans == []
    assert [result.status for result in world.topic.results if not result.told_by] == ["cancelled"]
