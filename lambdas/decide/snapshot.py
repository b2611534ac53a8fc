"""Gathers the Snapshot that `decide` looks at. Table and EC2 are read, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.decide.codebuild import BuildTold, ended_builds, machines_since, told_builds
from lambdas.decide.situation import Host, IdleNotice, Snapshot, Tip
from lambdas.decide.upkeep import drift_due
from lambdas.shared.observability import logger
from lambdas.shared.refusals import code_of
from lambdas.shared.services import Services
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.table.builders import BuilderRow, is_builder
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.table.locks import LockRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.places import Place

NO_BRANCH = "BranchDoesNotExistException"
"""What CodeCommit answers of an empty repository, too."""


@dataclass(frozen=True)
class Instance:
    """What EC2 says of a host; see `Host` for what the members mean."""

    state: str = "missing"
    launched_at: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class BuildEnd:
    """CodeBuild's event: this build is over."""

    build_id: str
    status: str


def gather(
    services: Services,
    *,
    notice: IdleNotice | None = None,
    stopped: str | None = None,
    counts: bool = False,
    upkeep: bool = False,
    build_end: BuildEnd | None = None,
) -> Snapshot:
    """What stands now. `stopped`: a host that EC2's event calls stopped; `counts`: read the queue's
    too; `upkeep`: with alerts, deployments that were handed over, and the tips that are due (the
    reconciler). `build_end`: what CodeBuild's event says.

    EC2 is read first: a want that is written while this reads is seen by it, or its writer sees
    what EC2 says after the want was written. Then wants, locks and pipelines, in this order: a
    hand-over clears the want and has the lock, its outcome frees that and notes the tip as handled.
    """
    ec2 = _instances(services)
    now = services.now()
    table = services.table
    hosts = _hosts(services, ec2, stopped)
    wants = tuple(table.wants.all())
    locks = {row.pipeline: row for row in table.locks.all()}
    pipelines = table.pipelines.all()
    engine = services.installation.builders
    builders, places = _builders(services)
    told = _told(services, builders) if upkeep else {}
    queued, held = _counts(services) if counts else (0, 0)
    return Snapshot(
        now=now,
        limits=services.installation.limits,
        hosts=hosts,
        wants=wants,
        locks=locks,
        pipelines=pipelines,
        alerts=tuple(table.alerts.all()) if upkeep else (),
        queued=queued,
        held_messages=held,
        notice=notice,
        tips=_tips(services, pipelines, now) if upkeep else {},
        giving_way=frozenset(
            pipeline.name
            for pipeline in services.installation.pipelines
            if pipeline.rollout.new_push == "takeOver"
        ),
        handed_over=_handed_over(services, locks.values()) if upkeep else {},
        engine=engine,
        builders=builders,
        pending=tuple(table.pending.all()) if engine.uses_code_build else (),
        build_ends=_build_ends(builders, told, build_end),
        machines=machines_since(told),
        places=places,
        builder_hosts=_builder_hosts(services, builders) if upkeep else {},
        configured=frozenset(pipeline.name for pipeline in services.installation.pipelines),
    )


def _builders(services: Services) -> tuple[dict[str, BuilderRow], tuple[Place, ...]]:
    """After the wants: who notes one sees a builder that has said it is done, or that one sees the
    want.
    """
    if not services.installation.builders.uses_code_build:
        return {}, ()
    return services.table.builders.with_places()


def _told(services: Services, builders: Mapping[str, BuilderRow]) -> dict[str, BuildTold]:
    """What CodeBuild tells of the builds of live builders."""
    try:
        return told_builds(services, list(builders.values()))
    except (ClientError, BotoCoreError) as error:  # hosts and wants are looked after all the same
        logger.warning("CodeBuild does not answer", extra={"error": str(error)})
        return {}


def _build_ends(
    builders: Mapping[str, BuilderRow], told: Mapping[str, BuildTold], said: BuildEnd | None
) -> dict[str, str]:
    """How the builds of live builders ended, for those that are over; events come sooner."""
    ended = ended_builds(told)
    for name, row in builders.items():
        if said is not None and row.is_live and row.build_id == said.build_id:
            ended[name] = said.status
    return ended


def _builder_hosts(services: Services, builders: Mapping[str, BuilderRow]) -> dict[str, HostRow]:
    """What builders tell of themselves; where none is live nothing is read."""
    if not any(row.is_live for row in builders.values()):
        return {}
    return {row.host_id: row for row in services.table.hosts.all() if is_builder(row.host_id)}


def _handed_over(services: Services, locks: Iterable[LockRow]) -> dict[str, DeploymentRow | None]:
    """The rows of deployments that hold a lock, or have freed one and are not wholly closed."""
    ids = {name for lock in locks for name in (lock.deployment, lock.untold) if name}
    rows = services.table.deployments.get_many(sorted(ids))
    return {deployment_id: rows.get(deployment_id) for deployment_id in sorted(ids)}


def _instances(services: Services) -> dict[str, Instance]:
    """By instance id; asked for with a filter, so that a vanished one is no error."""
    if not services.hosts:
        return {}
    answer = services.ec2.describe_instances(
        Filters=[{"Name": "instance-id", "Values": list(services.hosts)}]
    )
    return {
        instance["InstanceId"]: Instance(
            instance["State"]["Name"], instance["LaunchTime"].timestamp(), _reason(instance)
        )
        for reservation in answer["Reservations"]
        for instance in reservation["Instances"]
    }


def _reason(instance: Mapping[str, Any]) -> str:
    """EC2's reason for the last change of state, its code first (AWS's messages begin with it)."""
    given = instance.get("StateReason") or {}
    code, message = str(given.get("Code") or ""), str(given.get("Message") or "")
    return message if message.startswith(code) else f"{code}: {message}"


def _hosts(
    services: Services, ec2: Mapping[str, Instance], stopped: str | None
) -> tuple[Host, ...]:
    if not services.hosts:
        return ()
    rows = {row.host_id: row for row in services.table.hosts.all()}
    hosts = []
    for host_id in services.hosts:
        seen = ec2.get(host_id, Instance())
        state = seen.state
        if host_id == stopped and state == "stopping":
            state = "stopped"  # EC2's answers lag behind its events; a wrong start is refused
        row = rows.get(host_id, HostRow(host_id=host_id))
        host = Host(row=row, ec2_state=state, launched_at=seen.launched_at, reason=seen.reason)
        hosts.append(host)
    return tuple(hosts)


def _counts(services: Services) -> tuple[int, int]:
    """Visible, and in flight or delayed: both lag by a minute or more."""
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    answer = services.sqs.get_queue_attributes(QueueUrl=services.queue_url, AttributeNames=names)
    visible, in_flight, delayed = (int(answer["Attributes"].get(name, 0)) for name in names)
    return visible, in_flight + delayed


def _tips(services: Services, rows: Mapping[str, PipelineRow], now: float) -> dict[str, Tip]:
    every = services.installation.limits.drift_every
    tips = {}
    for pipeline in services.installation.pipelines:
        row = rows.get(pipeline.name, PipelineRow(pipeline=pipeline.name))
        if row.paused or not drift_due(row, now, every=every):
            continue
        tips[pipeline.name] = _tip(services, pipeline)
    return tips


def _tip(services: Services, pipeline: PipelineSettings) -> Tip:
    try:
        answer: Any = services.codecommit_as(pipeline).get_branch(
            repositoryName=pipeline.repository, branchName=pipeline.branch
        )
    except ClientError as error:
        absent = code_of(error) == NO_BRANCH
        return Tip() if absent else Tip(problem=str(error))
    except BotoCoreError as error:
        return Tip(problem=str(error))
    return Tip(commit_id=answer["branch"]["commitId"])
