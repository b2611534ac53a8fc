"""What the emulator's table, EC2 and queue say right now, for the panel beside the messages.

`Reader` asks, `assemble` puts together (pure). Whatever cannot be read is said in `problem`, and
the page goes on: it also runs alone, without an emulator.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.accounts import client_of
from local.state import State
from slipway.contracts.codec import decode
from slipway.contracts.errors import SlipwayError
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.wants import Want

CLOCKS_DIFFER = 1.0
"""Seconds: EC2 tells a launch's time in whole ones."""
LATEST = 6
"""Deployments read per pipeline: the newest is shown, the others tell the usual time."""


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """A stage that began; `ended_at` is missing while it is under way. Seconds since the epoch."""

    name: str
    started_at: float
    ended_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentStatus:
    """The newest deployment. `status` is missing while it runs; `usual`: seconds, if known.

    `stage`: the one under way, or the one that decided the outcome. `followed_by`: who follows its
    rollout, which needs no host; `next_look`: when it is looked at next.
    """

    deployment_id: str
    reason: str
    stage: str
    started_at: float
    ended_at: float | None = None
    status: str | None = None
    detail: str | None = None
    commit: str | None = None
    subject: str | None = None
    stages: tuple[StageStatus, ...] = ()
    usual: float | None = None
    followed_by: str | None = None
    next_look: float | None = None


@dataclass(frozen=True, kw_only=True)
class PipelineStatus:
    """What a pipeline runs, and its newest deployment."""

    name: str
    branch: str
    service_url: str
    running_commit: str | None = None
    running_since: float | None = None
    running_by: str | None = None
    failures: int = 0
    paused: bool = False
    wanted: bool = False
    deployment: DeploymentStatus | None = None


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One pipeline's work on a host; `builds`: it has a build slot."""

    pipeline: str
    stage: str
    builds: bool


@dataclass(frozen=True, kw_only=True)
class HostStatus:
    """A build host: EC2's word for it (`running`, `stopped` …) and its own.

    `runs`: what it is at; `free_slots`: how many more builds it would take.
    """

    instance_id: str
    ec2: str
    state: str | None = None
    runs: tuple[RunStatus, ...] = ()
    free_slots: int = 0
    heartbeat_at: float | None = None
    held: bool = False


@dataclass(frozen=True, kw_only=True)
class Status:
    """Everything on the panel; `problem` says in a sentence what could not be read."""

    pipelines: tuple[PipelineStatus, ...] = ()
    hosts: tuple[HostStatus, ...] = ()
    requests_waiting: int | None = None
    requests_held: int | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Instance:
    """EC2's word for an instance, and when it was launched (started) last."""

    state: str
    launched_at: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What `Reader` has read; `deployments` newest first, `ec2` by instance id."""

    pipelines: Mapping[str, PipelineRow]
    wants: tuple[Want, ...] = ()
    hosts: tuple[HostRow, ...] = ()
    deployments: Mapping[str, list[DeploymentRow]] = field(default_factory=dict)
    ec2: Mapping[str, Instance] = field(default_factory=dict)
    waiting: int | None = None
    held: int | None = None


def assemble(state: State, rows: Rows, now: float) -> Status:
    """The panel's content from what the local run is and what was read."""
    wanted = {want.pipeline for want in rows.wants}
    named = {host.host_id: host for host in rows.hosts}
    return Status(
        pipelines=tuple(
            _pipeline(
                name,
                pipeline.branch,
                pipeline.service_url,
                rows.pipelines.get(name, PipelineRow(pipeline=name)),
                rows.deployments.get(name, []),
                wanted=name in wanted,
                now=now,
            )
            for name, pipeline in sorted(state.pipelines.items())
        ),
        hosts=tuple(
            _host(host.instance_id, rows.ec2.get(host.instance_id), named.get(host.instance_id))
            for host in state.hosts
        ),
        requests_waiting=rows.waiting,
        requests_held=rows.held,
    )


def _pipeline(
    name: str,
    branch: str,
    service_url: str,
    row: PipelineRow,
    deployments: list[DeploymentRow],
    *,
    wanted: bool,
    now: float,
) -> PipelineStatus:
    return PipelineStatus(
        name=name,
        branch=branch,
        service_url=service_url,
        running_commit=row.running_commit,
        running_since=row.running_since,
        running_by=row.running_by,
        failures=row.failures,
        paused=row.paused,
        wanted=wanted,
        deployment=_deployment(deployments[0], deployments[1:], now) if deployments else None,
    )


def _deployment(row: DeploymentRow, earlier: list[DeploymentRow], now: float) -> DeploymentStatus:
    return DeploymentStatus(
        deployment_id=row.deployment_id,
        reason=row.reason,
        stage=row.stage,
        started_at=row.started_at,
        ended_at=row.ended_at,
        status=row.status,
        detail=row.detail,
        commit=row.commit.id if row.commit else None,
        subject=row.commit.subject if row.commit else None,
        stages=stages_of(row),
        usual=usual_time(earlier),
        followed_by=row.followed_by(now),
        next_look=row.next_look,
    )


def stages_of(row: DeploymentRow) -> tuple[StageStatus, ...]:
    """The stages in the order in which they began; each ends where the next begins."""
    begun = sorted(row.stages.items(), key=lambda item: item[1])
    ends = [*(at for _, at in begun), row.ended_at][1:]
    return tuple(
        StageStatus(name=name, started_at=at, ended_at=end)
        for (name, at), end in zip(begun, ends, strict=True)
    )


def usual_time(earlier: list[DeploymentRow]) -> float | None:
    """Seconds: the middle one of the earlier successes; None without any."""
    times = sorted(
        row.ended_at - row.started_at
        for row in earlier
        if row.status == "succeeded" and row.ended_at is not None
    )
    return times[len(times) // 2] if times else None


def _host(instance_id: str, ec2: Instance | None, row: HostRow | None) -> HostStatus:
    """A row that was last written before the instance's launch is of an earlier boot."""
    awake = None
    if row is not None and ec2 is not None and ec2.state == "running":
        awake = row if row.heartbeat_at >= ec2.launched_at - CLOCKS_DIFFER else None
    return HostStatus(
        instance_id=instance_id,
        ec2=ec2.state if ec2 else "unknown",
        state=awake.state if awake else None,
        runs=tuple(
            RunStatus(pipeline=run.pipeline, stage=run.stage, builds=run.builds)
            for run in (awake.runs if awake else ())
        ),
        free_slots=awake.free_slots if awake else 0,
        heartbeat_at=awake.heartbeat_at if awake else None,
        held=bool(row and row.held),
    )


class Reader:
    """Reads with boto3 what `state_file` names; its clients are made once per local run."""

    def __init__(
        self,
        state_file: Path | None,
        clients: Callable[[str, str, str, str], Any] = client_of,
    ) -> None:
        self._state_file = state_file
        self._clients = clients
        self._made: dict[tuple[str, str, str, str], Any] = {}

    def read(self) -> Status:
        """The status now; never raises for what a file or the emulator can be like."""
        if self._state_file is None:
            return Status(problem="Started without --state: only messages are shown.")
        try:
            state = decode(State, json.loads(self._state_file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Status(problem="The local run is still starting.")
        except (OSError, ValueError, SlipwayError) as error:
            return Status(problem=f"The local run's state cannot be read: {error}")
        try:
            return assemble(state, self._rows(state), time.time())
        except (ClientError, BotoCoreError, SlipwayError) as error:
            return Status(problem=f"The emulator cannot be read: {error}")

    def _rows(self, state: State) -> Rows:
        table = Table(self._client("dynamodb", state), state.table)
        waiting, held = self._queue(state)
        return Rows(
            pipelines=table.pipelines.all(),
            wants=tuple(table.wants.all()),
            hosts=tuple(table.hosts.all()),
            deployments={name: table.deployments.newest(name, LATEST) for name in state.pipelines},
            ec2=self._instances(state),
            waiting=waiting,
            held=held,
        )

    def _instances(self, state: State) -> dict[str, Instance]:
        ids = [host.instance_id for host in state.hosts]
        if not ids:
            return {}
        answer = self._client("ec2", state).describe_instances(InstanceIds=ids)
        found = [i for r in answer["Reservations"] for i in r["Instances"]]
        return {
            i["InstanceId"]: Instance(i["State"]["Name"], i["LaunchTime"].timestamp())
            for i in found
        }

    def _queue(self, state: State) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._client("sqs", state).get_queue_attributes(
            QueueUrl=state.queue_url, AttributeNames=names
        )
        waiting, held = (int(answer["Attributes"].get(name, 0)) for name in names)
        return waiting, held

    def _client(self, service: str, state: State) -> Any:
        key = (service, state.endpoint_url, state.prod_account, state.region)
        if key not in self._made:
            self._made[key] = self._clients(*key)
        return self._made[key]
