"""Many use a thing at the same time, or one changes it while nobody uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from build_agent.host.stop import Stop
from build_agent.host.waiting import Board, silently


class Gate:
    """Who waits to be alone goes before those who come to use it after him."""

    def __init__(self) -> None:
        self._board = Board()
        self._using = 0
        self._wanting = 0
        self._is_changed = False

    @property
    def using(self) -> int:
        """How many use it now."""
        return self._using

    @contextmanager
    def use(self, *, stop: Stop, waiting: Callable[[], None] = silently) -> Iterator[None]:
        """Inside, nobody changes it. Raises Interrupted where `stop` ends the wait."""
        self._board.await_turn(self._enter, stop=stop, waiting=waiting)
        try:
            yield
        finally:
            with self._board.changing():
                self._using -= 1

    @contextmanager
    def alone(self, *, stop: Stop, waiting: Callable[[], None] = silently) -> Iterator[None]:
        """Inside, nobody else uses it. Raises Interrupted where `stop` ends the wait."""
        with self._board.changing():
            self._wanting += 1
        try:
            self._board.await_turn(self._close, stop=stop, waiting=waiting)
        finally:
            with self._board.changing():
                self._wanting -= 1
        try:
            yield
        finally:
            with self._board.changing():
                self._is_changed = False

    def _enter(self) -> bool:
        if self._is_changed or self._wanting:
            return False
        self._using += 1
        return True

    def _close(self) -> bool:
        if self._is_changed or self._using:
            return False
        self._is_changed = True
        return True
