"""Keeps what the worker holds: messages, the pipeline lock, the host's heartbeat. One keeper.

A worker may only go on while its leases hold. So every beat that is late, and every renewal that
is refused, tells the work to stop, and the work looks once more before each change in ECS. The
keeper outlives the work: on stop the work ends first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from build_agent.host.clock import Clock
from build_agent.host.identity import HostIdentity
from build_agent.host.stop import Stop
from build_agent.queue.inbox import Inbox, Message
from build_agent.telling.logs import Log
from slipway.contracts.installation import Limits
from slipway.contracts.table import Table
from slipway.contracts.table.hosts import HostRun
from slipway.contracts.table.locks import Lock

MARGIN = 10.0
"""Seconds before the lock's end at which work stops that could not renew it."""


@dataclass
class Work:
    """The work under way: what it holds, where it is, and how it is told to stop."""

    pipeline: str
    lock: Lock
    renewed_at: float
    messages: tuple[Message, ...] = ()
    stop: Stop = field(default_factory=Stop)
    deployment_id: str | None = None
    stage: str = "received"
    progress_at: float = 0.0
    handed_over: bool = False
    """The deployment's row owns the rollout, and the lock is the deployment's."""


class Keeper:
    """`beat` is called every `limits.heartbeat` seconds, by a thread or by a simulation."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        table: Table,
        host: HostIdentity,
        limits: Limits,
        clock: Clock,
        log: Log,
        stop: Stop,
    ) -> None:
        self._inbox = inbox
        self._table = table
        self._host = host
        self._limits = limits
        self._clock = clock
        self._log = log
        self._stop = stop
        self._mutex = threading.Lock()
        self._held: dict[str, Message] = {}
        self._work: Work | None = None

    # --- what the worker tells

    def hold(self, messages: Iterable[Message]) -> None:
        with self._mutex:
            self._held.update({message.receipt: message for message in messages})

    def let_go(self, messages: Iterable[Message]) -> None:
        with self._mutex:
            for message in messages:
                self._held.pop(message.receipt, None)

    @property
    def held(self) -> tuple[Message, ...]:
        with self._mutex:
            return tuple(self._held.values())

    def begin(self, work: Work) -> None:
        """From now on beats keep the work's lock; a stop that was asked for reaches the work."""
        work.progress_at = self._clock.now()
        self._work = work
        if self._stop.requested:
            work.stop.request(self._stop.reason)

    def end(self) -> None:
        self._work = None

    def stop_work(self, reason: str) -> None:
        """Tell the work under way, if any, to stop."""
        work = self._work
        if work is not None:
            work.stop.request(reason)

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
        self._safely("messages", self._extend)
        self._safely("lock", self._renew)
        self._safely("heartbeat", self._heartbeat)

    @property
    def _margin(self) -> float:
        return min(MARGIN, self._limits.lock_ttl / 4)

    def _extend(self) -> None:
        held = self.held
        lost = self._inbox.extend(held) if held else set()
        if not lost:
            return
        self.let_go(m for m in held if m.receipt in lost)
        work = self._work
        if work is not None and any(m.receipt in lost for m in work.messages):
            work.stop.request("the lease of the request was lost")

    def _renew(self) -> None:
        work = self._work
        if work is None:
            return
        try:
            self._renew_lock(work)
            takeover = self._table.locks.get(work.pipeline).takeover
            if takeover is not None:
                work.stop.request(f"{takeover} takes over")
        finally:
            if self._clock.now() - work.renewed_at > self._limits.lock_ttl - self._margin:
                work.stop.request("the pipeline lock could not be renewed in time")

    def _renew_lock(self, work: Work) -> None:
        now = self._clock.now()
        if self._table.locks.renew(work.lock, now, ttl=self._limits.lock_ttl):
            work.renewed_at = now
        else:
            work.stop.request("the pipeline lock was lost")

    def _heartbeat(self) -> None:
        work = self._work
        runs = [] if work is None else [
            HostRun(run=1, pipeline=work.pipeline, stage=work.stage,
                    deployment_id=work.deployment_id, progress_at=work.progress_at)
        ]
        self._table.hosts.heartbeat(
            self._host.host_id, self._host.boot, self._clock.now(), runs=runs
        )

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
