"""What the host tells of itself in its row: that it is awake, at work, or idle."""

from __future__ import annotations

from build_agent.host.clock import Clock
from build_agent.host.identity import HostIdentity
from build_agent.telling.logs import Log
from slipway.contracts.table import Table
from slipway.following.closing import Closer

LONG_POLL = 20.0
"""Seconds that the queue is polled for at most."""


class Presence:
    """The host's row of this boot, as its worker moves it. A claimed stop wins every move.

    `idle_period`: seconds without work after which the host says that it is idle. `slots`: builds
    that it can run at once.
    """

    def __init__(
        self,
        *,
        host: HostIdentity,
        table: Table,
        closer: Closer,
        clock: Clock,
        log: Log,
        idle_period: float,
        slots: int,
    ) -> None:
        self._host = host
        self._slots = slots
        self._table = table
        self._closer = closer
        self._clock = clock
        self._log = log
        self._idle_period = idle_period
        self._arrived = False
        self._idle_from = 0.0
        self.said_idle = False
        """Whether the stopper was told that the host is idle, and nothing was begun since."""
        self.resting = False
        """Whether the last look at the queue found nothing to do."""

    def arrive(self) -> bool:
        """Say that this boot is awake, once; False while a stop is claimed."""
        if not self._arrived:
            now = self._clock.now()
            self._arrived = self._table.hosts.arrive(
                self._host.host_id, self._host.boot, now, slots=self._slots
            )
            self._idle_from, self.said_idle = now, False
            self._log.info("arrived" if self._arrived else "a stop is claimed: waiting for it")
        return self._arrived

    def is_to_be_stopped(self) -> bool:
        """Once idle was said a stop may come at any time: a request is not taken into it.

        For the same reason nothing is polled for long then. SQS may hand a request to a long poll
        whose caller is gone, and the request would wait until its lease ends.
        """
        if not self.said_idle:
            return False
        row = self._table.hosts.get(self._host.host_id)
        if row is not None and row.boot == self._host.boot and row.state == "stopping":
            self._arrived = False
        return not self._arrived

    def patience(self) -> float:
        """Seconds that the queue is polled for: until it is time to say that we idle."""
        due = self._idle_from + self._idle_period - self._clock.now()
        return 0.0 if self.said_idle else min(LONG_POLL, max(0.0, due))

    def begin_work(self) -> bool:
        """There is something to do: say so in the host's row; False if a stop is claimed."""
        self._arrived = self._table.hosts.begin_work(
            self._host.host_id, self._host.boot, self._clock.now()
        )
        if self._arrived:
            self.said_idle = self.resting = False
        return self._arrived

    def worked(self) -> None:
        """Work ended just now: the idle period begins anew."""
        self._idle_from = self._clock.now()

    def rest(self) -> bool:
        """Nothing to do: after an idle period say so, and again after each; False if a stop is
        claimed.
        """
        self.resting = True
        now = self._clock.now()
        if now - self._idle_from < self._idle_period:
            return True
        number = self._table.hosts.say_idle(self._host.host_id, self._host.boot, now)
        if number is None:
            self._arrived = False
            return False
        self._idle_from, self.said_idle = now, True
        self._closer.idle(number)
        self._log.info("idle", idle_number=number)
        return True
