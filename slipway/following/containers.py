"""What the containers themselves said last, for a rollout whose tasks stopped; or where that is.

Where a container's output goes is in its task definition. It is read where that is CloudWatch Logs
and the configuration names the group (`service.logGroups`): without that the host's role may not.
Everything else gets a line that says where it is. None of this ever fails a deployment.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.contracts.installation import PipelineSettings

LINES = 15
"""Of one container; with what stands around them they fit in a notice's twenty."""
AWSLOGS = "awslogs"

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Stopped:
    """One container of a stopped task: its definition, and ECS's word on it."""

    task_id: str
    definition: Data
    told: Data

    @property
    def name(self) -> str:
        return str(self.definition["name"])

    @property
    def driver(self) -> str:
        return str((self.definition.get("logConfiguration") or {}).get("logDriver") or "")

    @property
    def options(self) -> Data:
        options: Data = (self.definition.get("logConfiguration") or {}).get("options") or {}
        return options

    @property
    def group(self) -> str:
        return str(self.options.get("awslogs-group") or "")

    @property
    def stream(self) -> str:
        """`prefix/container/task`; without a prefix the container's id at its Docker daemon.

        (ECS developer guide, 'Send Amazon ECS logs to CloudWatch'.)
        """
        prefix = self.options.get("awslogs-stream-prefix")
        if prefix:
            return f"{prefix}/{self.name}/{self.task_id}"
        return str(self.told.get("runtimeId") or "")


class ContainersOutput:
    """`ecs` and `logs` are botocore's clients of `region`; `logs` is made when it is needed."""

    def __init__(self, ecs: Any, logs: Callable[[], Any], *, region: str) -> None:
        self._ecs = ecs
        self._logs = logs
        self._region = region

    def of_stopped(self, pipeline: PipelineSettings, task_definition: str) -> tuple[str, ...]:
        """Lines about the newest stopped task of `task_definition` (an ARN), if there is one.

        The last lines of the container that failed, where they may be read; last, where all is.
        """
        try:
            found = self._failed_container(pipeline, task_definition)
        except (ClientError, BotoCoreError):
            return ()
        if found is None:
            return ()
        return (*self._read(found, pipeline.log_groups), self._where(found))

    def _failed_container(self, pipeline: PipelineSettings, task_definition: str) -> Stopped | None:
        task = self._newest_stopped(pipeline, task_definition)
        if task is None:
            return None
        answer = self._ecs.describe_task_definition(taskDefinition=task_definition)
        definitions = answer["taskDefinition"].get("containerDefinitions") or []
        return failed_container(task, definitions)

    def _newest_stopped(self, pipeline: PipelineSettings, task_definition: str) -> Data | None:
        listed = self._ecs.list_tasks(
            cluster=pipeline.cluster, serviceName=pipeline.service, desiredStatus="STOPPED"
        )
        if not listed["taskArns"]:
            return None
        answer = self._ecs.describe_tasks(cluster=pipeline.cluster, tasks=listed["taskArns"])
        ours = [t for t in answer["tasks"] if t.get("taskDefinitionArn") == task_definition]
        return max(ours, key=_stopped_at, default=None)

    def _read(self, found: Stopped, readable: Sequence[str]) -> Iterator[str]:
        here = found.options.get("awslogs-region", self._region) == self._region
        if found.driver != AWSLOGS or found.group not in readable or not here or not found.stream:
            return
        try:
            answer = self._logs().get_log_events(
                logGroupName=found.group, logStreamName=found.stream, limit=LINES
            )
        except (ClientError, BotoCoreError):
            return
        lines = [str(event["message"]) for event in answer["events"]]
        if lines:
            code = found.told.get("exitCode")
            exit_code = "" if code is None else f", which ended with exit code {code}"
            yield f"Last lines of container {found.name}{exit_code}:"
            yield from lines

    def _where(self, found: Stopped) -> str:
        """Where a person finds what the container said."""
        if not found.driver:
            return f"Container {found.name} has no log driver in its task definition."
        if found.driver != AWSLOGS or not found.group or not found.stream:
            return f"What container {found.name} said went to its log driver, {found.driver}."
        region = str(found.options.get("awslogs-region") or self._region)
        command = show_command(found.group, found.stream, region)
        return f"All that container {found.name} said: {shlex.join(command)}"


def show_command(group: str, stream: str, region: str) -> list[str]:
    """How the AWS CLI, of either version, shows a stream's last lines."""
    return [
        "aws", "logs", "get-log-events", "--log-group-name", group, "--log-stream-name", stream,
        "--query", "events[].[message]", "--output", "text", "--region", region,
    ]  # fmt: skip


def failed_container(task: Data, definitions: Sequence[Data]) -> Stopped | None:
    """The container that ended the task: the first that failed, else the first essential one."""
    task_id = str(task["taskArn"]).rpartition("/")[2]
    told = {str(c.get("name")): c for c in task.get("containers") or []}
    there = [Stopped(task_id, d, told.get(str(d["name"]), {})) for d in definitions]
    failed = [c for c in there if c.told.get("exitCode")]
    essential = [c for c in there if c.definition.get("essential", True)]
    return next(iter([*failed, *essential]), None)


def _stopped_at(task: Data) -> float:
    at = task.get("stoppedAt")
    return at.timestamp() if at is not None else 0.0
