"""Runs in threads of their own, as the agent has them, for tests of what they share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from build_agent.host.stop import Stop
from local.waiting import wait_until

T = TypeVar("T")
PATIENCE = 20.0


class Run(Generic[T]):
    """`work` in a thread of its own, with a stop of its own, which `work` is given."""

    def __init__(self, work: Callable[[Stop], T]) -> None:
        self.stop = Stop()
        self._ended: list[T] = []
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._do, args=[work], daemon=True)
        self._thread.start()

    def _do(self, work: Callable[[Stop], T]) -> None:
        try:
            self._ended.append(work(self.stop))
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            self._failed.append(error)

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> T:
        """What the work came to."""
        self._thread.join(PATIENCE)
        assert self.is_over, "the run did not end"
        if self._failed:
            raise self._failed[0]
        return self._ended[0]


def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition that is sure to come."""
    assert wait_until(lambda: bool(condition()), seconds=PATIENCE, poll=0.002)


class Door:
    """Work stands still at it until it is opened; `reached`: how often it was."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.reached = 0
        self.at_once = 0
        """How many stood there at the same time, at the most."""
        self._standing = 0
        self._mutex = threading.Lock()

    def open(self) -> None:
        self._open.set()

    def __call__(self) -> None:
        with self._mutex:
            self.reached += 1
            self._standing += 1
            self.at_once = max(self.at_once, self._standing)
        assert self._open.wait(PATIENCE), "nobody opened the door"
        with self._mutex:
            self._standing -= 1
