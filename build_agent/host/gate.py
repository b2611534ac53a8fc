"""Many use a thing at the same time, or one changes it while nobody uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from build_agent.host.stop import Stop
from build_agent.host.waiting import Board, silently


class Gate:
    """Who waits to be alone goes before those who come to use it after him.

    A run that hangs inside, and is given up, is waited for no more.
    """

    def __init__(self) -> None:
        self._board = Board()
        self._users: list[Stop] = []
        self._wanting = 0
        self._changer: Stop | None = None

    @property
    def using(self) -> int:
        """How many use it now."""
        return sum(not stop.is_given_up for stop in self._users)

    @contextmanager
    def use(self, *, stop: Stop, waiting: Callable[[], None] = silently) -> Iterator[None]:
        """Inside, nobody changes it. Raises Interrupted where `stop` ends the wait."""
        self._board.await_turn(lambda: self._enter(stop), stop=stop, waiting=waiting)
        try:
            yield
        finally:
            with self._board.changing():
                self._users.remove(stop)

    @contextmanager
    def alone(self, *, stop: Stop, waiting: Callable[[], None] = silently) -> Iterator[None]:
        """Inside, nobody else uses it. Raises Interrupted where `stop` ends the wait."""
        with self._board.changing():
            self._wanting += 1
        try:
            self._board.await_turn(lambda: self._close(stop), stop=stop, waiting=waiting)
        finally:
            with self._board.changing():
                self._wanting -= 1
        try:
            yield
        finally:
            with self._board.changing():
                if self._changer is stop:
                    self._changer = None

    @property
    def _is_changed(self) -> bool:
        return self._changer is not None and not self._changer.is_given_up

    def _enter(self, stop: Stop) -> bool:
        if self._is_changed or self._wanting:
            return False
        self._users.append(stop)
        return True

    def _close(self, stop: Stop) -> bool:
        if self._is_changed or self.using:
            return False
        self._changer = stop
        return True
