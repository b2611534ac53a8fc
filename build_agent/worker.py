"""The worker: receive → supersede → lock → lease → deploy → record → announce → settle.

A request is deleted, and its want cleared, only after its outcome is recorded and announced.
Whatever ends a step before that gives back what is held: it comes again, and what was done is
found again. `step` does one round and never waits longer than one receive; it may raise whatever
AWS's clients raise, and holds nothing when it does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from build_agent.deploy import Deployment, Means
from build_agent.host.clock import Clock
from build_agent.host.identity import HostIdentity
from build_agent.host.stop import Interrupted, Stop
from build_agent.queue.backoff import LOCKED_DELAY, delay_after, is_given_up
from build_agent.queue.inbox import Delivery, Inbox
from build_agent.queue.intake import Intake
from build_agent.queue.lease import Keeper, Work
from build_agent.queue.settle import Settler
from build_agent.queue.supersede import Kept
from build_agent.telling.close import Closer
from build_agent.telling.logs import Log
from build_agent.telling.outcome import Ended, tip_seen, undoes_rollback
from build_agent.telling.record import Recorder, tip_request_of
from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest, DeploymentResult
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock, again_request
from slipway.contracts.table.pipelines import PipelineRow
from slipway.rollout import Unfinished

LONG_POLL = 20.0
FREED_DELAY = 1
"""Seconds until a request is looked at again whose pipeline's lock was freed just now."""
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
    jitter: Callable[[], float] = random.random


class Worker:
    def __init__(self, parts: WorkerParts) -> None:
        self._installation = parts.installation
        self._limits = parts.installation.limits
        self._host = parts.host
        self._table = parts.table
        self._inbox = parts.inbox
        self._closer = parts.closer
        self._keeper = parts.keeper
        self._recorder = parts.recorder
        self._means = parts.means
        self._clock = parts.clock
        self._log = parts.log
        self._stop = parts.stop
        self._jitter = parts.jitter
        self._settler = Settler(
            table=parts.table, inbox=parts.inbox, keeper=parts.keeper, recorder=parts.recorder,
            clock=parts.clock, limits=parts.installation.limits,
        )  # fmt: skip
        self._intake = Intake(
            installation=parts.installation, table=parts.table, inbox=parts.inbox,
            keeper=parts.keeper, settler=self._settler, closer=parts.closer,
            parallel=parts.means.parallel, log=parts.log, stop=parts.stop,
        )  # fmt: skip
        self._arrived = False
        self._idle_from = 0.0
        self._said_idle = False
        self.resting = False
        """Whether the last look at the queue found nothing to do."""

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
            if done == "waiting" or self._said_idle:
                self._stop.wait(LOOK_EVERY)
        self._log.info("stopped", reason=self._stop.reason)

    def step(self) -> Step:
        """One round: arrive if need be, receive what there is, work on it, or say that we idle."""
        if not self._arrive() or self._is_to_be_stopped():
            return "waiting"
        try:
            kept = self._intake.collect(self._patience(), self._begin_work)
            if kept is None:
                return "waiting"
            if not kept:
                return self._perhaps_say_idle()
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

    # --- awake, idle

    def _arrive(self) -> bool:
        if not self._arrived:
            now = self._clock.now()
            self._arrived = self._table.hosts.arrive(self._host.host_id, self._host.boot, now)
            self._idle_from, self._said_idle = now, False
            self._log.info("arrived" if self._arrived else "a stop is claimed: waiting for it")
        return self._arrived

    def _is_to_be_stopped(self) -> bool:
        """Once idle was said a stop may come at any time: a request is not taken into it.

        For the same reason nothing is polled for long then. SQS may hand a request to a long poll
        whose caller is gone, and the request would wait until its lease ends.
        """
        if not self._said_idle:
            return False
        row = self._table.hosts.get(self._host.host_id)
        if row is not None and row.boot == self._host.boot and row.state == "stopping":
            self._arrived = False
        return not self._arrived

    def _patience(self) -> float:
        """Seconds that the queue is polled for: until it is time to say that we idle."""
        due = self._idle_from + self._limits.idle_period - self._clock.now()
        return 0.0 if self._said_idle else min(LONG_POLL, max(0.0, due))

    def _begin_work(self) -> bool:
        """There is something to do: say so in the host's row; False if a stop is claimed."""
        self._arrived = self._table.hosts.begin_work(
            self._host.host_id, self._host.boot, self._clock.now()
        )
        if self._arrived:
            self._said_idle = self.resting = False
        return self._arrived

    def _perhaps_say_idle(self) -> Step:
        """After an idle period without work: say so, and again after each further one."""
        self.resting = True
        now = self._clock.now()
        if now - self._idle_from < self._limits.idle_period:
            return "idle"
        number = self._table.hosts.say_idle(self._host.host_id, self._host.boot, now)
        if number is None:
            self._arrived = False
            return "waiting"
        self._idle_from, self._said_idle = now, True
        self._closer.idle(number)
        self._log.info("idle", idle_number=number)
        return "idle"

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
        lock = self._table.locks.take(pipeline, self._host.holder, now, ttl=ttl)
        if lock is None:
            for delivery in kept.all:
                self._leave_to_holder(delivery)
            return
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
            self._idle_from = self._clock.now()

    def _work_under_lock(self, kept: Kept, work: Work) -> None:
        for delivery in kept.begun.values():
            self._end_begun(delivery, work)
        for delivery in kept.in_order():
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
            raise
        except Exception as error:  # noqa: BLE001 - AWS's and the unforeseen are the world's
            log.error("attempt failed", trace=_is_unforeseen(error), error=str(error))
            return self._world_failed(delivery, work, error, log)
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
            self._note_handled(request)
            self._supersede(delivery, work, "an operator's rollback is newer than this push")
            return
        row = self._begin(delivery, work)
        if row is None:
            return
        work.deployment_id = row.deployment_id
        result, images = row.result, row.images
        if result is None:
            if request.is_tip:
                self._end_left_behind(request, work)
                self._table.locks.take_again(work.lock)
            log.info("deployment begins", deployment_id=row.deployment_id)
            deployment = self._deployment(request, row, work, before)
            ended, images = deployment.run(), deployment.digests
            self._recorder.enter(row.deployment_id, "record")
            result = self._recorder.finish(row, request, ended, settles=settles, lock=work.lock)
        self._close(delivery, row, result, images)
        log.info(
            "deployment ended",
            deployment_id=row.deployment_id,
            status=result.status,
            cause=result.cause,
            seconds=round(result.ended_at - result.started_at, 1),
        )

    def _close(
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
        """Tag what runs, if this deployment is still it, so that no lifecycle rule removes it."""
        if self._table.pipelines.get(row.pipeline).running_deployment != row.deployment_id:
            return
        for image in self._installation.pipeline(row.pipeline).images:
            digest = images.get(image.repository)
            if digest is not None:
                self._means.images.keep(image, digest, row.pipeline, sink=self._log.info)

    def _begin(self, delivery: Delivery, work: Work) -> DeploymentRow | None:
        """The request's deployment; None if another worker joined it to a run asked of us."""
        row = self._recorder.begin(delivery.request, work.lock)
        if row is None:
            self._settler.forget(delivery)
        return row

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

    # --- other ends

    def _leave_to_holder(self, delivery: Delivery) -> None:
        """The pipeline is deployed elsewhere: its holder runs the tip once more, others wait.

        Not for a request whose own deployment was begun: that may be the very run.
        """
        request = delivery.request
        if not request.is_tip or delivery.deployment_id is not None:
            self._settler.give_back(delivery.messages, LOCKED_DELAY)
            return
        asked = self._table.locks.ask_again(
            request.pipeline,
            request.request_id,
            self._clock.now(),
            by=request.pushed_by,
            pushed_at=request.pushed_at,
        )
        if not asked:
            self._settler.give_back(delivery.messages, FREED_DELAY)
        elif not self._settler.join(delivery):
            self._settler.give_back(delivery.messages, LOCKED_DELAY)

    def _end_left_behind(self, newest: BuildRequest, work: Work) -> None:
        """End or announce deployments of older pushes whose requests may never come again.

        A run `again` has no message in the queue; if the world failed it, its want brings it back,
        unless a newer push has taken that want over. The run that begins now takes its place.
        """
        for row in self._recorder.unannounced(work.pipeline):
            request = tip_request_of(row)
            if request is None or request.request_id == newest.request_id:
                continue
            if request.pushed_at <= newest.pushed_at:
                self._supersede(Delivery(request, []), work, "a newer push took its place")

    def _note_handled(self, request: BuildRequest) -> None:
        """The tip was dealt with: it stays unrun on purpose, so the drift check need not ask."""
        if request.commit_id is not None:
            self._table.pipelines.change(
                request.pipeline, handled_tip=request.commit_id, ahead_tip=None, ahead_since=None
            )

    def _end_begun(self, delivery: Delivery, work: Work) -> None:
        """An interrupted deployment whose request is superseded: ended, announced, settled."""
        if self._table.requests.settled([delivery.request_id]):
            self._settler.forget(delivery)
            return
        self._supersede(delivery, work, "a newer push took its place")

    def _supersede(self, delivery: Delivery, work: Work, cause: str) -> None:
        """Settle without deploying; a deployment that had begun for it ends, too."""
        request = delivery.request
        noted = self._table.requests.deployments_of([request.request_id])
        row = self._recorder.find(noted[request.request_id]) if noted else None
        if row is None:
            self._settler.settle(delivery, "superseded", None)
            return
        ended = Ended(status="superseded", stage="received", commit=row.commit, cause=cause)
        result = row.result or self._recorder.finish(row, request, ended, settles=1, lock=work.lock)
        self._close(delivery, row, result, row.images)

    def _world_failed(self, delivery: Delivery, work: Work, error: Exception, log: Log) -> bool:
        """Count the attempt and try again later, or give up; True if it was given up."""
        request = delivery.request
        now = self._clock.now()
        attempts = self._table.requests.count_attempt(
            request.request_id, now, kept=self._limits.settled_kept
        )
        delay = delay_after(attempts.count, self._jitter())
        if not is_given_up(attempts, now, self._limits) or self._is_recorded(request):
            log.info("to be tried again", attempts=attempts.count, again_in=delay)
            self._settler.give_back(delivery.messages, delay)
            return False
        cause = f"given up after {attempts.count} failed attempts: {error}"
        self._give_up(delivery, work, cause)
        return True

    def _is_recorded(self, request: BuildRequest) -> bool:
        """What has its outcome is only to be announced and settled: that is never given up."""
        noted = self._table.requests.deployments_of([request.request_id])
        row = self._recorder.find(noted[request.request_id]) if noted else None
        return row is not None and row.result is not None

    def _give_up(self, delivery: Delivery, work: Work, cause: str) -> None:
        request = delivery.request
        row = self._begin(delivery, work)
        if row is None:
            return
        stage = next((s for s in ("fetch", "build", "push", "register", "update", "wait")
                      if s == row.stage), "received")  # fmt: skip
        ended = Ended(
            status="gave_up",
            stage=stage,  # type: ignore[arg-type]
            commit=row.commit,
            cause=cause,
            tip_seen=tip_seen(request, row.commit),
        )
        self._inbox.dead_letter(request.to_json(), cause)
        result = self._recorder.finish(row, request, ended, settles=1, lock=work.lock)
        self._settler.close(delivery, result, announced=False)

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
