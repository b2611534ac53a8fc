"""How a request ends: closed after its deployment, or without one that ran.

Without one: another worker's run takes it in, a newer push takes its place, or the world failed it
so often that it is given up. Each is recorded and announced before the request is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from build_agent.means import Means
from build_agent.queue.inbox import Delivery, Inbox
from build_agent.queue.lease import Work
from build_agent.queue.settle import Settler
from build_agent.telling.logs import Log
from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest, DeploymentResult, FollowMessage, Stage, Status
from slipway.contracts.sentences import cancelled_by
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import counted
from slipway.following.backoff import LOCKED_DELAY, delay_after, is_given_up
from slipway.following.outcome import Ended, tip_seen
from slipway.following.told import is_found

FREED_DELAY = 1
"""Seconds until a request is looked at again whose pipeline's lock was freed just now."""
TAKEN_OVER_DELAY = 5
"""The same, where it has asked a rollout to give way: that may wait for a dead follower's claim."""


class Ends:
    """Ends requests of the lock's holder, but for `leave_to_holder`, which is for all others."""

    def __init__(
        self,
        *,
        installation: Installation,
        table: Table,
        inbox: Inbox,
        settler: Settler,
        means: Means,
        log: Log,
        jitter: Callable[[], float],
        send: Callable[[FollowMessage, float], None],
    ) -> None:
        self._send = send
        self._installation = installation
        self._limits = installation.limits
        self._table = table
        self._inbox = inbox
        self._settler = settler
        self._recorder = means.recorder
        self._images = means.images
        self._clock = means.clock
        self._log = log
        self._jitter = jitter

    # --- with a deployment

    def begin(self, delivery: Delivery, work: Work) -> DeploymentRow | None:
        """The request's deployment; None if another worker joined it to a run asked of us."""
        row = self._recorder.begin(delivery.request, work.lock)
        if row is None:
            self._settler.forget(delivery)
        return row

    def close(
        self,
        delivery: Delivery,
        row: DeploymentRow,
        result: DeploymentResult,
        images: Mapping[str, str],
    ) -> None:
        """End a recorded deployment's request. What runs by it is tagged first: whoever finds the
        request open after a crash closes it in the same way.
        """
        if result.status in ("succeeded", "unchanged"):
            self._keep_images(row, images)
        self._settler.close(delivery, result, announced=row.announced_at is not None)

    def _keep_images(self, row: DeploymentRow, images: Mapping[str, str]) -> None:
        """Tag what runs, if this deployment is still it, so that no lifecycle rule removes it.

        Where an attempt at an older tip was made for the same request, its images may stand in the
        row that is found after a crash: what does not run is not tagged.
        """
        now = self._table.pipelines.get(row.pipeline)
        if now.running_deployment != row.deployment_id:
            return
        if now.running_digest is not None and now.running_digest not in images.values():
            return
        for image in self._installation.pipeline(row.pipeline).images:
            digest = images.get(image.repository)
            if digest is not None:
                self._images.keep(image, digest, row.pipeline, sink=self._log.info)

    # --- taken in by another run

    def leave_to_holder(self, delivery: Delivery, *, freed: int = FREED_DELAY) -> None:
        """The pipeline is deployed elsewhere: its holder runs the tip once more, others wait.

        Not for a request whose own deployment was begun: that may be the very run. `freed`: seconds
        until it is looked at again where nobody holds the lock.
        """
        request = delivery.request
        delay = self._take_over(request)
        if delay is not None:
            self._settler.give_back(delivery.messages, delay)
            return
        if self._comes_by_itself(request) or delivery.deployment_id is not None:
            self._settler.give_back(delivery.messages, LOCKED_DELAY)
            return
        asked = self._table.locks.ask_again(
            request.pipeline,
            request.request_id,
            self._clock.now(),
            by=request.pushed_by,
            pushed_at=request.pushed_at,
            commit_id=request.commit_id,
        )
        if not asked:
            self._settler.give_back(delivery.messages, freed)
        elif not self._settler.join(delivery):
            self._settler.give_back(delivery.messages, LOCKED_DELAY)

    def _comes_by_itself(self, request: BuildRequest) -> bool:
        """Not for the holder to run. The tip that it runs for a push may be none of the paths; what
        an operator asks for is deployed in any case.
        """
        pipeline = self._installation.pipeline(request.pipeline)
        return not request.is_tip or (bool(pipeline.paths) and not is_found(request))

    def _take_over(self, request: BuildRequest) -> int | None:
        """A push ends the rollout under way, where its pipeline is configured so: seconds until it
        is looked at again. What CodeDeploy takes back first may take minutes. None: it waits.
        """
        if self._installation.pipeline(request.pipeline).rollout.new_push != "takeOver":
            return None
        lock = self._table.locks.get(request.pipeline)
        if lock.deployment is None or not request.is_tip:
            return None
        row = self._table.deployments.get(lock.deployment)
        if row is None or (row.pushed_at or 0.0) >= request.pushed_at:
            return None  # it would not give way
        self._table.locks.ask_takeover(request, self._clock.now())
        self._send(FollowMessage(deployment_id=lock.deployment), 0.0)
        asked_before = lock.takeover == request.request_id
        return LOCKED_DELAY if asked_before else TAKEN_OVER_DELAY

    # --- superseded

    def end_begun(self, delivery: Delivery, work: Work) -> None:
        """An interrupted deployment whose request is superseded: ended, announced, settled."""
        if self._table.requests.settled([delivery.request_id]):
            self._settler.forget(delivery)
            return
        self._supersede(delivery, work, "a newer push took its place")

    def end_left_behind(self, newest: BuildRequest, work: Work, *, joined_at: float = 0.0) -> bool:
        """End or announce what older pushes left behind: `newest` takes their place, with the push
        of `joined_at` that has joined it. Whether there was any.
        """
        if not newest.is_tip:
            return False
        left = self._recorder.left_behind(newest, joined_at=joined_at)
        for request, _row in left:
            self._supersede(Delivery(request, []), work, "a newer push took its place")
        return bool(left)

    def end_undone(self, delivery: Delivery, work: Work) -> None:
        """A push that is older than the rollback that stands: superseded.

        The tip was dealt with: it stays unrun on purpose, so the drift check need not ask.
        """
        request = delivery.request
        if request.commit_id is not None:
            self._table.pipelines.change(
                request.pipeline, handled_tip=request.commit_id, handled_at=request.pushed_at,
                ahead_tip=None, ahead_since=None,
            )  # fmt: skip
        self._supersede(delivery, work, "an operator's rollback is newer than this push")

    def _supersede(self, delivery: Delivery, work: Work, cause: str) -> None:
        """Settle without deploying; a deployment that had begun for it ends, too."""
        request = delivery.request
        row = self._noted(request)
        if row is None:
            self._settler.settle(delivery, "superseded", None)
            return
        ended = Ended(status="superseded", stage="received", commit=row.commit, cause=cause)
        result = row.result or self._recorder.finish(row, request, ended, settles=1, lock=work.lock)
        self.close(delivery, row, result, row.images)

    # --- interrupted

    def end_interrupted(self, delivery: Delivery, work: Work) -> bool:
        """End the deployment of an attempt that was told to end for good: somebody cancelled it, it
        did not get on, or a newer push made it stale. False: it is to be tried again.
        """
        row = self._noted(delivery.request)
        if row is None or row.ended_at is not None or row.rollout is not None:
            return False
        if row.cancelled_by is not None:
            cause = cancelled_by(row.cancelled_by)
            self._end(delivery, row, work, "cancelled", cause, by=row.cancelled_by)
        elif work.standstill is not None:
            self._end(delivery, row, work, "failed", work.standstill)
        elif work.overtaken:
            self._end(delivery, row, work, "superseded", "a newer push took the place of its build")
        else:
            return False
        return True

    def _end(
        self,
        delivery: Delivery,
        row: DeploymentRow,
        work: Work,
        status: Status,
        cause: str,
        *,
        by: str | None = None,
    ) -> None:
        ended = Ended(
            status=status,
            stage=_stage_of(row),
            commit=row.commit,
            cause=cause,
            tip_seen=None if work.overtaken else tip_seen(delivery.request, row.commit),
            cancelled_by=by,
        )
        result = self._recorder.finish(row, delivery.request, ended, settles=1, lock=work.lock)
        self._settler.close(delivery, result, announced=False)

    # --- given up

    def world_failed(self, delivery: Delivery, work: Work, error: Exception, log: Log) -> bool:
        """Count the attempt and try again later, or give up; True if it was given up."""
        request = delivery.request
        now = self._clock.now()
        attempts = self._table.requests.count_attempt(
            request.request_id, now, kept=self._limits.settled_kept
        )
        delay = delay_after(attempts.count, self._jitter())
        if not is_given_up(attempts, now, self._limits) or self._is_owned(request):
            log.info("to be tried again", attempts=attempts.count, again_in=delay)
            self._settler.give_back(delivery.messages, delay)
            return False
        cause = f"given up after {attempts.count} failed attempts: {error}"
        row = self.begin(delivery, work)
        if row is not None:
            self._give_up(delivery, row, work, cause)
        return True

    def wears_builders_out(self, delivery: Delivery, row: DeploymentRow, work: Work) -> bool:
        """Give up what so many builds have ended under as attempts may fail; whether it was.

        Who ends so counts no attempt: its container is gone before it can.
        """
        if delivery.deaths < self._limits.max_attempts:
            return False
        builds = counted(delivery.deaths, "build")
        self._give_up(delivery, row, work, f"given up: {builds} ended before their work did")
        return True

    def _is_owned(self, request: BuildRequest) -> bool:
        """What has its outcome, or a row that owns its rollout, is only to be told or forgotten:
        that is never given up here.
        """
        row = self._noted(request)
        return row is not None and (row.result is not None or row.rollout is not None)

    def _give_up(self, delivery: Delivery, row: DeploymentRow, work: Work, cause: str) -> None:
        request = delivery.request
        ended = Ended(
            status="gave_up",
            stage=_stage_of(row),
            commit=row.commit,
            cause=cause,
            tip_seen=tip_seen(request, row.commit),
        )
        self._inbox.dead_letter(request.to_json(), cause)
        result = self._recorder.finish(row, request, ended, settles=1, lock=work.lock)
        self._settler.close(delivery, result, announced=False)

    def _noted(self, request: BuildRequest) -> DeploymentRow | None:
        """The deployment that was begun for the request, if any."""
        noted = self._table.requests.deployments_of([request.request_id])
        return self._recorder.find(noted[request.request_id]) if noted else None


def _stage_of(row: DeploymentRow) -> Stage:
    """The stage in which a deployment stands, before its rollout."""
    stages: tuple[Stage, ...] = ("fetch", "build", "test", "push", "rollout")
    return next((stage for stage in stages if stage == row.stage), "received")
