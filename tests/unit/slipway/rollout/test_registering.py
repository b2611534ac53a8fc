"""Without a service, dry runs, other bases, and one-off tasks."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.contracts.errors import WrongUse
from slipway.rollout import (
    OneOffTask,
    Timeouts,
)
from slipway.rollout.oneoff import placement
from slipway.rollout.service import parse_service
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, Json, ScriptedEcs
from tests.unit.slipway.rollout.running import V8, run


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
            ended = {"lastStatus": "STOPPED", "desiredStatus": "STOPPED"}
            task.update(ended, containers=containers, stoppedReason=reason)

        scripted.at(5.0, stop)
        return task

    return behave


def with_sidecar(scripted: ScriptedEcs, *, essential: bool) -> None:
    live = scripted.definitions[scripted.service["taskDefinition"]]
    live["containerDefinitions"].append(
        {"name": "sidecar", "image": "proxy:1", "essential": essential}
    )


MIGRATE = OneOffTask(command=("migrate", "--now"))


@pytest.mark.parametrize(
    ("task", "essential", "codes", "ok"),
    [
        (MIGRATE, False, {"web": 0, "sidecar": 0}, True),
        (MIGRATE, False, {"web": 0, "sidecar": 137}, True),
        (MIGRATE, False, {"web": 0, "sidecar": 143}, True),
        (MIGRATE, False, {"web": 0, "sidecar": None}, True),
        (MIGRATE, False, {"web": 0, "sidecar": 0, "injected-by-aws": 137}, True),
        (MIGRATE, False, {"web": 1, "sidecar": 0}, False),
        (MIGRATE, False, {"web": None, "sidecar": 0}, False),
        (MIGRATE, False, {"sidecar": 0}, False),
        (MIGRATE, True, {"web": 0, "sidecar": 3}, False),
        (MIGRATE, True, {"web": 0, "sidecar": None}, False),
        (OneOffTask(command=("x",), container="sidecar"), False, {"web": 0, "sidecar": 3}, False),
        # --wait-for-success, as documented: every container
        (OneOffTask(), False, {"web": 0, "sidecar": 0}, True),
        (OneOffTask(), False, {"web": 0, "sidecar": 137}, False),
        (OneOffTask(), False, {"web": 0, "sidecar": None}, False),
    ],
)
def test_which_exit_codes_of_a_task_before_the_update_count(
    task: OneOffTask, essential: bool, codes: dict[str, int | None], ok: bool
) -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), one_off=exits(**codes))
    with_sidecar(scripted, essential=essential)

    result = run(scripted, image=f"{IMAGE}:v8", task=task)

    wanted = ("succeeded", "web:8") if ok else ("failed", "web:7")
    assert (result.outcome, scripted.live) == wanted, result
    assert ok or "task" in result.cause


def test_a_task_before_the_update_runs_where_the_service_does() -> None:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), one_off=exits(web=0))
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    scripted.service |= {"launchType": "FARGATE", "networkConfiguration": network}

    run(scripted, image=f"{IMAGE}:v8", task=MIGRATE)

    (started,) = scripted.made("RunTask")
    assert started["taskDefinition"] == V8
    assert (started["launchType"], started["networkConfiguration"]) == ("FARGATE", network)
    assert started["overrides"] == {
        "containerOverrides": [{"name": "web", "command": ["migrate", "--now"]}]
    }


FARGATE = {"launchType": "FARGATE", "platformVersion": "1.4.0"}
SPOT = {"capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]}
GROUP = {"capacityProviderStrategy": [{"capacityProvider": "my-hosts", "weight": 1}]}
GPU = {"placementConstraints": [{"type": "memberOf", "expression": "attribute:gpu == yes"}]}


def vpc(**members: Any) -> dict[str, Any]:
    return {"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a"], **members}}}


PUBLIC, PRIVATE = vpc(assignPublicIp="ENABLED"), vpc()


@pytest.mark.parametrize(
    ("task", "service", "placed"),
    [
        ({}, FARGATE, FARGATE),
        ({}, FARGATE | PUBLIC, FARGATE | PUBLIC),
        ({"launch_type": "EC2"}, FARGATE | PUBLIC, {"launchType": "EC2"} | PRIVATE),
        ({"launch_type": "EXTERNAL"}, FARGATE, {"launchType": "EXTERNAL"}),
        ({"launch_type": "FARGATE"}, {"launchType": "EC2"} | GPU, {"launchType": "FARGATE"}),
        ({}, {"launchType": "EC2"} | GPU, {"launchType": "EC2"} | GPU),
        ({}, SPOT | {"platformVersion": "1.4.0"}, SPOT | {"platformVersion": "1.4.0"}),
        ({}, GROUP | GPU, GROUP | GPU),
        ({"launch_type": "EC2"}, SPOT | {"platformVersion": "LATEST"}, {"launchType": "EC2"}),
        ({"launch_type": "FARGATE", "platform_version": "1.3.0"}, GROUP,
         {"launchType": "FARGATE", "platformVersion": "1.3.0"}),
        ({}, {"taskSets": [{"status": "PRIMARY", **FARGATE, **PUBLIC}]}, FARGATE | PUBLIC),
    ],
)  # fmt: skip
def test_what_run_task_does_not_take_for_the_launch_type_is_left_out(
    task: dict[str, Any], service: dict[str, Any], placed: dict[str, Any]
) -> None:
    seen = parse_service({"serviceName": "web", **service})
    assert placement(OneOffTask(**task), seen) == placed


def test_a_platform_version_for_a_launch_type_that_takes_none_is_refused_first() -> None:
    scripted = ScriptedEcs()
    task = OneOffTask(launch_type="EC2", platform_version="1.4.0")

    with pytest.raises(WrongUse, match=r"platform version '1\.4\.0': only tasks on FARGATE"):
        run(scripted, image=f"{IMAGE}:v8", task=task)
    assert scripted.made("RegisterTaskDefinition") == []


def at_launch(scripted: ScriptedEcs) -> None:
    live = scripted.definitions[scripted.service["taskDefinition"]]
    live["volumes"] = [{"name": "data", "configuredAtLaunch": True}, {"name": "scratch"}]


def test_a_volume_that_is_configured_at_launch_is_the_services() -> None:
    # GIVEN a service whose volume is configured at launch, tagged from the service
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0), one_off=exits(web=0))
    at_launch(scripted)
    volume = {"sizeInGiB": 20, "volumeType": "gp3", "roleArn": "arn:aws:iam::1:role/volumes"}
    tags = {"resourceType": "volume", "tags": [{"key": "team", "value": "shop"}]}
    configured = volume | {"tagSpecifications": [{**tags, "propagateTags": "SERVICE"}]}
    scripted.primary["volumeConfigurations"] = [
        {"name": "data", "managedEBSVolume": configured},
        {"name": "of-an-older-revision", "managedEBSVolume": volume},
    ]

    # WHEN a task of the new revision is run
    result = run(scripted, image=f"{IMAGE}:v8", task=MIGRATE)

    # THEN it gets the same, but for what RunTask refuses
    assert result.outcome == "succeeded"
    (started,) = scripted.made("RunTask")
    assert started["volumeConfigurations"] == [
        {"name": "data", "managedEBSVolume": volume | {"tagSpecifications": [tags]}}
    ]


def test_a_volume_that_nobody_configures_is_refused_before_registering() -> None:
    scripted = ScriptedEcs()
    at_launch(scripted)

    with pytest.raises(WrongUse, match="volume 'data' is configured at launch"):
        run(
            scripted,
            service=None,
            base="definition:web",
            image=f"{IMAGE}:v8",
            task=OneOffTask(),
        )
    assert scripted.made("RegisterTaskDefinition") == []


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
