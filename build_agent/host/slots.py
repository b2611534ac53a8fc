"""Build slots of a host: taken where one is free, never waited for."""

from __future__ import annotations

import threading


class Slots:
    """`count` slots, for all threads of the agent."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._mutex = threading.Lock()

    @property
    def free(self) -> int:
        """How many are free now."""
        return self._free

    def take(self) -> bool:
        """Whether a slot was free: it is the caller's then, until it gives it back."""
        with self._mutex:
            if self._free < 1:
                return False
            self._free -= 1
            return True

    def give_back(self) -> None:
        """Give back a slot that was taken."""
        with self._mutex:
            if self._free >= self.count:
                raise AssertionError("a slot was given back that nobody had taken")
            self._free += 1
