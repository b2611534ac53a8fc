"""How work under way is told to end before it is done: SIGTERM, a lost lease, a lost lock."""

from __future__ import annotations

import threading

from slipway.contracts.errors import Interrupted

__all__ = ["Interrupted", "Stop"]


class Stop:
    """A request to stop, with its reason; the first one stands."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason = ""

    def request(self, reason: str) -> None:
        if not self._event.is_set():
            self._reason = reason
            self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    @property
    def reason(self) -> str:
        return self._reason

    def wait(self, seconds: float) -> bool:
        """Wait until stopped, at most `seconds`; whether it is."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """Raise Interrupted if the work is to stop."""
        if self._event.is_set():
            raise Interrupted(self._reason)
