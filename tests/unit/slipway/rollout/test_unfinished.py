"""What fails after AWS was changed: never wrong use, and it says what goes on there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway.contracts.errors import Interrupted, WorldFailed, WrongUse
from slipway.rollout import OneOffTask, RolloutPlan, RolloutResult, Unfinished, roll_out
from tests import scripted_ecs as ecs
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import IMAGE, Fault, ScriptedEcs, denied
from tests.unit.slipway.rollout.running import V7, V8, run

EXPIRED = Fault("ExpiredTokenException", "The security token included in the request is expired")
REVOKED = Fault("UnrecognizedClientException", "The security token is invalid.")
READS = (
    "DescribeServices",
    "ListServiceDeployments",
    "DescribeServiceDeployments",
    "ListTasks",
    "DescribeTasks",
    "UpdateService",
    "StopServiceDeployment",
)


def all_refused(scripted: ScriptedEcs, fault: Fault) -> Callable[[], None]:
    return lambda: scripted.faults.update(dict.fromkeys(READS, fault))


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (EXPIRED, "is expired"),
        (REVOKED, "is invalid"),
        (denied("ecs:DescribeServices"), "not allowed"),
        (Fault("ServerException", "broken", 500), "was not answered"),
    ],
    ids=["expired", "revoked", "denied", "broken"],
)
def test_a_session_that_ends_after_the_update_leaves_what_it_began(
    fault: Fault, says: str, history: bool
) -> None:
    # GIVEN a release that crashes, and a session that ends two seconds after UpdateService
    def behave(scripted: ScriptedEcs, new: ecs.Json) -> None:
        ecs.crashes(scripted, new)
        scripted.at(2.0, all_refused(scripted, fault))

    scripted = ScriptedEcs(behaviour=behave, history=history)

    # WHEN it is deployed
    with pytest.raises(Unfinished, match=says) as error:
        run(scripted, image=f"{IMAGE}:v8")

    # THEN that is the world's failure, and says which revision goes on
    assert (error.value.exit_code, error.value.goes_on, scripted.live) == (3, True, "web:8")
    assert "the deployment of web:8 goes on in ECS, unwatched" in str(error.value)
    result = error.value.result
    assert (result.outcome, result.before, result.after) == ("unwatched", V7, V8)
    assert (result.running, result.deployment) == (None, scripted.primary["id"])
    assert result.cause == str(error.value)
    assert not result.done


def test_a_network_that_stays_away_after_the_update_says_the_same() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(8.0), throttled=lambda n: n > 4)

    with pytest.raises(Unfinished, match="deployment of web:8 goes on in ECS, unwatched") as error:
        run(scripted, image=f"{IMAGE}:v8")
    assert isinstance(error.value, WorldFailed)


def test_a_lock_that_is_lost_after_the_update_says_the_same() -> None:
    # GIVEN a lock that is renewed with each progress, and lost after the update
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(8.0))

    def progress(_progress: Any) -> None:
        if scripted.clock.now() > 1003.0:
            raise WorldFailed("the lock was lost")

    with pytest.raises(Unfinished, match="the lock was lost; the deployment of web:8 goes on"):
        run(scripted, image=f"{IMAGE}:v8", on_progress=progress)


def test_work_that_is_told_to_stop_is_passed_on() -> None:
    # The agent's own: whoever comes next follows the deployment.
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(8.0))

    def progress(_progress: Any) -> None:
        if scripted.clock.now() > 1003.0:
            raise Interrupted("SIGTERM")

    with pytest.raises(Interrupted, match="SIGTERM"):
        run(scripted, image=f"{IMAGE}:v8", on_progress=progress)


def test_following_what_an_earlier_run_began_says_the_same() -> None:
    # GIVEN a deployment under way that somebody else began, and a session that ends
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(20.0))
    new = scripted.add_definition({"family": "web", "containerDefinitions": [{"name": "web",
                                   "image": f"{IMAGE}:v8"}]})  # fmt: skip
    scripted.client().update_service(cluster="prod", service="web", taskDefinition=new)
    scripted.at(2.0, all_refused(scripted, EXPIRED))

    with pytest.raises(Unfinished, match="deployment of web:8 goes on in ECS, unwatched"):
        run(scripted, target=new, previous=V7)


def test_a_rollback_that_is_lost_half_way_says_so() -> None:
    # GIVEN a release that fails, and a session that ends once the rollback has begun
    scripted = ScriptedEcs(behaviour=ecs.breaker_fails, history=False)

    def older(of: ScriptedEcs, _new: ecs.Json) -> None:
        of.at(1.0, all_refused(of, EXPIRED))

    scripted.older_behaviour = older
    result = run(scripted, image=f"{IMAGE}:v8")

    assert (result.outcome, result.restored) == ("failed", False)
    assert "going back to web:7 was begun and goes on in ECS, unwatched" in result.cause


@pytest.mark.parametrize(
    "fault",
    [
        Fault("InvalidParameterException", "Network Configuration must be provided"),
        Fault("ClientException", "No Container Instances were found in your cluster."),
    ],
)
def test_a_task_that_ecs_refuses_after_registering_is_a_failed_deployment(fault: Fault) -> None:
    scripted = ScriptedEcs(faults={"RunTask": fault})

    result = run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(command=("migrate",)))

    assert (result.outcome, result.running, scripted.live) == ("failed", V7, "web:7")
    assert fault.message.rstrip(".") in result.cause
    assert "web:8 is registered, no task was run; the service was not changed" in result.cause


def test_the_same_without_a_service() -> None:
    fault = Fault("InvalidParameterException", "Network Configuration must be provided")
    scripted = ScriptedEcs(faults={"RunTask": fault})

    result = run(
        scripted, service=None, base="definition:web", image=f"{IMAGE}:v8", task=OneOffTask()
    )

    assert (result.outcome, result.after) == ("failed", V8)
    assert "web:8 is registered" in result.cause


def test_a_task_that_may_not_be_run_leaves_the_revision_and_says_so() -> None:
    scripted = ScriptedEcs(faults={"RunTask": denied("ecs:RunTask")})

    with pytest.raises(Unfinished, match="web:8 is registered, no task was run") as error:
        run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(command=("migrate",)))
    assert (error.value.goes_on, error.value.result.running, error.value.exit_code) == (
        False,
        V7,
        3,
    )


def test_a_task_that_cannot_be_followed_says_that_it_was_started() -> None:
    scripted = ScriptedEcs(one_off=lambda _ecs, task: task)
    scripted.faults["DescribeTasks"] = EXPIRED

    with pytest.raises(Unfinished, match="web:8 is registered, its task was started; the service"):
        run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(command=("migrate",)))


def test_an_update_that_ecs_refuses_after_registering_is_a_failed_deployment() -> None:
    fault = Fault("InvalidParameterException", "The new definition does not fit the service.")
    scripted = ScriptedEcs(faults={"UpdateService": fault})

    result = run(scripted, image=f"{IMAGE}:v8")

    assert (result.outcome, scripted.live) == ("failed", "web:7")
    assert "web:8 is registered, no task was run; the service was not changed" in result.cause


def test_an_update_whose_answer_is_lost_is_not_called_unchanged() -> None:
    scripted = ScriptedEcs(faults={"UpdateService": Fault("ServerException", "broken", 500)})

    with pytest.raises(Unfinished, match="it is not known whether ECS took web:8; if it did") as e:
        run(scripted, image=f"{IMAGE}:v8")
    assert e.value.goes_on


def test_before_the_first_change_the_errors_are_what_they_were() -> None:
    for fault, kind in ((EXPIRED, WorldFailed), (Fault("ClientException", "no"), WrongUse)):
        scripted = ScriptedEcs(faults={"RegisterTaskDefinition": fault})
        with pytest.raises(kind) as error:
            run(scripted, image=f"{IMAGE}:v8")
        assert not isinstance(error.value, Unfinished)

    # AND an update that is refused while nothing was registered
    scripted = ScriptedEcs(faults={"UpdateService": Fault("ClientException", "no")})
    with pytest.raises(WrongUse, match="no"):
        run(scripted, force=True)


def test_a_success_whose_pruning_loses_the_lock_stays_a_success() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(1.0))

    def guard() -> None:
        if scripted.primary["rolloutState"] == "COMPLETED" and scripted.live == "web:8":
            raise WorldFailed("the lock was lost")

    result = run(scripted, image=f"{IMAGE}:v8", max_definitions=1, guard=guard)

    assert (result.outcome, result.deregistered) == ("succeeded", ())
    assert "old revisions were not all deregistered: the lock was lost" in result.warnings[0]


def deployed_by(deploy: ScriptedCodeDeploy) -> RolloutResult:
    return roll_out(
        RolloutPlan(cluster="prod", service="web", image=f"{IMAGE}:v8"),
        ecs=deploy.ecs.client(),
        codedeploy_client=deploy.client,
        clock=deploy.ecs.clock,
    )


def test_codedeploy_that_cannot_be_followed_goes_on_too() -> None:
    deploy = ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=[[]])
    deploy.faults["GetDeployment"] = EXPIRED

    with pytest.raises(Unfinished, match="deployment of web:8 goes on in ECS, unwatched") as error:
        deployed_by(deploy)
    assert error.value.result.deployment == "d-000000001"


def test_what_codedeploy_refuses_after_registering_is_a_failed_deployment() -> None:
    deploy = ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=[[]])
    deploy.faults["CreateDeployment"] = Fault("ValidationException", "no such thing")

    result = deployed_by(deploy)

    assert (result.outcome, result.running) == ("failed", V7)
    assert "web:8 is registered" in result.cause
