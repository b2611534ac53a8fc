"""Without a service, dry runs, other bases, and one-off tasks."""

from __future__ import annotations

from typing import Any

import pytest

from build_agent.rollout import (
    OneOffTask,
    Timeouts,
)
from contracts.errors import WrongUse
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, Json, ScriptedEcs
from tests.unit.rollout.running import V8, run


def test_registering_alone_asks_neither_for_a_service_nor_for_the_image() -> None:
    scripted = ScriptedEcs()

    def no_ecr() -> Any:
        raise AssertionError("ECR was asked")

    result = run(scripted, service=None, base="definition:web", image=f"{IMAGE}:v8", ecr=no_ecr)

    assert (result.outcome, result.done, result.after) == ("registered", True, V8)
    assert [n for n, _ in scripted.calls] == ["DescribeTaskDefinition", "RegisterTaskDefinition"]


def test_a_dry_run_takes_the_same_path_and_changes_nothing() -> None:
    scripted = ScriptedEcs()

    result = run(scripted, image=f"{IMAGE}:v8", dry_run=True)

    assert result.outcome == "planned"
    assert result.changes == (f"containerDefinitions[web].image: {IMAGE}:v7 → {IMAGE}:v8",)
    assert [n for n, _ in scripted.calls] == ["DescribeServices", "DescribeTaskDefinition"]


def test_the_base_may_be_the_newest_revision() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))
    newest = {"family": "web", "cpu": "512", "containerDefinitions": [
        {"name": "web", "image": f"{IMAGE}:v1"}
    ]}  # fmt: skip
    scripted.add_definition(newest)

    run(scripted, image=f"{IMAGE}:v9", base="family")

    assert scripted.made("RegisterTaskDefinition")[0]["cpu"] == "512"


def exits(**codes: int | None) -> Any:
    def behave(scripted: ScriptedEcs, task: Json) -> Json:
        containers = [
            {"name": n, "lastStatus": "STOPPED"} | ({} if c is None else {"exitCode": c})
            for n, c in codes.items()
        ]

        def stop() -> None:
            reason = "Essential container in task exited"
            task.update(lastStatus="STOPPED", containers=containers, stoppedReason=reason)

        scripted.at(5.0, stop)
        return task

    return behave


@pytest.mark.parametrize(
    ("codes", "outcome", "at_the_end", "says"),
    [
        ({"web": 0, "sidecar": 0}, "succeeded", "web:8", ""),
        ({"web": 0, "sidecar": 3}, "failed", "web:7", "container sidecar exit code 3"),
        ({"web": 0, "sidecar": None}, "failed", "web:7", "Essential container in task exited"),
    ],
)
def test_a_task_before_the_update_needs_every_exit_code_to_be_0(
    codes: dict[str, int | None], outcome: str, at_the_end: str, says: str
) -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), one_off=exits(**codes))
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    scripted.service |= {"launchType": "FARGATE", "networkConfiguration": network}

    result = run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(command=("migrate", "--now")))

    assert (result.outcome, scripted.live) == (outcome, at_the_end)
    assert says in result.cause
    (started,) = scripted.made("RunTask")
    assert started["taskDefinition"] == V8
    assert (started["launchType"], started["networkConfiguration"]) == ("FARGATE", network)
    assert started["overrides"] == {
        "containerOverrides": [{"name": "web", "command": ["migrate", "--now"]}]
    }


def test_a_task_that_does_not_end_is_stopped() -> None:
    scripted = ScriptedEcs(one_off=lambda _ecs, task: task)

    result = run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(), timeouts=Timeouts(task=30.0))

    assert (result.outcome, scripted.live) == ("failed", "web:7")
    assert "not over after 30 s" in result.cause
    assert len(scripted.made("StopTask")) == 1
    assert scripted.made("UpdateService") == []


def test_an_unknown_container_for_the_command_is_refused_before_registering() -> None:
    scripted = ScriptedEcs()

    with pytest.raises(WrongUse, match="no container 'db'"):
        run(scripted, image=f"{IMAGE}:v8", task=OneOffTask(command=("x",), container="db"))
    assert scripted.made("RegisterTaskDefinition") == []
