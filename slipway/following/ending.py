"""The end of a deployment that owned its rollout: recorded, told, cleared up after, decided anew.

Recording frees the pipeline's lock, which then remembers that the rest is still to do (`untold`).
Each part of that is safe to do twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from slipway.contracts.errors import Interrupted
from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest, DeploymentResult
from slipway.contracts.requesting import needs_builder
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import Claim, DeploymentRow
from slipway.contracts.table.locks import Lock, LockRow, again_request, held_by
from slipway.following.closing import Closer
from slipway.following.containers import ContainersOutput
from slipway.following.outcome import Ended, pipeline_changes, with_mixed
from slipway.following.progress import timings_of
from slipway.following.registry import Registry
from slipway.following.result import result_of
from slipway.following.several import failed_one
from slipway.following.several_ended import failed_result, lines_of
from slipway.following.state import Followed
from slipway.rollout import RolloutResult
from slipway.rollout.unfinished import task_not_undone

Publish = Callable[[BuildRequest, bool | None], None]
"""Onto the request topic: a request, and whether a builder has to hear it (None: by its rule)."""


class Log(Protocol):
    """Where a process says what it does, with fields."""

    def info(self, message: str, **fields: Any) -> None: ...
    def warning(self, message: str, **fields: Any) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What the end of a deployment takes. `say(deployment_id, lines)` adds to its log stream;
    `dead_letter(body, why)` keeps a request that was given up on.
    """

    installation: Installation
    table: Table
    now: Callable[[], float]
    closer: Closer
    registry: Registry
    publish: Publish
    say: Callable[[str, Iterable[str]], None]
    dead_letter: Callable[[str, str], None]
    log: Log
    containers: ContainersOutput | None = None

    def end(
        self,
        row: DeploymentRow,
        followed: Followed,
        ended: Ended,
        claim: Claim,
        *,
        result: RolloutResult | None = None,
    ) -> None:
        """Record the outcome under the claim, once, and do all that follows from it.

        `result`: of the rollout, where the outcome is that of one. Raises Interrupted where the
        claim was lost before it was recorded.
        """
        whole = self._with_notes(row, followed, self._with_lines(row, followed, ended, result))
        if whole.status == "gave_up":
            self.dead_letter(followed.request.to_json(), whole.cause or "")
        self.close(row, self._record(row, followed, whole, claim))

    def close(self, row: DeploymentRow, result: DeploymentResult) -> None:
        """Announce it unless that is done, tag what runs by it, and decide anew."""
        if row.announced_at is None:
            self.closer.deployment(result)
            self.table.deployments.announced(row.deployment_id, self.now())
        if result.status in ("succeeded", "unchanged"):
            self.keep_images(row.pipeline, row.deployment_id, row.images)
        self.decide_anew(row.pipeline)
        self.table.locks.told(row.pipeline, row.deployment_id)

    def keep_images(self, pipeline: str, deployment_id: str, images: Mapping[str, str]) -> None:
        """Tag what runs, if this deployment is still it, so that no lifecycle rule removes it."""
        now = self.table.pipelines.get(pipeline)
        if now.running_deployment != deployment_id:
            return
        if now.running_digest is not None and now.running_digest not in images.values():
            return
        settings = self.installation.find(pipeline)
        for image in settings.images if settings else ():
            digest = images.get(image.repository)
            if digest is not None:
                self.registry.keep(image, digest, pipeline, sink=self.log.info)

    # --- recorded

    def _record(
        self, row: DeploymentRow, followed: Followed, ended: Ended, claim: Claim
    ) -> DeploymentResult:
        request, pipeline = followed.request, self.table.pipelines.get(row.pipeline)
        result = result_of(
            row, request, ended, settles=followed.settles, failures=pipeline.failures,
            ended_at=self.now(), place=self.installation,
        )  # fmt: skip
        result = with_mixed(result, pipeline)
        changes = pipeline_changes(request, result, pipeline, ended.tip_seen)
        held = self.table.locks.get(row.pipeline)
        self._close_earlier(held, row.deployment_id)
        lock = Lock(row.pipeline, held_by(row.deployment_id), held.fence)
        if self.table.deployments.finish(result, changes, lock=lock, claim=claim):
            return result
        before = self.table.deployments.get(row.deployment_id)
        if before is None or before.result is None:
            raise Interrupted("the outcome could not be recorded: the claim was lost")
        return before.result

    def _close_earlier(self, lock: LockRow, deployment_id: str) -> None:
        """The lock remembers one deployment that is not told yet: an earlier one goes first."""
        if lock.untold is None or lock.untold == deployment_id:
            return
        earlier = self.table.deployments.get(lock.untold)
        if earlier is not None and earlier.result is not None:
            self.close(earlier, earlier.result)

    def _with_notes(self, row: DeploymentRow, followed: Followed, ended: Ended) -> Ended:
        """What the notice tells besides."""
        now = self.now()
        self.table.deployments.enter_stage(row.deployment_id, "record", now)
        stages = [(begun.stage, begun.at) for begun in followed.stages]
        return replace(
            ended,
            commit=followed.commit,
            tests=followed.tests,
            warning="; ".join(_warnings(followed)) or None,
            commits_since=followed.commits_since,
            commits_since_count=followed.commits_since_count,
            image_digest=followed.image_digest,
            tip_seen=followed.tip_seen,
            cancelled_by=followed.cancelled_by,
            definition_changes=followed.definition_changes,
            timings=timings_of(stages, now),
        )

    def _with_lines(
        self, row: DeploymentRow, followed: Followed, ended: Ended, result: RolloutResult | None
    ) -> Ended:
        """The rollout's own lines, and what the new revision's containers said if it failed."""
        lines = [f"{ended.status.replace('_', ' ')}: {ended.cause}"] if ended.cause else []
        if result is not None:
            lines = [*result.changes, *result.warnings, *result.skipped, result.cause]
        if followed.parts is not None:
            lines = [*lines, *lines_of(followed)]
            result = failed_result(followed)
        said: tuple[str, ...] = ()
        if ended.status in ("failed", "rolled_back") and result is not None and result.after:
            said = self._of_containers(row.pipeline, result.after, followed)
        self.say(row.deployment_id, [*lines, *said])
        if ended.status == "unchanged" or not ended.cause:
            return ended
        return replace(ended, log_tail=said or tuple(lines))

    def _of_containers(
        self, pipeline: str, task_definition: str, followed: Followed
    ) -> tuple[str, ...]:
        settings, number = self.installation.find(pipeline), failed_one(followed)
        if self.containers is None or settings is None:
            return ()
        if followed.parts is not None and number is not None:
            part = followed.parts[number]
            if part.kind is not None:
                return ()
            settings = replace(settings, cluster=part.cluster, service=part.service)
        return self.containers.of_stopped(settings, task_definition)

    # --- and then

    def decide_anew(self, pipeline: str) -> None:
        """What had to wait for the lock is asked for once more.

        Where somebody has the lock already, only what waits with nothing but its want: that looks
        again, and waits for the next end.
        """
        lock = self.table.locks.get(pipeline)
        taken = lock.taken(self.now())
        if lock.again and not taken:
            self._ask_again(lock)
        for want in self.table.wants.all():
            if want.pipeline == pipeline and not (taken and want.builder):
                self.publish(want.request, want.builder)

    def _ask_again(self, lock: LockRow) -> None:
        """The want first: if what follows is lost, it is published from it; the note goes last."""
        request = again_request(lock, self.now())
        builder = needs_builder(request, self.installation)
        self.table.wants.note(request, self.now(), builder=builder)
        self.table.locks.take_orphaned_again(lock, self.now())


def _warnings(followed: Followed) -> Iterator[str]:
    """What the notice warns of, each once."""
    not_undone = (task_not_undone(state, state.result) for state in followed.rollouts)
    yield from dict.fromkeys(filter(None, [*not_undone, followed.warning]))
