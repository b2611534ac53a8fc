"""Waits for what another run does, each with its own stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from build_agent.host.stop import Stop

PULSE = 30.0
"""Seconds between two signs of life of a run that waits."""


def silently() -> None:
    """A wait that nobody is told of."""


class Board:
    """What runs know of each other's work; whoever changes it wakes all who wait for a change."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Inside, the board is this thread's alone; then all who wait look again. Never for long:
        no call of another process or of AWS is made inside.
        """
        with self._changed:
            try:
                yield
            finally:
                self._changed.notify_all()

    def await_turn(
        self,
        take: Callable[[], bool],
        *,
        stop: Stop,
        waiting: Callable[[], None] = silently,
    ) -> None:
        """Wait until `take`, which is asked after each change and may change the board, is True.

        Raises Interrupted as soon as `stop` is requested; `waiting` is called every PULSE seconds.
        """
        with stop.waking(self._wake):
            while not self._taken(take, stop):
                waiting()

    def _taken(self, take: Callable[[], bool], stop: Stop) -> bool:
        """Whether it was taken within one pulse."""
        with self._changed:
            while True:
                stop.check()
                if take():
                    return True
                if not self._changed.wait(PULSE):
                    return False

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
