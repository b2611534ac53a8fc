"""Deployment rows as agent and follower write them: begun or found again, ended, announced."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from slipway.contracts.errors import Interrupted
from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest, DeploymentResult
from slipway.contracts.stamps import utc_stamp
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock
from slipway.following.closing import Clock, Closer, Host
from slipway.following.outcome import Ended, pipeline_changes, with_mixed
from slipway.following.result import result_of

LOOKED_BACK = 20
"""Deployments looked at for one that was left behind; each that begins looks anew."""


class Recorder:
    """A deployment's row: begun, its stages, its outcome, and whether people were told."""

    def __init__(
        self,
        table: Table,
        *,
        installation: Installation,
        host: Host | None,
        closer: Closer,
        clock: Clock,
    ) -> None:
        """`host`: who works on it; None: the follower."""
        self._table = table
        self._installation = installation
        self._host_id = host.host_id if host else ""
        self._boot = host.boot if host else ""
        self._closer = closer
        self._clock = clock

    def begin(self, request: BuildRequest, lock: Lock) -> DeploymentRow | None:
        """The deployment of `request`: the one that was begun before, or a new one.

        The pointer is written first: whoever gets the request after a crash finds the deployment.
        None: the request was settled by another worker before anything was begun for it. Raises
        Interrupted where a later holder of the lock works on it.
        """
        now = self._clock.now()
        kept = self._installation.limits.deployments_kept
        new_id = new_deployment_id(request, lock, now)
        deployment_id = self._table.requests.point(request.request_id, new_id, now, kept=kept)
        if deployment_id is None:
            return None
        found = self._table.deployments.get(deployment_id) if deployment_id != new_id else None
        if found is None:
            row = self._new_row(deployment_id, request, lock, now)
            self._table.deployments.start(row, kept=kept)
            return row
        return found if found.ended_at is not None else self._take_up(found, lock)

    def find(self, deployment_id: str) -> DeploymentRow | None:
        return self._table.deployments.get(deployment_id)

    def unannounced(self, pipeline: str) -> list[DeploymentRow]:
        """The pipeline's newest deployments that have no outcome, or one that nobody was told."""
        return [row for row in self.newest(pipeline) if row.announced_at is None]

    def left_behind(
        self, newest: BuildRequest, *, joined_at: float = 0.0
    ) -> list[tuple[BuildRequest, DeploymentRow]]:
        """Deployments of older pushes whose requests may never come again, with those.

        A run `again` has no message in the queue; if the world failed it, its want brings it back,
        unless a newer request of the tip has taken that want over. Whoever deals with that one,
        `newest`, ends them under the pipeline's lock, or tells how they ended. Where a later push
        has joined the run of `newest`, that may be what took the want: then all that is older than
        `joined_at`, when that was pushed, ends.
        """
        older, until = [], max(newest.pushed_at, joined_at)
        for row in self.unannounced(newest.pipeline):
            request = tip_request_of(row)
            if request is None or request.request_id == newest.request_id:
                continue
            if request.pushed_at <= until:
                older.append((request, row))
        return older

    def newest(self, pipeline: str) -> list[DeploymentRow]:
        return self._table.deployments.newest(pipeline, LOOKED_BACK)

    def enter(self, row: DeploymentRow, stage: str) -> None:
        """Note that a stage starts, unless another works on it by now: the row is what its taker
        has got from `begin`.
        """
        now = self._clock.now()
        self._table.deployments.enter_stage(row.deployment_id, stage, now, under=row.fence)

    def note(self, row: DeploymentRow, **values: object) -> None:
        """Set members of the row, unless another works on it by now."""
        self._table.deployments.note(row.deployment_id, under=row.fence, **values)

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
        result = result_of(
            row, request, ended, settles=settles, failures=pipeline.failures,
            ended_at=self._clock.now(), place=self._installation,
        )  # fmt: skip
        result = with_mixed(result, pipeline)
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

    def _take_up(self, found: DeploymentRow, lock: Lock) -> DeploymentRow:
        """An earlier attempt's deployment, as this worker's."""
        mine = replace(found, host_id=self._host_id, boot=self._boot, fence=lock.fence)
        if self._table.deployments.take_up(
            found.deployment_id, host_id=mine.host_id, boot=mine.boot, fence=mine.fence
        ):
            return mine
        now_there = self._table.deployments.get(found.deployment_id)
        if now_there is None or now_there.ended_at is None:
            raise Interrupted("the pipeline lock was lost: another works on the deployment")
        return now_there

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
            fence=lock.fence,
            host_id=self._host_id,
            boot=self._boot,
            stages={"received": now},
        )


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


def new_deployment_id(request: BuildRequest, lock: Lock, now: float) -> str:
    """`<pipeline>-<YYYYMMDDHHMMSS>-<6 hex digits>`, in order of time within a pipeline."""
    text = f"{request.request_id}\n{lock.holder}\n{now!r}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{request.pipeline}-{utc_stamp(now)}-{digest}"
