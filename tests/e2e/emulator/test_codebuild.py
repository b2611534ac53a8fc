"""Builds of CodeBuild: a project of a template, its role, and the ways in which a build ends."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from local.emulator.process import start_emulator
from local.emulator.settings import EmulatorSettings
from local.ports import free_ports
from local.waiting import wait_for
from tests.e2e.emulator.world import (
    PROD,
    REGION,
    World,
    allow,
    error_code,
    listener,
    policy,
    role_resource,
)

PROJECT = "works"
PROJECT_ARN = f"arn:aws:codebuild:{REGION}:{PROD}:project/{PROJECT}"
GROUP = "/builds"
LOGS = f"arn:aws:logs:{REGION}:{PROD}:log-group:{GROUP}:*"
BUILDSPEC = {
    "version": 0.2,
    "phases": {
        "build": {
            "commands": [
                "aws sts get-caller-identity --query Arn --output text",
                'if [ -n "$TOPICS" ]; then aws sns list-topics >/dev/null || exit 1; fi',
                "sleep ${SECONDS_OF_WORK:-0}",
                'echo "$GREETING in $AWS_REGION"',
            ]
        }
    },
}


@pytest.fixture(scope="module")
def project(world: World) -> dict[str, str]:
    """A project whose builds may write their logs, and a queue that hears of them."""
    return world.deploy("codebuild", resources())


def resources() -> dict[str, Any]:
    logging = allow("logs:CreateLogStream", "logs:PutLogEvents", resource=LOGS)
    return {
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": GROUP}},
        "Role": role_resource("works", "codebuild.amazonaws.com", logging),
        "Project": {
            "Type": "AWS::CodeBuild::Project",
            "Properties": {
                "Name": PROJECT,
                "ServiceRole": {"Fn::GetAtt": ["Role", "Arn"]},
                "Source": {"Type": "NO_SOURCE", "BuildSpec": json.dumps(BUILDSPEC)},
                "Artifacts": {"Type": "NO_ARTIFACTS"},
                "Environment": {
                    "Type": "LINUX_CONTAINER",
                    "ComputeType": "BUILD_GENERAL1_SMALL",
                    "Image": "aws/codebuild/amazonlinux-x86_64-standard:6.0",
                    "EnvironmentVariables": [{"Name": "GREETING", "Value": "hello"}],
                },
                "LogsConfig": {
                    "CloudWatchLogs": {
                        "Status": "ENABLED",
                        "GroupName": GROUP,
                        "StreamName": "builder",
                    }
                },
                "TimeoutInMinutes": 60,
            },
        },
        **listener(
            "of-builds",
            {
                "source": ["aws.codebuild"],
                "detail-type": ["CodeBuild Build State Change"],
                "detail": {
                    "project-name": [PROJECT],
                    "build-status": ["SUCCEEDED", "FAILED", "STOPPED"],
                },
            },
        ),
    }


def start(world: World, **variables: str) -> str:
    override = [{"name": n, "value": v, "type": "PLAINTEXT"} for n, v in variables.items()]
    asked = {"projectName": PROJECT, "environmentVariablesOverride": override}
    return str(world.root("codebuild").start_build(**asked)["build"]["id"])


def build(world: World, build_id: str) -> dict[str, Any]:
    found = world.root("codebuild").batch_get_builds(ids=[build_id])
    return dict(found["builds"][0])


def ended(world: World, build_id: str) -> str:
    """How it ended."""

    def status() -> str | None:
        found = build(world, build_id)
        return str(found["buildStatus"]) if found["buildComplete"] else None

    return wait_for(f"the end of {build_id}", status, seconds=90)


def told(world: World, project: dict[str, str]) -> tuple[str, str]:
    """What the next event says: of which build, and what."""
    detail = json.loads(world.receive(project["Heard"]))["detail"]
    return detail["build-id"].rpartition(":build/")[2], detail["build-status"]


def processes(build_id: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CODEBUILD_BUILD_ID") == build_id:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_build_is_its_projects_role_and_says_what_it_does(
    world: World, project: dict[str, str]
) -> None:
    # WHEN
    build_id = start(world)
    # THEN it succeeds, which is told
    assert ended(world, build_id) == "SUCCEEDED"
    assert told(world, project) == (build_id, "SUCCEEDED")
    # AND THEN it was a session of the role, with the project's variables, in the project's logs
    number = build_id.rpartition(":")[2]
    events = world.root("logs").get_log_events(
        logGroupName=GROUP, logStreamName=f"builder/{number}"
    )["events"]
    lines = [event["message"] for event in events]
    assert f"arn:aws:sts::{PROD}:assumed-role/works/AWSCodeBuild-{number}" in lines
    assert f"hello in {REGION}" in lines
    assert build(world, build_id)["logs"]["groupName"] == GROUP


def test_a_build_may_do_what_its_role_may_and_no_more(
    world: World, project: dict[str, str]
) -> None:
    # GIVEN a role that may not list topics
    build_id = start(world, TOPICS="yes")
    assert ended(world, build_id) == "FAILED"
    assert told(world, project) == (build_id, "FAILED")
    # WHEN it may
    world.root("iam").put_role_policy(
        RoleName="works",
        PolicyName="more",
        PolicyDocument=json.dumps(policy(allow("sns:ListTopics"))),
    )
    # THEN
    build_id = start(world, TOPICS="yes")
    assert ended(world, build_id) == "SUCCEEDED"
    assert told(world, project) == (build_id, "SUCCEEDED")


def test_a_build_that_is_stopped_ends_with_all_that_it_started(
    world: World, project: dict[str, str]
) -> None:
    # GIVEN a build at work
    build_id = start(world, SECONDS_OF_WORK="600")
    wait_for("its work", lambda: len(processes(build_id)) > 1, seconds=60)
    # WHEN
    world.root("codebuild").stop_build(id=build_id)
    # THEN
    assert processes(build_id) == []
    assert build(world, build_id)["buildStatus"] == "STOPPED"
    assert told(world, project) == (build_id, "STOPPED")


def test_a_build_that_takes_too_long_is_ended(world: World, project: dict[str, str]) -> None:
    asked = {
        "projectName": PROJECT,
        "timeoutInMinutesOverride": 5,
        "environmentVariablesOverride": [{"name": "SECONDS_OF_WORK", "value": "600"}],
    }
    build_id = world.root("codebuild").start_build(**asked)["build"]["id"]
    assert ended(world, build_id) == "TIMED_OUT"
    assert processes(build_id) == []
    assert told(world, project) == (build_id, "FAILED")


def test_the_limit_refuses_and_the_token_does_not_start_twice(
    world: World, project: dict[str, str]
) -> None:
    codebuild = world.root("codebuild")
    asked = {"projectName": PROJECT, "idempotencyToken": "api-1"}
    world.internal("POST", "codebuild/limit", {"builds": 1})
    try:
        first = codebuild.start_build(**asked)["build"]["id"]
        assert codebuild.start_build(**asked)["build"]["id"] == first
        with pytest.raises(codebuild.exceptions.AccountLimitExceededException):
            codebuild.start_build(projectName=PROJECT)
    finally:
        world.internal("POST", "codebuild/limit", {"builds": None})
    assert codebuild.list_builds_for_project(projectName=PROJECT)["ids"][0] == first
    assert ended(world, first) == "SUCCEEDED"
    assert told(world, project) == (first, "SUCCEEDED")


def test_who_asks_is_asked_for_the_project(world: World, project: dict[str, str]) -> None:
    # GIVEN a role that may look at another project's builds only
    role = world.role("watcher")
    role.allow("codebuild:BatchGetBuilds", resource=PROJECT_ARN + "-other")
    client = role.client("codebuild")
    # WHEN / THEN
    with pytest.raises(ClientError) as refused:
        client.batch_get_builds(ids=[f"{PROJECT}-other:1", f"{PROJECT}:1"])
    assert error_code(refused.value) == "AccessDeniedException"
    assert client.batch_get_builds(ids=[f"{PROJECT}-other:1"])["buildsNotFound"]
    # AND WHEN it may look at both
    role.allow("codebuild:BatchGetBuilds", resource=PROJECT_ARN + "*")
    client.batch_get_builds(ids=[f"{PROJECT}-other:1", f"{PROJECT}:1"])
    with pytest.raises(ClientError) as refused:
        client.stop_build(id=f"{PROJECT}:1")
    assert error_code(refused.value) == "AccessDeniedException"


def test_the_emulators_end_ends_its_builds(tmp_path) -> None:
    # GIVEN an emulator of its own, with a build at work
    docker_host = f"unix://{tmp_path}/no-docker.sock"
    settings = EmulatorSettings(port=free_ports(1)[0], data_dir=tmp_path, docker_host=docker_host)
    emulator = start_emulator(settings)
    try:
        world = World(emulator)
        world.deploy("codebuild", resources())
        build_id = start(world, SECONDS_OF_WORK="600")
        wait_for("its work", lambda: len(processes(build_id)) > 1, seconds=60)
    finally:
        # WHEN
        emulator.stop()
    # THEN
    assert processes(build_id) == []
