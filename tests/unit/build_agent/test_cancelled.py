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
