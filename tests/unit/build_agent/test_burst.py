"""A burst of pushes to a host that is awake: one push, one notice that tells of it."""

from __future__ import annotations

import pytest

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.messages import Target
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import START, World, make_request

LATER = 3600.0


def burst(world: World, *changes: dict[str, object]) -> list[str | None]:
    """Push 1 is taken at once, and what is fetched is the last one's; the others' requests follow.

    Their outcomes.
    """
    requests = [make_request(n) for n in (1, 2)]
    requests += [make_request(3 + n, **change) for n, change in enumerate(changes)]
    world.clock.pass_by(60)  # all were pushed before the first one's end
    worker = world.worker()
    for request in requests:
        world.send(request)
        worker.step()
    return [world.outcome(request) for request in requests]


def test_the_rest_of_a_burst_is_told_by_the_deployment_of_its_tip(world: World) -> None:
    # WHEN a burst comes to a host that is awake
    outcomes = burst(world, {})
    # THEN the tip is live, told of once, and the other requests are part of that deployment
    first, *others = world.topic.results
    assert (first.status, first.told_by) == ("succeeded", None)
    assert outcomes == ["succeeded", "superseded", "superseded"]
    assert {other.told_by for other in others} == {first.deployment_id}
    assert len(world.services.plans) == len(world.images.built) == 1
    # AND what runs is still that deployment's
    assert world.row.running_deployment == first.deployment_id
    assert (world.row.handled_tip, world.row.failures) == (A, 0)
    assert world.table.wants.all() == []


def test_a_tip_that_fails_is_built_and_told_once(world: World) -> None:
    def fail() -> None:
        raise DeploymentFailed("the build failed")

    world.images.on_build = fail
    assert burst(world) == ["failed", "superseded"]
    assert (len(world.images.built), world.row.failures) == (1, 1)


def test_a_tip_whose_build_fails_is_told_once_though_what_runs_has_moved_on(world: World) -> None:
    """A rollout that gave way was not over yet: what runs is not what the first notice said."""

    def fail() -> None:
        raise DeploymentFailed("the build failed")

    world.services.steady = False
    world.images.on_build = fail
    assert burst(world) == ["failed", "superseded"]
    assert (len(world.images.built), world.row.failures) == (1, 1)


def test_a_tip_that_git_refuses_is_told_once(world: World) -> None:
    def refused() -> None:
        raise DeploymentFailed("git refuses an object", stage="fetch", commit_id=B)

    world.source.on_fetch = refused
    assert burst(world) == ["failed", "superseded"]
    assert world.row.failures == 1


def test_a_branch_that_cannot_be_fetched_is_told_each_time(world: World) -> None:
    """Of which commit it was is not known: it may be another one each time."""

    def refused() -> None:
        raise DeploymentFailed("there is no branch", stage="fetch")

    world.source.on_fetch = refused
    assert burst(world) == ["failed", "failed"]


@pytest.mark.parametrize(
    "change", [{"reason": "redeploy"}, {"pushed_at": START + LATER}], ids=["redeploy", "later"]
)
def test_what_is_asked_for_later_or_by_an_operator_has_its_own_answer(
    world: World, change: dict[str, object]
) -> None:
    assert burst(world, change)[-1] == "unchanged"


def test_a_service_that_was_changed_by_others_meanwhile_is_put_right(world: World) -> None:
    # GIVEN a deployed tip, and somebody who makes the service run something else
    worker = world.worker()
    world.clock.pass_by(60)
    world.send(make_request(1))
    worker.step()
    world.services.revision = 1
    # WHEN the rest of the burst comes
    world.send(make_request(2))
    worker.step()
    # THEN the tip runs again
    assert [result.status for result in world.topic.results] == ["succeeded", "succeeded"]
    assert world.services.revision != 1


def test_a_rollout_to_another_commit_in_between_counts(world: World) -> None:
    # GIVEN a deployed tip, and an operator who deployed another commit after it
    worker = world.worker()
    world.clock.pass_by(60)
    world.send(make_request(1))
    worker.step()
    world.send(make_request(9, reason="redeploy", target=Target(kind="commit", commit_id=B)))
    worker.step()
    # WHEN the rest of the burst comes THEN the tip is deployed again, as before
    world.send(make_request(2))
    worker.step()
    assert [result.status for result in world.topic.results] == ["succeeded"] * 3
    assert world.row.running_commit == A
