"""A revision that failed does not stay its family's newest, and nothing that is named goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.rollout import RolloutResult
from tests import scripted_ecs as ecs
from tests.aws.wire import Fault
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import IMAGE, PREFIX, ScriptedEcs, denied
from tests.unit.slipway.following.three_ways import Chain
from tests.unit.slipway.rollout.running import V7, V8, run
from tests.unit.slipway.rollout.test_codedeploy import BACK, FAILS
from tests.unit.slipway.rollout.test_registering import MIGRATE, exits
from tests.unit.slipway.rollout.test_stepwise import codedeploy_world, world

ROLLED_BACK = ecs.breaker_rolls_back(having_run=True)


def rolled(scripted: ScriptedEcs, **plan: Any) -> RolloutResult:
    return run(scripted, **{"image": f"{IMAGE}:v8", "discard_failed": True, **plan})


def newest(scripted: ScriptedEcs) -> str:
    """What a stack that names the bare family would start."""
    active = [arn for arn, of in scripted.definitions.items() if of["status"] == "ACTIVE"]
    return max(active, key=lambda arn: int(arn.rpartition(":")[2])).rpartition("/")[2]


ENDS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("crashes, ECS stops it", {"behaviour": ecs.crashes}, {}, "web:7"),
    ("crashes, set back", {"behaviour": ecs.crashes, "history": False}, {}, "web:7"),
    ("never steady", {"behaviour": ecs.never_steady}, {}, "web:7"),
    ("ECS rolls back", {"behaviour": ROLLED_BACK}, {}, "web:7"),
    ("ECS ends it", {"behaviour": ecs.breaker_fails}, {}, "web:7"),
    ("its task fails", {"one_off": exits(web=1)}, {"task": MIGRATE}, "web:7"),
    ("well", {"behaviour": ecs.becomes_healthy(2.0)}, {}, "web:8"),
    ("well, and pruned", {"behaviour": ecs.becomes_healthy(2.0)}, {"max_definitions": 1}, "web:8"),
    ("left as it is: it runs", {"behaviour": ecs.crashes}, {"rollback": False}, "web:8"),
    ("another deployment took over", {"behaviour": ecs.superseded}, {}, "web:8"),
    ("not asked for", {"behaviour": ecs.crashes}, {"discard_failed": False}, "web:8"),
    ("to an earlier one", {"behaviour": ecs.crashes}, {"image": None, "target": "web:6"}, "web:7"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "plan", "stays"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS]
)
def test_what_is_the_familys_newest_afterwards(
    state: dict[str, Any], plan: dict[str, Any], stays: str
) -> None:
    scripted = ScriptedEcs(**state)

    result = rolled(scripted, **plan)

    assert newest(scripted) == stays, result
    gone = scripted.made("DeregisterTaskDefinition")
    named = [] if stays == "web:8" or "target" in plan else [{"taskDefinition": V8}]
    assert (gone if "max_definitions" not in plan else []) == named
    assert result.warnings == ()


def test_what_went_back_and_what_goes_are_told_in_one_result() -> None:
    result = rolled(ScriptedEcs(behaviour=ecs.breaker_fails))

    assert (result.outcome, result.restored, result.running) == ("failed", True, V7)
    assert result.deregistered == (V8,)


def of_the_plan_that_ecs_refuses() -> ScriptedEcs:
    text = "The container web does not exist in the task definition."
    fault = {"UpdateService": Fault("InvalidParameterException", text)}
    return ScriptedEcs(faults=fault, one_off=exits(web=0))


def test_a_revision_that_the_service_refuses_goes_too() -> None:
    scripted = of_the_plan_that_ecs_refuses()

    result = rolled(scripted, task=MIGRATE)

    assert (result.outcome, result.running, newest(scripted)) == ("failed", V7, "web:7")
    assert "does not exist in the task definition" in result.cause
    assert result.warnings == ("the pre-deploy task ran, and what it did is not undone",)


def test_a_follower_discards_it_too_and_tells_the_refusal() -> None:
    scripted = of_the_plan_that_ecs_refuses()
    chain = Chain(world(scripted, discard_failed=True, task=MIGRATE))

    chain.by_follower()

    (told,) = chain.said.told
    assert told.status == "failed"
    assert "does not exist in the task definition" in (told.cause or "")
    assert newest(scripted) == "web:7"


def names_it(scripted: ScriptedEcs) -> None:
    other = {"serviceName": "admin", "serviceArn": f"{PREFIX}:service/prod/admin"}
    scripted.others.append(other | {"taskDefinition": V8})


def deploys_it(scripted: ScriptedEcs) -> None:
    other = {"serviceName": "admin", "serviceArn": f"{PREFIX}:service/prod/admin"}
    deployment = {"id": "ecs-svc/9", "status": "ACTIVE", "taskDefinition": V8}
    scripted.others.append(other | {"taskDefinition": V7, "deployments": [deployment]})


def runs_it(scripted: ScriptedEcs) -> None:
    scripted.add_task(V8, "RUNNING")


@pytest.mark.parametrize("happens", [names_it, deploys_it, runs_it])
def test_what_anything_names_stays_and_that_is_said(happens: Any) -> None:
    # GIVEN something that takes the new revision up while it is being rolled out
    def behaves(scripted: ScriptedEcs, new: dict[str, Any]) -> None:
        happens(scripted)
        ROLLED_BACK(scripted, new)

    scripted = ScriptedEcs(behaviour=behaves)

    # WHEN it fails
    result = rolled(scripted)

    # THEN it stays, after a minute of looking again
    assert scripted.made("DeregisterTaskDefinition") == []
    assert result.outcome == "rolled_back"
    assert result.warnings == (
        "web:8, which failed, was not deregistered: something still names it",
    )


def test_the_last_tasks_of_the_failed_deployment_are_waited_for() -> None:
    def behaves(scripted: ScriptedEcs, new: dict[str, Any]) -> None:
        task = scripted.add_task(V8, "RUNNING")
        scripted.at(30.0, lambda: task.update(lastStatus="STOPPED", desiredStatus="STOPPED"))
        ROLLED_BACK(scripted, new)

    scripted = ScriptedEcs(behaviour=behaves)

    assert rolled(scripted).deregistered == (V8,)


@pytest.mark.parametrize("operation", ["DeregisterTaskDefinition", "ListServices", "ListTasks"])
def test_what_is_not_allowed_is_a_warning_and_nothing_goes(operation: str) -> None:
    scripted = ScriptedEcs(behaviour=ROLLED_BACK, faults={operation: denied(f"ecs:{operation}")})

    result = rolled(scripted)

    assert (result.outcome, result.restored, newest(scripted)) == ("rolled_back", True, "web:8")
    (warning,) = result.warnings
    assert warning.startswith("web:8, which failed, was not deregistered: not allowed")


def test_codedeploys_failures_leave_no_newest_revision_either() -> None:
    deploy = ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=[FAILS, BACK])
    made = codedeploy_world(deploy)
    chain = Chain(replace(made, plan=replace(made.plan, discard_failed=True)))

    chain.by_follower()

    assert chain.row.result is not None
    assert chain.row.result.status in ("rolled_back", "failed")
    assert newest(deploy.ecs) == "web:7"
