"""A run: one pipeline's requests, worked on under its lock.

lock → lease → fetch → build → push → hand over, or record → announce → settle where nothing is
rolled out. A request is deleted, and its want cleared, only after its outcome is recorded and
announced, or after its deployment's row owns the rollout. Whatever ends a run before that gives
back what is held: it comes again, and what was done is found again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from build_agent.deploy import Deployment
from build_agent.ends import Ends
from build_agent.host.clock import Clock
from build_agent.host.identity import HostIdentity
from build_agent.host.slots import RunSlots
from build_agent.host.stop import Interrupted, Stop
from build_agent.means import Means
from build_agent.queue.inbox import Delivery
from build_agent.queue.lease import Keeper, Work
from build_agent.queue.overtaken import Overtaken
from build_agent.queue.settle import Settler
from build_agent.queue.supersede import Kept
from build_agent.rollouts import Rollouts
from build_agent.telling.logs import Log
from slipway.contracts.errors import DeploymentFailed, WrongUse
from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock, again_request
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.backoff import LOCKED_DELAY
from slipway.following.follower import FollowerParts, Held
from slipway.following.handing import ToRollOut, hand_over
from slipway.following.outcome import Ended, of_failure, undoes_rollback
from slipway.following.record import Recorder
from slipway.rollout import Unfinished


@dataclass(frozen=True, kw_only=True)
class RunParts:
    """What every run of an agent is made of. `stop`: the agent's."""

    installation: Installation
    host: HostIdentity
    table: Table
    keeper: Keeper
    recorder: Recorder
    settler: Settler
    ends: Ends
    means: Means
    following: FollowerParts
    rollouts: Rollouts
    clock: Clock
    log: Log
    stop: Stop


class Run:
    """The run of that `number`, with its build slots. `handed_over` is called once a deployment's
    row owns its work.
    """

    def __init__(
        self,
        parts: RunParts,
        number: int,
        pipeline: str,
        kept: Kept,
        *,
        slots: RunSlots,
        handed_over: Callable[[], None],
    ) -> None:
        self.number = number
        self.pipeline = pipeline
        self.kept = kept
        self.slots = slots
        self.work: Work | None = None
        self._handed_over = handed_over
        self._rollout: Held | None = None
        self._parts = parts
        self._table = parts.table
        self._keeper = parts.keeper
        self._settler = parts.settler
        self._recorder = parts.recorder
        self._ends = parts.ends
        self._stop = parts.stop
        self._log = parts.log

    def go(self) -> None:
        """All that is held of the pipeline, under its lock. May raise whatever AWS's clients do."""
        now, ttl = self._parts.clock.now(), self._parts.installation.limits.lock_ttl
        holder = self._parts.host.holder(self.number)
        lock = self._table.locks.take(self.pipeline, holder, now, ttl=ttl)
        if lock is None:
            for delivery in self.kept.all:
                self._ends.leave_to_holder(delivery)
            return
        work = self.work = Work(
            run=self.number, pipeline=self.pipeline, lock=lock, renewed_at=now,
            slots=self.slots,
        )  # fmt: skip
        self._keeper.begin(work)
        try:
            self._work_under_lock(work)
        except Interrupted as stopped:
            self._log.warning("interrupted", pipeline=self.pipeline, reason=str(stopped))
            self._settler.give_back(self.kept.messages, 0 if self._stop.requested else LOCKED_DELAY)
            self._table.locks.abandon(lock)
        except BaseException:
            self._abandon_quietly(lock)
            raise
        finally:
            self._keeper.end(work)
            self._take_first_steps()

    def _take_first_steps(self) -> None:
        """Of what was handed over. Last: nothing is held then that would wait for them."""
        if self._rollout is not None:
            self._parts.rollouts.add(self._rollout, self._parts.clock.now())

    def _work_under_lock(self, work: Work) -> None:
        kept = self.kept
        for delivery in kept.begun.values():
            self._ends.end_begun(delivery, work)
        for delivery in kept.in_order():
            if self._rollout is not None:
                self._ends.leave_to_holder(delivery)
                continue
            superseded = kept.superseded if delivery is kept.tip else 0
            if not self._attempt(delivery, work, settles=1 + superseded):
                self._settler.give_back(kept.messages, LOCKED_DELAY)
                self._table.locks.abandon(work.lock)
                return
        while self._rollout is None and not self._table.locks.release(work.lock):
            again = self._asked_again(work.lock)
            if again is not None and not self._attempt(Delivery(again, []), work, settles=1):
                self._table.locks.abandon(work.lock)
                return

    def _asked_again(self, lock: Lock) -> BuildRequest | None:
        """The run that somebody asked for; None if a newer request's want covers it.

        The want comes first: were this host lost now, the reconciler would publish it.
        """
        row = self._table.locks.get(lock.pipeline)
        if row.fence != lock.fence:
            raise Interrupted("the pipeline lock was lost")
        request = again_request(row, self._parts.clock.now())
        noted = self._table.wants.note(request, self._parts.clock.now())
        self._table.locks.take_again(lock, row.again or "")
        return request if noted else None

    def _attempt(self, delivery: Delivery, work: Work, *, settles: int) -> bool:
        """Work on one request; False if the world failed and it is to be tried again."""
        request = delivery.request
        log = self._log.bind(correlation_id=request.request_id, pipeline=request.pipeline)
        work.request, work.messages = request, tuple(delivery.messages)
        try:
            self._deploy(delivery, work, settles=settles, log=log)
        except Interrupted:
            if not self._ends.end_interrupted(delivery, work):
                raise
            self._begin_anew(work)
        except Exception as error:  # noqa: BLE001 - AWS's and the unforeseen are the world's
            log.error("attempt failed", trace=_is_unforeseen(error), error=str(error))
            return self._ends.world_failed(delivery, work, error, log)
        finally:
            work.deployment_id, work.request, work.commit, work.messages = None, None, None, ()
        return True

    def _begin_anew(self, work: Work) -> None:
        """The attempt has ended for good; what else is asked of the pipeline goes on."""
        work.stop, work.standstill, work.told_at, work.overtaken = Stop(), None, None, False
        self._keeper.progress(work, "received")
        if self._stop.requested:
            work.stop.request(self._stop.reason)

    def _deploy(self, delivery: Delivery, work: Work, *, settles: int, log: Log) -> None:
        """fetch → build → push → rollout → record → announce → settle."""
        request = delivery.request
        if self._table.requests.settled([request.request_id]):
            self._settler.forget(delivery)
            return
        before = self._table.pipelines.get(request.pipeline)
        if before.paused:  # since the request was received: another pipeline's may have come first
            raise Interrupted("the pipeline is paused")
        left = self._ends.end_left_behind(request, work)
        if undoes_rollback(request, before):
            self._ends.end_undone(delivery, work)
            return
        now = self._parts.clock.now()
        row = self._ends.begin(delivery, work)
        if row is None:
            return
        takes_place = left or self.kept.begun or self.kept.superseded
        is_first = row.started_at >= now and not takes_place
        work.deployment_id = row.deployment_id
        result, images = row.result, row.images
        if result is None:
            if row.cancelled_by is not None:  # between two attempts
                raise Interrupted("the deployment was cancelled")
            if self._ends.wears_builders_out(delivery, row, work):
                return
            log.info("deployment begins", deployment_id=row.deployment_id)
            deployment = self._deployment(delivery, row, work, before, is_first=is_first)
            ended, images = deployment.run(), deployment.digests
            if isinstance(ended, ToRollOut):
                handed = self._hand_over(delivery, deployment.row, ended, work, settles=settles)
                if handed is None:
                    return
                ended = handed
            self._recorder.enter(row, "record")
            result = self._recorder.finish(row, request, ended, settles=settles, lock=work.lock)
        self._ends.close(delivery, row, result, images)
        log.info(
            "deployment ended",
            deployment_id=row.deployment_id,
            status=result.status,
            cause=result.cause,
            seconds=round(result.ended_at - result.started_at, 1),
        )

    def _hand_over(
        self, delivery: Delivery, row: DeploymentRow, what: ToRollOut, work: Work, *, settles: int
    ) -> Ended | None:
        """Let the row own the rollout, then delete the request; how it ended if it cannot begin."""
        self._keeper.check(work)
        parts, request = self._parts, delivery.request
        try:
            self._rollout = hand_over(
                parts.following, row, request, what, work.lock, settles=settles
            )
        except WrongUse as error:
            failure = DeploymentFailed(str(error), stage="rollout")
            return of_failure(failure, stage="rollout", now_running=None)
        self._keeper.end(work)
        self._handed_over()
        self._settler.forget(delivery)
        self._log.info("handed over", deployment_id=row.deployment_id, pipeline=row.pipeline)
        return None

    def _deployment(
        self,
        delivery: Delivery,
        row: DeploymentRow,
        work: Work,
        before: PipelineRow,
        *,
        is_first: bool,
    ) -> Deployment:
        parts, request = self._parts, delivery.request
        return Deployment(
            means=parts.means,
            pipeline=parts.installation.pipeline(request.pipeline),
            request=request,
            row=row,
            work=work,
            before=before,
            is_first=is_first,
            overtaken=Overtaken(
                self._table,
                parts.clock,
                delivery,
                work,
                end_left_behind=lambda at: self._ends.end_left_behind(request, work, joined_at=at),
            ),
        )

    def _abandon_quietly(self, lock: Lock) -> None:
        """The lock expires by itself where even this fails."""
        try:
            self._table.locks.abandon(lock)
        except Exception as error:  # noqa: BLE001 - the first failure is the one to tell
            self._log.warning("the pipeline lock could not be given back", error=str(error))


def _is_unforeseen(error: BaseException) -> bool:
    """Whether a trace helps: neither ours nor AWS's."""
    if isinstance(error, Unfinished) and error.__cause__ is not None:
        error = error.__cause__
    module = type(error).__module__
    return not module.startswith(("slipway.contracts", "build_agent", "botocore"))
