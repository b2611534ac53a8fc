"""Keeps what the agent holds: messages, the locks of its runs, the host's heartbeat. One keeper.

A run may only go on while its leases hold. So every beat that is late, and every renewal that is
refused, tells the run to stop, and the run looks once more before each change in ECS. The keeper
outlives the runs: on stop they end first. A run that does not get on is told to end, too; one that
does not even do that is given up: its leases end by themselves, and others take its work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from build_agent.host.clock import Clock
from build_agent.host.identity import HostIdentity
from build_agent.host.slots import RunSlots, Slots
from build_agent.host.stop import Stop
from build_agent.queue.inbox import Inbox, Message
from build_agent.telling.logs import Log
from slipway.contracts.installation import Installation
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.hosts import HostRun
from slipway.contracts.table.locks import Lock, LockRow
from slipway.contracts.wording import duration

MARGIN = 10.0
"""Seconds before the lock's end at which a run stops that could not renew it."""
GRACE = 2
"""Heartbeats that a run has to end in once it was told that it does not get on. One that is told to
end for another reason has the time of a lock: then nothing that it holds is its own.
"""


@dataclass
class Work:
    """What a run holds, where it is, and how it is told to stop. `run`: its number.

    `slots`: its build slots. `commit`: the id of the one that was fetched. `standstill`,
    `overtaken`: why it is to end, if for one of these. `told_at`: since when the keeper knows that
    it is told to end (seconds since the epoch).
    """

    run: int
    pipeline: str
    lock: Lock
    renewed_at: float
    slots: RunSlots = field(default_factory=lambda: RunSlots(Slots(0)))
    request: BuildRequest | None = None
    commit: str | None = None
    messages: tuple[Message, ...] = ()
    stop: Stop = field(default_factory=Stop)
    deployment_id: str | None = None
    stage: str = "received"
    progress_at: float = 0.0
    standstill: str | None = None
    told_at: float | None = None
    overtaken: bool = False
    given_up: bool = False

    def is_stale(self, pushed_at: float, commit_id: str | None) -> bool:
        """Whether a push is newer than what is worked on: not where its request has come a second
        time, or late, nor where its commit was fetched before it came.
        """
        newer = self.request is not None and pushed_at > self.request.pushed_at
        return newer and (not commit_id or commit_id != self.commit)


class Keeper:
    """`beat` is called every `limits.heartbeat` seconds, by a thread or by a simulation."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        table: Table,
        host: HostIdentity,
        installation: Installation,
        clock: Clock,
        log: Log,
        stop: Stop,
    ) -> None:
        self._inbox = inbox
        self._table = table
        self._host = host
        self._limits = installation.limits
        self._ends_stale_builds = {
            pipeline.name
            for pipeline in installation.pipelines
            if pipeline.rollout.cancel_stale_build
        }
        self._clock = clock
        self._log = log
        self._stop = stop
        self._mutex = threading.Lock()
        self._held: dict[str, Message] = {}
        self._runs: dict[str, int] = {}
        self._works: dict[int, Work] = {}
        self._round_at = clock.now()

    # --- messages

    def hold(self, messages: Iterable[Message]) -> None:
        """Extend these from now on: they are nobody's yet."""
        with self._mutex:
            self._held.update({message.receipt: message for message in messages})

    def assign(self, messages: Iterable[Message], run: int) -> None:
        """These are the run's from now on."""
        with self._mutex:
            self._runs.update({message.receipt: run for message in messages})

    def let_go(self, messages: Iterable[Message]) -> None:
        with self._mutex:
            for message in messages:
                self._held.pop(message.receipt, None)
                self._runs.pop(message.receipt, None)

    @property
    def held(self) -> tuple[Message, ...]:
        with self._mutex:
            return tuple(self._held.values())

    def held_by(self, run: int | None) -> tuple[Message, ...]:
        """What is held for that run; None: for no run."""
        with self._mutex:
            return tuple(m for r, m in self._held.items() if self._runs.get(r) == run)

    # --- runs

    @property
    def works(self) -> tuple[Work, ...]:
        """What is under way, by its run's number."""
        with self._mutex:
            return tuple(work for _, work in sorted(self._works.items()))

    def begin(self, work: Work) -> None:
        """From now on beats keep the work's lock; a stop that was asked for reaches the work."""
        work.progress_at = self._clock.now()
        with self._mutex:
            self._works[work.run] = work
        if self._stop.requested:
            work.stop.request(self._stop.reason)
        self._safely("heartbeat", self._heartbeat)

    def end(self, work: Work) -> None:
        """The run is over, or its work is another's now."""
        with self._mutex:
            was_there = self._works.pop(work.run, None) is not None
        if was_there:
            self._safely("heartbeat", self._heartbeat)

    def goes_round(self) -> None:
        """The worker got on, whether or not there are runs."""
        self._round_at = self._clock.now()

    def stop_work(self, reason: str) -> None:
        """Tell all runs to stop."""
        for work in self.works:
            work.stop.request(reason)

    def overtake(self, request: BuildRequest) -> None:
        """The request of a tip has come: the build under way of its pipeline ends if that push is
        newer, where it is configured so.
        """
        for work in self.works:
            mine = work.pipeline == request.pipeline
            if mine and work.is_stale(request.pushed_at, request.commit_id):
                self._overtake(work)

    def progress(self, work: Work, stage: str | None = None) -> None:
        """The work got on: what the heartbeat tells."""
        work.progress_at = self._clock.now()
        work.stage = stage or work.stage

    def check(self, work: Work) -> None:
        """Before a change in ECS: raise Interrupted unless the lock is ours, for all its time.

        Renewing it is the look: a change takes effect while it lasts, or never (`fence.py`).
        """
        work.stop.check()
        self._renew_lock(work)
        work.stop.check()

    # --- what the keeper does

    def beat(self) -> None:
        """Renew everything once; each part whether or not another fails. Never raises."""
        for work in self.works:
            self._look_at(work)
        self._safely("messages", self._extend)
        for work in self.works:
            self._safely("lock", lambda work=work: self._renew(work))  # type: ignore[misc]
        self._safely("heartbeat", self._heartbeat)

    def _look_at(self, work: Work) -> None:
        """End what does not get on; give up what does not even end, whoever told it to."""
        now, limits = self._clock.now(), self._limits
        still = now - work.progress_at
        if work.stop.requested:
            work.told_at = work.told_at or now
            patience = GRACE * limits.heartbeat if work.standstill else limits.lock_ttl
            if now - work.told_at > patience:
                self._give_up(work)
        elif still > limits.no_progress:
            work.standstill, work.told_at = f"no progress for {duration(still)}: ended", now
            work.stop.request(work.standstill)

    def _give_up(self, work: Work) -> None:
        self._log.error("a run does not end: it is given up", pipeline=work.pipeline)
        work.given_up = True
        work.stop.give_up()
        self.let_go(self.held_by(work.run))
        with self._mutex:
            self._works.pop(work.run, None)

    @property
    def _margin(self) -> float:
        return min(MARGIN, self._limits.lock_ttl / 4)

    def _extend(self) -> None:
        held = self.held
        lost = self._inbox.extend(held) if held else set()
        if not lost:
            return
        self.let_go(m for m in held if m.receipt in lost)
        for work in self.works:
            if any(m.receipt in lost for m in work.messages):
                work.stop.request("the lease of the request was lost")

    def _renew(self, work: Work) -> None:
        try:
            self._renew_lock(work)
            self._obey(work, self._table.locks.get(work.pipeline))
        finally:
            if self._clock.now() - work.renewed_at > self._limits.lock_ttl - self._margin:
                work.stop.request("the pipeline lock could not be renewed in time")

    def _obey(self, work: Work, lock: LockRow) -> None:
        """What others ask the holder of the lock."""
        if lock.ends(work.deployment_id):
            work.stop.request("the deployment was cancelled")
        elif work.request is not None and self._table.locks.is_to_give_way(lock, work.request):
            work.stop.request(f"{lock.takeover} takes over")
        elif work.pipeline in self._ends_stale_builds and self._is_newer_asked_for(work, lock):
            self._overtake(work)

    def _is_newer_asked_for(self, work: Work, lock: LockRow) -> bool:
        """By the note `again`, or by its want."""
        if work.request is None:
            return False
        noted_at = lock.again_at if lock.again_at is not None else self._clock.now()
        if lock.again is not None and work.is_stale(noted_at, lock.again_commit):
            return True
        want = self._table.wants.get(work.request)
        return want is not None and work.is_stale(want.pushed_at, want.request.commit_id)

    def _overtake(self, work: Work) -> None:
        request, stop = work.request, work.stop
        if work.pipeline not in self._ends_stale_builds or stop.requested:
            return
        if request is not None and request.is_tip and work.stage in ("build", "test", "push"):
            work.overtaken = True
            stop.request("a newer push has come")

    def _renew_lock(self, work: Work) -> None:
        now = self._clock.now()
        if self._table.locks.renew(work.lock, now, ttl=self._limits.lock_ttl):
            work.renewed_at = now
        else:
            work.stop.request("the pipeline lock was lost")

    def _heartbeat(self) -> None:
        runs = self._told()
        self._table.hosts.heartbeat(
            self._host.host_id,
            self._host.boot,
            self._clock.now(),
            runs=runs,
            progress_at=max((run.progress_at for run in runs), default=self._round_at),
        )

    def _told(self) -> list[HostRun]:
        return [
            HostRun(
                run=work.run,
                pipeline=work.pipeline,
                stage=work.stage,
                deployment_id=work.deployment_id,
                progress_at=work.progress_at,
                slots=work.slots.held,
            )
            for work in self.works
        ]

    def _safely(self, what: str, part: Callable[[], None]) -> None:
        try:
            part()
        except Exception as error:  # noqa: BLE001 - the next beat tries again; lateness is watched
            self._log.warning(f"could not renew: {what}", error=str(error))


class KeeperThread:
    """Beats until `stop`; started before the work, stopped after it."""

    def __init__(self, keeper: Keeper, every: float) -> None:
        self._keeper = keeper
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join(5.0)

    def _beat(self) -> None:
        while not self._end.wait(self._every):
            self._keeper.beat()
