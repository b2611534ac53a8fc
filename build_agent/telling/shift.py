"""A builder's shift: it works for one pipeline until nothing is left to do, and says so.

In place of a host's presence: nobody stops a builder, it ends by itself.
"""

from __future__ import annotations

from typing import Protocol

from build_agent.host.clock import Clock
from build_agent.host.identity import HostIdentity
from build_agent.host.stop import Stop
from build_agent.telling.logs import Log
from slipway.contracts.table import Table

PATIENCE = 60.0
"""Seconds that a builder waits for a request that comes back: another one's start takes as long."""
ANOTHER = "another build works for the pipeline"


class Left(Protocol):
    """What is left to do for the pipeline."""

    def take_wants(self) -> bool: ...
    def free_within(self, seconds: float) -> bool: ...


class Shift:
    """The worker's presence where it is a builder. Its host row tells what it does, as a host's.

    `rest` ends the worker by its `stop`. A row or a want that is written while the builder says
    that it is done is seen by one of the two: its writer looks at the builder's row afterwards, and
    the builder looks once more after it has said so.
    """

    def __init__(
        self,
        *,
        pipeline: str,
        generation: int,
        host: HostIdentity,
        table: Table,
        left: Left,
        clock: Clock,
        log: Log,
        stop: Stop,
        slots: int,
        build_id: str = "",
        takes_over: bool = False,
    ) -> None:
        """`takes_over`: a push ends the rollout before it, and comes back for that in seconds."""
        self._pipeline = pipeline
        self._generation = generation
        self._host = host
        self._table = table
        self._left = left
        self._clock = clock
        self._log = log
        self._stop = stop
        self._slots = slots
        self._build_id = build_id
        self._takes_over = takes_over
        self._begun = False
        self.said_idle = False
        self.resting = False

    def arrive(self) -> bool:
        """Begin the shift, once; where the builder's row is of another build it is over at once."""
        if self._begun or self._stop.requested:
            return self._begun
        if not self._is_ours():
            self._end(ANOTHER)
            return False
        now = self._clock.now()
        self._begun = self._table.hosts.arrive(
            self._host.host_id, self._host.boot, now, slots=self._slots
        )
        self._left.take_wants()
        self._log.info("a shift begins", pipeline=self._pipeline, generation=self._generation)
        return self._begun

    def is_to_be_stopped(self) -> bool:
        return False

    def patience(self) -> float:
        """Seconds that the rows are looked at for: what is not there is not waited for."""
        return PATIENCE if self.resting else 0.0

    def begin_work(self) -> bool:
        """There is something to do; False where another build works for the pipeline by now."""
        self.resting = False
        begun = self._table.hosts.begin_work(self._host.host_id, self._host.boot, self._clock.now())
        if not begun:
            self._end(ANOTHER)
        return begun

    def worked(self) -> None:
        """A builder has no idle period."""

    def rest(self) -> bool:
        """Nothing is there to do now: wait for what comes back soon, or end the shift."""
        self.resting = True
        if self._is_waited_for():
            return True
        builders, now = self._table.builders, self._clock.now()
        if not builders.say_done(self._pipeline, self._generation, now):
            self._end(ANOTHER)
        elif not (self._has_more() and builders.go_on(self._pipeline, self._generation)):
            self._end("nothing is left to do")
        return True

    def _has_more(self) -> bool:
        return self._left.take_wants() or self._is_waited_for()

    def _is_waited_for(self) -> bool:
        """Whether something comes back soon. What waits for the end of a rollout is published then:
        its minutes are no minutes of a build.
        """
        if not self._takes_over and self._table.locks.get(self._pipeline).is_followed:
            return self._left.free_within(0.0)
        return self._left.free_within(PATIENCE)

    def _is_ours(self) -> bool:
        """Whether the builder's row is of this very build, and not over."""
        if self._build_id:
            return self._table.builders.start(self._pipeline, self._generation, self._build_id)
        row = self._table.builders.get(self._pipeline)
        return row.generation == self._generation and row.is_live

    def _end(self, why: str) -> None:
        self._log.info("the shift is over", pipeline=self._pipeline, why=why)
        self._stop.request(why)
