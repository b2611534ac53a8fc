"""Deployment rows as the agent writes them: begun or found again, followed, ended, announced."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from build_agent.host.clock import Clock, utc_stamp
from build_agent.host.identity import HostIdentity
from build_agent.host.stop import Interrupted
from build_agent.telling.close import Closer
from build_agent.telling.logs import console_link
from build_agent.telling.outcome import Ended, pipeline_changes
from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest, Commit, DeploymentResult
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock
from slipway.rollout import short

LOG_LINES = 40
LOG_LINE_CHARACTERS = 400
CAUSE_CHARACTERS = 2000
"""So that a notice stays far below SNS's 256 KiB."""

LOOKED_BACK = 20
"""Deployments looked at for one that was left behind; each that begins looks anew."""


class Recorder:
    """A deployment's row: begun, its stages, its outcome, and whether people were told."""

    def __init__(
        self,
        table: Table,
        *,
        installation: Installation,
        host: HostIdentity,
        closer: Closer,
        clock: Clock,
    ) -> None:
        self._table = table
        self._installation = installation
        self._host = host
        self._closer = closer
        self._clock = clock

    def begin(self, request: BuildRequest, lock: Lock) -> DeploymentRow | None:
        """The deployment of `request`: the one that was begun before, or a new one.

        The pointer is written first: whoever gets the request after a crash finds the deployment.
        None: the request was settled by another worker before anything was begun for it.
        """
        now = self._clock.now()
        kept = self._installation.limits.deployments_kept
        new_id = new_deployment_id(request, self._host, now)
        deployment_id = self._table.requests.point(request.request_id, new_id, now, kept=kept)
        if deployment_id is None:
            return None
        found = self._table.deployments.get(deployment_id) if deployment_id != new_id else None
        if found is None:
            row = self._new_row(deployment_id, request, lock, now)
            self._table.deployments.start(row, kept=kept)
            return row
        if found.ended_at is None:
            self._table.deployments.note(
                deployment_id, host_id=self._host.host_id, boot=self._host.boot, fence=lock.fence
            )
        return found

    def find(self, deployment_id: str) -> DeploymentRow | None:
        return self._table.deployments.get(deployment_id)

    def unannounced(self, pipeline: str) -> list[DeploymentRow]:
        """The pipeline's newest deployments that have no outcome, or one that nobody was told."""
        return [row for row in self.newest(pipeline) if row.announced_at is None]

    def newest(self, pipeline: str) -> list[DeploymentRow]:
        return self._table.deployments.newest(pipeline, LOOKED_BACK)

    def enter(self, deployment_id: str, stage: str) -> None:
        self._table.deployments.enter_stage(deployment_id, stage, self._clock.now())

    def note(self, deployment_id: str, **values: object) -> None:
        self._table.deployments.note(deployment_id, **values)

    def finish(
        self,
        row: DeploymentRow,
        request: BuildRequest,
        ended: Ended,
        *,
        settles: int,
        lock: Lock | None,
    ) -> DeploymentResult:
        """Record the outcome and what it changes in the pipeline's row, in one transaction.

        The outcome that was recorded first stands. Interrupted if the lock is not held any more.
        """
        pipeline = self._table.pipelines.get(request.pipeline)
        result = self._result(row, request, ended, settles, failures=pipeline.failures)
        changes = pipeline_changes(request, result, pipeline, ended.tip_seen)
        if self._table.deployments.finish(result, changes, lock=lock):
            return result
        before = self._table.deployments.get(row.deployment_id)
        if before is None or before.result is None:
            raise Interrupted("the outcome could not be recorded: the pipeline lock was lost")
        return before.result

    def announce(self, result: DeploymentResult) -> None:
        """Publish the close notice, then note that SNS took it."""
        self._closer.deployment(result)
        self._table.deployments.announced(result.deployment_id, self._clock.now())

    def _new_row(
        self, deployment_id: str, request: BuildRequest, lock: Lock, now: float
    ) -> DeploymentRow:
        return DeploymentRow(
            deployment_id=deployment_id,
            pipeline=request.pipeline,
            request_id=request.request_id,
            reason=request.reason,
            pushed_by=request.pushed_by,
            pushed_at=request.pushed_at,
            started_at=now,
            host_id=self._host.host_id,
            boot=self._host.boot,
            fence=lock.fence,
            stages={"received": now},
        )

    def _result(
        self,
        row: DeploymentRow,
        request: BuildRequest,
        ended: Ended,
        settles: int,
        *,
        failures: int,
    ) -> DeploymentResult:
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
            ended_at=self._clock.now(),
            image_digest=ended.image_digest,
            task_definition_before=ended.before,
            task_definition_after=ended.after or begun_rollout(row),
            now_running=ended.now_running,
            timings=_rounded(ended.timings),
            cause=ended.cause[:CAUSE_CHARACTERS] if ended.cause else None,
            warning=ended.warning,
            log_tail=tuple(line[:LOG_LINE_CHARACTERS] for line in lines),
            log_link=self._log_link(row.deployment_id),
            commits_since=ended.commits_since,
            commits_since_count=ended.commits_since_count,
            failures_before=failures,
            told_by=ended.told_by,
        )

    def _log_link(self, deployment_id: str) -> str | None:
        place = self._installation
        if place.mode != "aws":
            return None
        return console_link(place.partition, place.region, place.names.build_log_group,
                            deployment_id)  # fmt: skip


def tip_request_of(row: DeploymentRow) -> BuildRequest | None:
    """The tip request that a deployment is of; None for one of a named target."""
    if row.reason not in ("push", "drift") or row.pushed_at is None:
        return None
    return BuildRequest(
        request_id=row.request_id,
        pipeline=row.pipeline,
        pushed_by=row.pushed_by,
        pushed_at=row.pushed_at,
        reason="push" if row.reason == "push" else "drift",
    )


def begun_rollout(row: DeploymentRow) -> str | None:
    """`family:revision` that an earlier attempt was about to give to the service, or gave it."""
    return short(row.task_definition_after) if row.task_definition_after else None


def new_deployment_id(request: BuildRequest, host: HostIdentity, now: float) -> str:
    """`<pipeline>-<YYYYMMDDHHMMSS>-<6 hex digits>`, in order of time within a pipeline."""
    text = f"{request.request_id}\n{host.holder}\n{now!r}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{request.pipeline}-{utc_stamp(now)}-{digest}"


def _named(request: BuildRequest) -> Commit | None:
    """The commit that a request names, which may be none of the repository; None: it asks for the
    branch's tip, and which that was is not known.
    """
    named = request.target.commit_id or request.commit_id
    return Commit(id=named) if named and not request.is_tip else None


def _rounded(timings: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(seconds, 3) for stage, seconds in timings.items()}
