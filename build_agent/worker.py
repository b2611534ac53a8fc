"""The worker: receive → supersede → lock → lease → deploy → record → announce → settle.

A request is deleted, and its want cleared, only after its outcome is recorded and announced, or
after its deployment's row owns the rollout. Whatever ends a step before that gives back what is
held: it comes again, and what was done is found again. `step` does one round and never waits
longer than one receive; it may raise whatever AWS's clients raise, and holds nothing when it does.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from build_agent.deploy import Deployment
from build_agent.ends import Ends
from build_agent.host.clock import Clock
from build_agent.host.identity import HostIdentity
from build_agent.host.stop import Interrupted, Stop
from build_agent.means import Means
from build_agent.queue.inbox import Delivery, Inbox
from build_agent.queue.intake import Intake
from build_agent.queue.lease import Keeper, Work
from build_agent.queue.settle import Settler
from build_agent.queue.supersede import Kept
from build_agent.rollouts import Rollouts
from build_agent.telling.logs import Log
from build_agent.telling.presence import Presence
from slipway.contracts.errors import DeploymentFailed, WrongUse
from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock, again_request
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.backoff import LOCKED_DELAY, delay_after
from slipway.following.closing import Closer
from slipway.following.follower import FollowerParts
from slipway.following.handing import ToRollOut, hand_over
from slipway.following.outcome import Ended, of_failure, undoes_rollback
from slipway.following.record import Recorder
from slipway.rollout import Unfinished

LOOK_EVERY = 1.0
"""Seconds between two looks at a stop claim that stands, or at the queue once idle was said."""

Step = Literal["waiting", "idle", "worked"]
"""`waiting`: a stop is claimed; `idle`: there was nothing to do; `worked`: there was."""


@dataclass(frozen=True, kw_only=True)
class WorkerParts:
    """What a worker is made of."""

    installation: Installation
    host: HostIdentity
    table: Table
    inbox: Inbox
    closer: Closer
    keeper: Keeper
    recorder: Recorder
    means: Means
    clock: Clock
    log: Log
    stop: Stop
    following: FollowerParts
    jitter: Callable[[], float] = random.random


class Worker:
    """Receives requests and deploys, one pipeline after the other, until it is stopped."""

    def __init__(self, parts: WorkerParts) -> None:
        self._installation = parts.installation
        self._limits = parts.installation.limits
        self._host = parts.host
        self._table = parts.table
        self._inbox = parts.inbox
        self._keeper = parts.keeper
        self._recorder = parts.recorder
        self._means = parts.means
        self._clock = parts.clock
        self._log = parts.log
        self._stop = parts.stop
        self._jitter = parts.jitter
        self._following = parts.following
        self._rollouts = Rollouts(parts.log)
        self._settler = Settler(
            table=parts.table, inbox=parts.inbox, keeper=parts.keeper, recorder=parts.recorder,
            clock=parts.clock, limits=parts.installation.limits,
        )  # fmt: skip
        self._intake = Intake(
            installation=parts.installation, table=parts.table, inbox=parts.inbox,
            keeper=parts.keeper, settler=self._settler, closer=parts.closer,
            parallel=parts.means.parallel, log=parts.log, stop=parts.stop,
        )  # fmt: skip
        self._ends = Ends(
            installation=parts.installation, table=parts.table, inbox=parts.inbox,
            settler=self._settler, means=parts.means, log=parts.log, jitter=parts.jitter,
            send=parts.following.send,
        )  # fmt: skip
        self._presence = Presence(
            host=parts.host, table=parts.table, closer=parts.closer, clock=parts.clock,
            log=parts.log, idle_period=parts.installation.limits.idle_period,
        )  # fmt: skip

    def run(self) -> None:
        """Work until told to stop, then give back what is held. Never raises for AWS's failures."""
        failures = 0
        while not self._stop.requested:
            try:
                done = self.step()
            except Exception as error:  # noqa: BLE001 - the loop must outlive whatever a step met
                failures += 1
                delay = min(60, delay_after(failures, self._jitter()))
                self._log.error("a step failed", trace=True, error=str(error), again_in=delay)
                self._stop.wait(delay)
                continue
            failures = 0
            if done == "waiting" or self._presence.said_idle:
                self._stop.wait(LOOK_EVERY)
            elif self._rollouts:
                self._stop.wait(min(LOOK_EVERY, self._rollouts.next_look - self._clock.now()))
        self._rollouts.let_go()
        self._log.info("stopped", reason=self._stop.reason)

    def step(self) -> Step:
        """One round: arrive if need be, follow what was handed over, receive what there is, work on
        it, or say that we idle.
        """
        presence = self._presence
        if not presence.arrive() or presence.is_to_be_stopped():
            self._rollouts.let_go()
            return "waiting"
        self._rollouts.go_on(self._clock.now())
        patience = 0.0 if self._rollouts else presence.patience()
        try:
            kept = self._intake.collect(patience, presence.begin_work)
            if kept is None:
                return "waiting"
            if not kept:
                return "idle" if presence.rest() else "waiting"
            for pipeline in self._shared(kept):
                if self._stop.requested:
                    break
                self._handle_pipeline(pipeline, kept[pipeline])
            return "worked"
        finally:
            self._settler.give_back(self._keeper.held)

    def request_stop(self, reason: str) -> None:
        """Stop as soon as possible; may be called from another thread."""
        self._stop.request(reason)
        self._keeper.stop_work(reason)

    @property
    def resting(self) -> bool:
        """Whether the last look at the queue found nothing to do."""
        return self._presence.resting

    def _shared(self, kept: dict[str, Kept]) -> list[str]:
        """The pipelines to work on, longest waiting first; with several hosts: one, others wait."""
        names = sorted(
            (name for name, mine in kept.items() if mine.all),
            key=lambda name: min(d.request.pushed_at for d in kept[name].all),
        )
        if self._installation.host_count > 1:
            for name in names[1:]:
                self._settler.give_back(m for d in kept[name].all for m in d.messages)
            return names[:1]
        return names

    # --- lock, deploy

    def _handle_pipeline(self, pipeline: str, kept: Kept) -> None:
        """All that is held of one pipeline, under its lock."""
        now = self._clock.now()
        ttl = self._limits.lock_ttl
        lock = self._table.locks.take(pipeline, self._host.holder(1), now, ttl=ttl)
        if lock is None:
            for delivery in kept.all:
                self._ends.leave_to_holder(delivery)
            return
        self._rollouts.let_go()
        work = Work(pipeline=pipeline, lock=lock, renewed_at=now)
        self._keeper.begin(work)
        try:
            self._work_under_lock(kept, work)
        except Interrupted as stopped:
            self._log.warning("interrupted", pipeline=pipeline, reason=str(stopped))
            delay = 0 if self._stop.requested else LOCKED_DELAY
            self._settler.give_back((m for d in kept.all for m in d.messages), delay)
            self._table.locks.abandon(lock)
        except BaseException:
            self._abandon_quietly(lock)
            raise
        finally:
            self._keeper.end()
            self._presence.worked()

    def _work_under_lock(self, kept: Kept, work: Work) -> None:
        for delivery in kept.begun.values():
            self._ends.end_begun(delivery, work)
        for delivery in kept.in_order():
            if work.handed_over:
                self._ends.leave_to_holder(delivery)
                continue
            superseded = kept.superseded if delivery is kept.tip else 0
            if not self._attempt(delivery, work, settles=1 + superseded):
                rest = (m for d in kept.all for m in d.messages)
                self._settler.give_back(rest, LOCKED_DELAY)
                self._table.locks.abandon(work.lock)
                return
        while not self._table.locks.release(work.lock):
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
        request = again_request(row, self._clock.now())
        noted = self._table.wants.note(request, self._clock.now())
        self._table.locks.take_again(lock)
        return request if noted else None

    def _attempt(self, delivery: Delivery, work: Work, *, settles: int) -> bool:
        """Work on one request; False if the world failed and it is to be tried again."""
        request = delivery.request
        log = self._log.bind(correlation_id=request.request_id, pipeline=request.pipeline)
        work.messages = tuple(delivery.messages)
        try:
            self._deploy(delivery, work, settles=settles, log=log)
        except Interrupted:
            if not self._ends.end_cancelled(delivery, work):
                raise
        except Exception as error:  # noqa: BLE001 - AWS's and the unforeseen are the world's
            log.error("attempt failed", trace=_is_unforeseen(error), error=str(error))
            return self._ends.world_failed(delivery, work, error, log)
        finally:
            work.deployment_id, work.messages = None, ()
        return True

    def _deploy(self, delivery: Delivery, work: Work, *, settles: int, log: Log) -> None:
        """fetch → build → push → rollout → record → announce → settle."""
        request = delivery.request
        if self._table.requests.settled([request.request_id]):
            self._settler.forget(delivery)
            return
        before = self._table.pipelines.get(request.pipeline)
        if before.paused:  # since the request was received: another pipeline's may have come first
            raise Interrupted("the pipeline is paused")
        if undoes_rollback(request, before):
            self._ends.end_undone(delivery, work)
            return
        row = self._ends.begin(delivery, work)
        if row is None:
            return
        work.deployment_id = row.deployment_id
        result, images = row.result, row.images
        if result is None:
            if row.cancelled_by is not None:  # between two attempts
                raise Interrupted("the deployment was cancelled")
            if request.is_tip:
                self._ends.end_left_behind(request, work)
                self._table.locks.take_again(work.lock)
            log.info("deployment begins", deployment_id=row.deployment_id)
            deployment = self._deployment(request, row, work, before)
            ended, images = deployment.run(), deployment.digests
            if isinstance(ended, ToRollOut):
                handed = self._hand_over(delivery, deployment.row, ended, work, settles=settles)
                if handed is None:
                    return
                ended = handed
            self._recorder.enter(row.deployment_id, "record")
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
        request = delivery.request
        try:
            held = hand_over(self._following, row, request, what, work.lock, settles=settles)
        except WrongUse as error:
            failure = DeploymentFailed(str(error), stage="rollout")
            return of_failure(failure, stage="rollout", now_running=None)
        work.handed_over = True
        self._rollouts.add(held)
        self._settler.forget(delivery)
        self._log.info("handed over", deployment_id=row.deployment_id, pipeline=row.pipeline)
        return None

    def _deployment(
        self, request: BuildRequest, row: DeploymentRow, work: Work, before: PipelineRow
    ) -> Deployment:
        return Deployment(
            means=self._means,
            pipeline=self._installation.pipeline(request.pipeline),
            request=request,
            row=row,
            work=work,
            before=before,
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
