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


class RunSlots:
    """The slots of one run: its own, and one for each thread that helps it.

    `let_go` frees all of them, for a run that has no use for them or hangs: none is taken from then
    on, and what is given back later counts no more.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held = 0
        self._is_over = False
        self._mutex = threading.Lock()

    @property
    def held(self) -> int:
        """How many it has now."""
        return self._held

    def take(self) -> bool:
        """Whether a slot was free: it is the run's then."""
        with self._mutex:
            if self._is_over or not self._slots.take():
                return False
            self._held += 1
            return True

    def give_back(self) -> None:
        """Give back one that was taken."""
        with self._mutex:
            if not self._is_over:
                self._held -= 1
                self._slots.give_back()

    def let_go(self) -> bool:
        """Give back all of them, for good; whether there were any."""
        with self._mutex:
            held, self._held, self._is_over = self._held, 0, True
            for _ in range(held):
                self._slots.give_back()
        return held > 0
