"""The worker: receives while a build slot is free, begins runs, follows rollouts, says idle.

What a run does with what it is given is in `run.py`. `step` does one round and never waits longer
than one receive; it may raise whatever AWS's clients raise, and holds nothing for itself when it
does.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from build_agent.ends import Ends
from build_agent.host.clock import Clock
from build_agent.host.identity import HostIdentity
from build_agent.host.slots import Slots
from build_agent.host.stop import Stop
from build_agent.host.tasks import Spawn, in_thread
from build_agent.means import Means
from build_agent.queue.inbox import Inbox
from build_agent.queue.intake import Intake
from build_agent.queue.lease import Keeper
from build_agent.queue.settle import Settler
from build_agent.queue.supersede import Kept
from build_agent.rollouts import Rollouts
from build_agent.run import RunParts
from build_agent.runs import Runs
from build_agent.telling.logs import Log
from build_agent.telling.presence import Presence
from build_agent.telling.shift import Shift
from slipway.contracts.installation import Installation
from slipway.contracts.table import Table
from slipway.following.backoff import delay_after
from slipway.following.closing import Closer
from slipway.following.follower import FollowerParts
from slipway.following.record import Recorder

LOOK_EVERY = 1.0
"""Seconds between two looks at a stop claim that stands, or at the queue once idle was said."""
UNDER_WAY_DELAY = 5
"""Seconds until a request comes again whose pipeline has a run here that holds no lock: it has not
taken it yet, or is about to end.
"""

Step = Literal["waiting", "idle", "worked"]
"""`waiting`: a stop is claimed; `idle`: there was nothing to do; `worked`: there was, or is."""


@dataclass(frozen=True, kw_only=True)
class WorkerParts:
    """What a worker is made of. `shift`: of a builder; without one it is a host's, and idles."""

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
    slots: Slots
    shift: Shift | None = None
    spawn: Spawn = in_thread
    jitter: Callable[[], float] = random.random


class Worker:
    """Gives what it receives to runs, one for each pipeline, until it is stopped."""

    def __init__(self, parts: WorkerParts) -> None:
        self._keeper = parts.keeper
        self._clock = parts.clock
        self._log = parts.log
        self._stop = parts.stop
        self._jitter = parts.jitter
        self._rollouts = Rollouts(parts.log)
        self._news = threading.Event()
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
        self._presence = parts.shift or Presence(
            host=parts.host, table=parts.table, closer=parts.closer, clock=parts.clock,
            log=parts.log, idle_period=parts.installation.limits.idle_period,
            slots=parts.slots.count,
        )  # fmt: skip
        run_parts = RunParts(
            installation=parts.installation, host=parts.host, table=parts.table,
            keeper=parts.keeper, recorder=parts.recorder, settler=self._settler, ends=self._ends,
            means=parts.means, following=parts.following, rollouts=self._rollouts,
            clock=parts.clock, log=parts.log, stop=parts.stop,
        )  # fmt: skip
        self._runs = Runs(
            run_parts, slots=parts.slots, spawn=parts.spawn, jitter=parts.jitter,
            worked=self._presence.worked, news=self._news.set,
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
            self._pause(done)
        self._keeper.stop_work(self._stop.reason)
        self._runs.join()
        self._rollouts.let_go()
        self._log.info("stopped", reason=self._stop.reason)

    def step(self) -> Step:
        """One round: arrive if need be, follow what was handed over, receive while a slot is free
        and begin runs, or say that we idle.
        """
        presence, runs = self._presence, self._runs
        self._news.clear()
        self._keeper.goes_round()
        runs.tidy()
        if not presence.arrive() or presence.is_to_be_stopped():
            self._rollouts.let_go()
            return "waiting"
        self._rollouts.go_on(self._clock.now(), until=self._news.is_set)
        if not runs.room:
            return "worked"
        try:
            kept = self._intake.collect(
                self._patience(), presence.begin_work, room=runs.room, under_way=runs.pipelines
            )
            if kept is None:
                return "waiting"
            if not kept and not runs:
                return "idle" if presence.rest() else "waiting"
            self._begin(kept)
            return "worked"
        finally:
            self._settler.give_back(self._keeper.held_by(None))

    def request_stop(self, reason: str) -> None:
        """Stop as soon as possible; may be called from another thread."""
        self._stop.request(reason)
        self._keeper.stop_work(reason)
        self._news.set()

    @property
    def resting(self) -> bool:
        """Whether the last look at the queue found nothing to do."""
        return self._presence.resting and not self._runs

    @property
    def holds_nothing(self) -> bool:
        """Whether no run has begun that has not ended, and no rollout is followed here."""
        return self._runs.all_ended and not self._rollouts

    def _begin(self, kept: dict[str, Kept]) -> None:
        """Runs for the pipelines, longest waiting first; those beyond the slots go back."""
        for pipeline in sorted(kept, key=lambda name: kept[name].since):
            if self._stop.requested:
                return
            if pipeline in self._runs.pipelines:
                self._is_overtaken(kept[pipeline])
            else:
                self._runs.begin(pipeline, kept[pipeline])

    def _is_overtaken(self, kept: Kept) -> None:
        """What comes for a pipeline under way here is noted with its lock."""
        for delivery in kept.all:
            self._ends.leave_to_holder(delivery, freed=UNDER_WAY_DELAY)
        if kept.tip is not None:
            self._keeper.overtake(kept.tip.request)

    # --- waiting

    def _patience(self) -> float:
        """Seconds that the queue is polled for: nothing else that is due may wait for it."""
        if self._follows:
            return 0.0
        return LOOK_EVERY if self._runs else self._presence.patience()

    def _pause(self, done: Step) -> None:
        """Until the next round: at once, unless there is nothing to receive for."""
        if done == "waiting" or self._presence.said_idle:
            self._news.wait(LOOK_EVERY)
        elif self._follows:
            self._news.wait(min(LOOK_EVERY, max(0.0, self._rollouts.next_look - self._clock.now())))
        elif not self._runs.room:
            self._news.wait(LOOK_EVERY)

    @property
    def _follows(self) -> bool:
        """Whether there is a rollout to look at, or a run is about to leave one here."""
        return bool(self._rollouts) or self._runs.hands_over
