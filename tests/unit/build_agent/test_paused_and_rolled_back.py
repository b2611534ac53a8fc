"""A pipeline that people pause, or roll back: what waits, and what stands."""

from __future__ import annotations

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.messages import Target
from slipway.contracts.sentences import what_happened
from slipway.contracts.table.deployments import DeploymentRow
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import World, make_request

ROLLBACK = {"reason": "rollback"}


# --- paused, rolled back
def test_a_paused_pipelines_requests_wait_uncounted(world: World) -> None:
    request, other = make_request(1), make_request(1, pipeline="api", request_id="f" * 32)
    world.table.pipelines.change("web", paused=True)
    world.send(request, other)
    world.worker().step()
    assert (world.outcome(request), world.outcome(other)) == (None, "succeeded")
    assert [w.request_id for w in world.table.wants.all()] == [request.request_id]
    assert world.queued() == (0, 1)
    assert world.table.requests.attempts(request.request_id).count == 0


def deployed(world: World, *tips: str) -> list[DeploymentRow]:
    """A worker has deployed these; the deployments, oldest first."""
    worker = world.worker()
    for number, tip in enumerate(tips):
        world.source.tip = tip
        world.clock.pass_by(1)
        world.send(make_request(number))
        worker.step()
    return world.table.deployments.newest("web", 10)[::-1]


def test_a_rollback_runs_the_earlier_definition_and_stands(world: World) -> None:
    # GIVEN A, then B
    first, _second = deployed(world, A, B)
    worker = world.worker()
    # WHEN an operator goes back to the first
    target = Target(kind="deployment", deployment_id=first.deployment_id)
    world.send(make_request(50, target=target, **ROLLBACK))
    worker.step()
    # THEN its task definition runs, without a build
    assert world.services.plans[-1].target == first.task_definition_after
    assert world.images.kept == {"web": first.images["app"]}
    assert world.images.built == [A, B]
    assert world.row.running_commit == A
    assert world.row.rolled_back_to == first.deployment_id
    # AND neither a push from before nor the drift check undoes it
    late, drift = make_request(49), make_request(60, reason="drift")
    for request in (late, drift):
        world.send(request)
        worker.step()
        assert world.outcome(request) == "superseded"
    assert world.row.running_commit == A
    # BUT a later push does
    world.send(make_request(70))
    worker.step()
    assert (world.row.running_commit, world.row.rolled_back_to) == (B, None)


def test_a_push_that_a_rollback_took_over_is_not_found_ahead_again(world: World) -> None:
    # GIVEN A, then B, and an operator's rollback to A that is newer than a push of C
    first, _second = deployed(world, A, B)
    worker = world.worker()
    target = Target(kind="deployment", deployment_id=first.deployment_id)
    pushed = "c" * 40
    world.table.pipelines.change("web", ahead_tip=pushed, ahead_since=1.0)

    # WHEN both come, the newer one first
    world.send(make_request(50, target=target, **ROLLBACK))
    worker.step()
    world.send(make_request(49, commit_id=pushed))
    worker.step()

    # THEN A runs, and C counts as handled: the drift check has nothing to ask for
    assert world.row.running_commit == A
    assert (world.row.handled_tip, world.row.ahead_tip) == (pushed, None)


def test_a_rollback_to_what_never_ran_is_refused(world: World) -> None:
    for number, named in enumerate(("web-20260101000000-000000", "api-20260101000000-000000")):
        target = Target(kind="deployment", deployment_id=named)
        world.send(make_request(number, target=target, **ROLLBACK))
        world.worker().step()
    assert [r.status for r in world.topic.results] == ["failed", "failed"]
    assert "has no deployment" in (world.topic.results[0].cause or "")
    assert what_happened(world.topic.results[0]).startswith("an earlier deployment failed")


def test_a_commit_that_is_named_is_the_one_that_is_told_of(world: World) -> None:
    # GIVEN an operator who asks for a commit that the repository has not
    unknown = "5" * 40
    target = Target(kind="commit", commit_id=unknown)

    def refuse() -> None:
        raise DeploymentFailed("there is no such commit", stage="fetch")

    world.source.on_fetch = refuse
    # WHEN, THEN it, and not the branch's tip, is what failed
    world.send(make_request(1, target=target, commit_id=unknown, reason="redeploy"))
    world.worker().step()
    (result,) = world.topic.results
    assert what_happened(result) == "commit 55555555 failed in the fetch"
    assert world.row.handled_tip is None
    # AND whose tip could not be fetched is told as before
    world.send(make_request(2))
    world.worker().step()
    assert what_happened(world.topic.results[-1]).startswith("the branch's tip failed")


def test_a_named_commit_is_built_and_pushes_do_not_supersede_it(world: World) -> None:
    named = make_request(1, target=Target(kind="commit", commit_id=B), reason="redeploy")
    push = make_request(2)
    world.send(named, push)
    worker = world.worker()
    worker.step()
    assert world.outcome(named) == "succeeded"
    world.send_body(push.to_json())  # what was given back for a moment
    worker.step()
    assert world.images.built == [B, A]
    assert [r.status for r in world.topic.results] == ["succeeded", "succeeded"]
