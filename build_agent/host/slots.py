"""Build slots: how many builds the host can run at once. Nobody waits for one."""

from __future__ import annotations

import threading


class Slots:
    """`count` slots, taken and given back by any thread."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._mutex = threading.Lock()

    @property
    def free(self) -> int:
        return self._free

    def take(self) -> bool:
        """One slot; False if all are taken."""
        with self._mutex:
            if not self._free:
                return False
            self._free -= 1
            return True

    def give_back(self) -> None:
        with self._mutex:
            self._free += 1
