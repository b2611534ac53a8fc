"""A deployment's outcome as it is recorded and told."""

from __future__ import annotations

from urllib.parse import quote

from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest, Commit, DeploymentResult
from slipway.contracts.table.deployments import DeploymentRow
from slipway.following.outcome import Ended
from slipway.rollout import short

LOG_LINES = 40
LOG_LINE_CHARACTERS = 400
CHANGES = 20
"""Lines on what a task definition changed."""
CAUSE_CHARACTERS = 2000
"""So that a notice stays far below SNS's 256 KiB."""


def result_of(
    row: DeploymentRow,
    request: BuildRequest,
    ended: Ended,
    *,
    settles: int,
    failures: int,
    ended_at: float,
    place: Installation,
) -> DeploymentResult:
    """What is recorded of `row`, which `request` asked for and which ended so.

    `failures`: of the pipeline, in a row, before this one.
    """
    lines = ended.log_tail[-LOG_LINES:]
    return DeploymentResult(
        deployment_id=row.deployment_id,
        pipeline=row.pipeline,
        status=ended.status,
        stage=ended.stage,
        reason=request.reason,
        settles=settles,
        request_id=request.request_id,
        commit=ended.commit or _named(request),
        pushed_by=request.pushed_by,
        pushed_at=request.pushed_at,
        started_at=row.started_at,
        ended_at=ended_at,
        image_digest=ended.image_digest,
        task_definition_before=ended.before,
        task_definition_after=ended.after or begun_rollout(row),
        now_running=ended.now_running,
        timings={stage: round(seconds, 3) for stage, seconds in ended.timings.items()},
        cause=ended.cause[:CAUSE_CHARACTERS] if ended.cause else None,
        warning=ended.warning,
        tests=ended.tests,
        log_tail=tuple(line[:LOG_LINE_CHARACTERS] for line in lines),
        log_link=_log_link(place, row.deployment_id),
        commits_since=ended.commits_since,
        commits_since_count=ended.commits_since_count,
        failures_before=failures,
        told_by=ended.told_by,
        cancelled_by=ended.cancelled_by,
        services=ended.services,
        definition_changes=_shortened(ended.definition_changes),
        untouched_since=ended.untouched_since,
    )


def _shortened(changes: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The first lines, and how many more there are."""
    if changes is None or len(changes) <= CHANGES:
        return changes and tuple(line[:LOG_LINE_CHARACTERS] for line in changes)
    more = f"and {len(changes) - CHANGES} more"
    return (*(line[:LOG_LINE_CHARACTERS] for line in changes[:CHANGES]), more)


def begun_rollout(row: DeploymentRow) -> str | None:
    """`family:revision` that was about to be given to the service, or was given it."""
    return short(row.task_definition_after) if row.task_definition_after else None


def _named(request: BuildRequest) -> Commit | None:
    """The commit that a request names, which may be none of the repository; None: it asks for the
    branch's tip, and which that was is not known.
    """
    named = request.target.commit_id or request.commit_id
    return Commit(id=named) if named and not request.is_tip else None


def _log_link(place: Installation, deployment_id: str) -> str | None:
    if place.mode != "aws":
        return None
    return console_link(place.partition, place.region, place.names.build_log_group, deployment_id)


def console_link(partition: str, region: str, group: str, stream: str) -> str:
    """Where a person reads a stream: the console quotes twice, with `$25` for `%`."""
    domain = {"aws-us-gov": "console.amazonaws-us-gov.com"}
    host = domain.get(partition, f"{region}.console.aws.amazon.com")

    def twice(text: str) -> str:
        return quote(quote(text, safe=""), safe="").replace("%", "$")

    place = f"log-group/{twice(group)}/log-events/{twice(stream)}"
    return f"https://{host}/cloudwatch/home?region={region}#logsV2:log-groups/{place}"
