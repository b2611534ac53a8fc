"""How work under way is told to end before it is done: SIGTERM, a lost lease, a lost lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from slipway.contracts.errors import Interrupted

__all__ = ["Interrupted", "Stop"]


class Stop:
    """A request to stop, with its reason; the first one stands.

    `of`: the stop of the whole, of which this is a part's: who is given up is given up with all
    parts.
    """

    def __init__(self, of: Stop | None = None) -> None:
        self._of = of
        self._is_given_up = False
        self._event = threading.Event()
        self._mutex = threading.Lock()
        self._wakers: list[Callable[[], None]] = []
        self._reason = ""

    def request(self, reason: str) -> None:
        with self._mutex:
            if self._event.is_set():
                return
            self._reason = reason
            self._event.set()
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def give_up(self) -> None:
        """Nobody waits any more for whoever was told to stop, and does not even do that."""
        self._is_given_up = True

    @property
    def is_given_up(self) -> bool:
        return self._is_given_up or (self._of is not None and self._of.is_given_up)

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    @property
    def reason(self) -> str:
        return self._reason

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Inside, a stop calls `wake` (at once, where it was requested before).

        For whoever waits for something besides this stop: `wake` ends the wait.
        """
        with self._mutex:
            self._wakers.append(wake)
            late = self._event.is_set()
        try:
            if late:
                wake()
            yield
        finally:
            with self._mutex:
                self._wakers.remove(wake)

    def wait(self, seconds: float) -> bool:
        """Wait until stopped, at most `seconds`; whether it is."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """Raise Interrupted if the work is to stop."""
        if self._event.is_set():
            raise Interrupted(self._reason)
