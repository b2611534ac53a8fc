"""What a stopped container said last, or where that is."""

from __future__ import annotations

import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from slipway.following.containers import LINES, ContainersOutput, failed_container
from tests.aws.answers import AwsFake, refused
from tests.unit.build_agent.world import make_pipeline

TASKDEF = "arn:aws:ecs:us-east-1:222222222222:task-definition/web:8"
OLDER = TASKDEF.replace(":8", ":7")
GROUP = "/ecs/shop"
OPTIONS = {"awslogs-group": GROUP, "awslogs-stream-prefix": "shop", "awslogs-region": "us-east-1"}
SAID = ["starting", "panic: no database"]


def task(number: int, *, definition: str = TASKDEF, exits: dict[str, int | None]) -> dict[str, Any]:
    return {
        "taskArn": f"arn:aws:ecs:us-east-1:222222222222:task/prod/{number:032x}",
        "taskDefinitionArn": definition,
        "stoppedAt": datetime.fromtimestamp(1_800_000_000 + number, UTC),
        "containers": [
            {"name": name, "runtimeId": f"docker-{name}",
             **({} if code is None else {"exitCode": code})}
            for name, code in exits.items()
        ],
    }  # fmt: skip


def container(name: str, **changes: Any) -> dict[str, Any]:
    logs = {"logDriver": "awslogs", "options": OPTIONS}
    members = {"name": name, "logConfiguration": logs, **changes}
    return {name: value for name, value in members.items() if value is not None}


class Ecs(AwsFake, service="ecs"):
    def __init__(self, *tasks: dict[str, Any], containers: list[dict[str, Any]]) -> None:
        self.tasks, self.containers = tasks, containers
        self.error: Exception | None = None

    def list_tasks(self, *, cluster: str, serviceName: str, desiredStatus: str) -> dict[str, Any]:
        assert desiredStatus == "STOPPED"
        if self.error:
            raise self.error
        return {"taskArns": [t["taskArn"] for t in self.tasks]}

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> dict[str, Any]:
        return {"tasks": list(self.tasks), "failures": []}

    def describe_task_definition(self, *, taskDefinition: str) -> dict[str, Any]:
        assert taskDefinition == TASKDEF
        return {"taskDefinition": {"containerDefinitions": self.containers}}


class Logs(AwsFake, service="logs"):
    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.error: Exception | None = None
        self.read: list[tuple[str, str]] = []

    def get_log_events(
        self, *, logGroupName: str, logStreamName: str, limit: int
    ) -> dict[str, Any]:
        self.read.append((logGroupName, logStreamName))
        if self.error:
            raise self.error
        events = [{"timestamp": 1, "message": line, "ingestionTime": 1} for line in self.said]
        return {"events": events[-limit:]}


def lines(ecs: Ecs, logs: Logs, *groups: str) -> tuple[str, ...]:
    pipeline = make_pipeline(log_groups=groups)
    return ContainersOutput(ecs, lambda: logs, region="us-east-1").of_stopped(pipeline, TASKDEF)


def test_the_last_lines_of_the_container_that_failed_are_read_where_they_may_be() -> None:
    # GIVEN a crash loop of the new revision, and an older one's task that stopped as it should
    ecs = Ecs(
        task(1, exits={"proxy": 0, "web": 1}),
        task(2, exits={"proxy": 0, "web": 3}),
        task(3, definition=OLDER, exits={"web": 143}),
        containers=[container("proxy"), container("web")],
    )
    logs = Logs([f"line {number}" for number in range(50)] + SAID)
    # WHEN the group is configured
    told = lines(ecs, logs, GROUP)
    # THEN they are of the newest task, and where the rest is comes last
    assert told[0] == "Last lines of container web, which ended with exit code 3:"
    assert told[1:-1] == tuple([f"line {n}" for n in range(50)][-LINES + 2 :] + SAID)
    assert logs.read == [(GROUP, f"shop/web/{2:032x}")]
    assert told[-1].startswith("All that container web said: aws logs get-log-events ")


@pytest.mark.parametrize(
    "error",
    [
        refused("logs", "GetLogEvents", "ResourceNotFoundException"),
        refused("logs", "GetLogEvents", "AccessDeniedException"),
        EndpointConnectionError(endpoint_url="https://logs.example"),
    ],
    ids=["no stream", "denied", "no network"],
)
def test_what_cannot_be_read_is_said_to_be_where_it_is(error: Exception) -> None:
    ecs, logs = Ecs(task(1, exits={"web": 1}), containers=[container("web")]), Logs(SAID)
    logs.error = error
    (told,) = lines(ecs, logs, GROUP)
    assert "aws logs get-log-events" in told


def test_a_group_that_is_not_configured_is_not_asked_for() -> None:
    ecs, logs = Ecs(task(1, exits={"web": 1}), containers=[container("web")]), Logs(SAID)
    (told,) = lines(ecs, logs, "/ecs/other")
    assert logs.read == []
    assert "--log-group-name /ecs/shop " in told


def test_the_command_that_is_told_is_one_of_the_aws_cli(tmp_path: Path) -> None:
    # GIVEN what a notice says of a group whose name a shell would take apart
    options = {**OPTIONS, "awslogs-group": "/ecs/#shop"}
    logs_of = {"logDriver": "awslogs", "options": options}
    ecs = Ecs(task(1, exits={"web": 1}), containers=[container("web", logConfiguration=logs_of)])
    (told,) = lines(ecs, Logs(SAID))
    # WHEN the AWS CLI is given that, and only asked what its answer would look like
    words = shlex.split(told.partition(": ")[2])
    assert words[0] == "aws"
    assert {"/ecs/#shop", f"shop/web/{1:032x}"} <= set(words)
    done = subprocess.run(
        [sys.executable, "-m", "awscli", *words[1:], "--generate-cli-skeleton", "output"],
        env={"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # THEN it knows every word, and would print one line for each event's message
    assert (done.returncode, done.stdout.split()) == (0, ["message"]), done.stderr


@pytest.mark.parametrize(
    ("logs_of", "says"),
    [
        (None, "Container web has no log driver in its task definition."),
        ({"logDriver": "splunk"}, "What container web said went to its log driver, splunk."),
        ({"logDriver": "awsfirelens"}, "went to its log driver, awsfirelens."),
    ],
)
def test_other_drivers_are_named(logs_of: Any, says: str) -> None:
    ecs = Ecs(task(1, exits={"web": 1}), containers=[container("web", logConfiguration=logs_of)])
    (told,) = lines(ecs, Logs(SAID), GROUP)
    assert told.endswith(says)


def test_without_a_prefix_the_stream_is_the_docker_container() -> None:
    options = {"awslogs-group": GROUP}
    logs_of = {"logDriver": "awslogs", "options": options}
    ecs = Ecs(task(1, exits={"web": 1}), containers=[container("web", logConfiguration=logs_of)])
    logs = Logs(SAID)
    lines(ecs, logs, GROUP)
    assert logs.read == [(GROUP, "docker-web")]


def test_logs_of_another_region_are_only_told_of() -> None:
    options = {**OPTIONS, "awslogs-region": "eu-west-1"}
    logs_of = {"logDriver": "awslogs", "options": options}
    ecs = Ecs(task(1, exits={"web": 1}), containers=[container("web", logConfiguration=logs_of)])
    logs = Logs(SAID)
    (told,) = lines(ecs, logs, GROUP)
    assert logs.read == []
    assert told.endswith("--region eu-west-1")


def test_nothing_is_said_where_no_task_stopped_or_ecs_does_not_tell() -> None:
    ecs = Ecs(task(1, definition=OLDER, exits={"web": 143}), containers=[container("web")])
    assert lines(ecs, Logs(SAID), GROUP) == ()
    assert lines(Ecs(containers=[container("web")]), Logs(SAID), GROUP) == ()
    ecs.error = refused("ecs", "ListTasks", "ThrottlingException")
    assert lines(ecs, Logs(SAID), GROUP) == ()


def test_where_no_container_failed_the_essential_one_is_meant() -> None:
    definitions = [container("sidecar", essential=False), container("web")]
    found = failed_container(task(1, exits={"sidecar": None, "web": None}), definitions)
    assert found is not None
    assert found.name == "web"
