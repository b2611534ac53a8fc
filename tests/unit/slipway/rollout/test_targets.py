"""To a revision that exists, following what is under way, and forced deployments."""

from __future__ import annotations

import pytest

from slipway.rollout import (
    Progress,
)
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, ScriptedEcs, digest_of
from tests.unit.slipway.rollout.running import V6, V7, V8, run


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
def test_goes_to_an_earlier_revision_without_registering(history: bool) -> None:
    scripted = ScriptedEcs(history=history)

    result = run(scripted, target=V6)

    assert (result.outcome, scripted.live, result.before, result.after) == (
        "succeeded",
        "web:6",
        V7,
        V6,
    )
    assert scripted.made("RegisterTaskDefinition") == []


def test_an_earlier_revision_that_does_not_get_healthy_is_taken_back() -> None:
    scripted = ScriptedEcs(behaviour=ecs.crashes)

    result = run(scripted, target="web:6")

    assert (result.outcome, result.restored, scripted.live) == ("crash_loop", True, "web:7")


def test_what_runs_already_is_not_updated() -> None:
    scripted = ScriptedEcs()

    result = run(scripted, target=V7)

    assert (result.outcome, result.running, result.done) == ("unchanged", V7, True)
    assert scripted.made("UpdateService") == []


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
@pytest.mark.parametrize(
    ("behaviour", "outcome", "restored", "at_the_end"),
    [
        (ecs.becomes_healthy(8.0), "succeeded", None, "web:8"),
        (ecs.crashes, "crash_loop", True, "web:7"),
        (ecs.breaker_rolls_back(having_run=True), "rolled_back", True, "web:7"),
    ],
)
def test_an_interrupted_rollout_is_followed_and_not_repeated(
    behaviour: ecs.Behaviour, outcome: str, restored: bool | None, at_the_end: str, history: bool
) -> None:
    # GIVEN a deployment of ours under way, whose agent was killed after UpdateService
    scripted = ScriptedEcs(behaviour=behaviour, history=history)
    new = scripted.add_definition(
        {"family": "web", "containerDefinitions": [{"name": "web", "image": f"{IMAGE}:v8"}]}
    )
    scripted.client().update_service(cluster="prod", service="web", taskDefinition=new)
    scripted.clock.sleep(3.0)
    scripted.calls.clear()

    # WHEN the next agent goes to the same target
    result = run(scripted, target=new, previous=V7)

    # THEN it is followed to its end and put right, and never started again
    assert (result.outcome, result.restored) == (outcome, restored)
    assert (scripted.live, result.after, result.before) == (at_the_end, V8, V7)
    assert [u for u in scripted.made("UpdateService") if u["taskDefinition"] == new] == []


def test_an_agent_killed_before_the_update_updates() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(2.0))
    new = scripted.add_definition(
        {"family": "web", "containerDefinitions": [{"name": "web", "image": f"{IMAGE}:v8"}]}
    )

    result = run(scripted, target=new, previous=V7)

    assert (result.outcome, scripted.live) == ("succeeded", "web:8")


def test_the_revision_is_told_before_the_service_changes() -> None:
    # GIVEN somebody who must remember what was registered
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    told: list[tuple[Progress, int]] = []

    # WHEN
    run(
        scripted,
        image=f"{IMAGE}:v8",
        on_progress=lambda p: told.append((p, len(scripted.made("UpdateService")))),
    )

    # THEN it was told while nothing had been updated
    update = next(item for item in told if item[0].step == "update")
    assert (update[0].task_definition, update[0].revision, update[1]) == (V8, "web:8", 0)


def test_a_forced_deployment_only_updates() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(3.0))

    result = run(scripted, force=True)

    assert (result.outcome, scripted.live) == ("succeeded", "web:7")
    (update,) = scripted.made("UpdateService")
    assert update == {
        "cluster": scripted.service["clusterArn"],
        "service": "web",
        "forceNewDeployment": True,
    }
    assert scripted.made("RegisterTaskDefinition") == []


def test_a_failed_forced_deployment_goes_back_to_the_digest_that_ran() -> None:
    # GIVEN a moving tag, tasks that run a digest of it, and an ECS without service deployments
    scripted = ScriptedEcs(behaviour=ecs.crashes, history=False)
    ran = digest_of("41")
    container = {"name": "web", "image": f"{IMAGE}:v7", "imageDigest": ran}
    scripted.add_task(V7, "RUNNING", containers=[container])

    # WHEN what the tag is now crashes
    result = run(scripted, force=True)

    # THEN a revision that names the digest runs, and the answer says so
    assert (result.outcome, result.restored, scripted.live) == ("crash_loop", True, "web:8")
    (registered,) = scripted.made("RegisterTaskDefinition")
    assert registered["containerDefinitions"][0]["image"] == f"{IMAGE}@{ran}"
    assert result.running == V8
    assert "web:8 runs again" in result.cause


def test_a_failed_forced_deployment_is_rolled_back_by_ecs_where_it_can() -> None:
    # GIVEN the same with service deployments, whose numbers say nothing of ours
    scripted = ScriptedEcs(behaviour=ecs.crashes, number_matches=False)

    result = run(scripted, force=True)

    # THEN ECS itself goes back to its service revision, which holds the digest
    assert (result.outcome, result.restored) == ("crash_loop", True)
    assert len(scripted.made("StopServiceDeployment")) == 1
    assert len(scripted.made("UpdateService")) == 1
