"""Work that goes on beside the rest: begun, waited for, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Task(Protocol):
    """Something under way."""

    def is_alive(self) -> bool:
        """Whether it has not ended."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, or for `timeout` seconds."""


Spawn = Callable[[str, Callable[[], None]], Task]
"""Begins a function, which raises nothing, by a name."""


def in_thread(name: str, body: Callable[[], None]) -> Task:
    """In a thread; a process that ends does not wait for it."""
    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    return thread


class _Ended:
    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        return None


def at_once(_name: str, body: Callable[[], None]) -> Task:
    """To its end, before anything else."""
    body()
    return _Ended()
