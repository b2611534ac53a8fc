"""What several runs want at the same time is done by one of them: the others wait for its result.

Whoever asked before the work began shares its result: what was looked up before an asker came may
not hold what the asker knows of. Work that fails is the failure of the run that did it alone, and
so is its stop: the next one that waits does the work itself. So does it where work hangs, once the
run at it is given up.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from build_agent.host.stop import Stop
from build_agent.host.waiting import Board, silently

T = TypeVar("T")


@dataclass(eq=False)
class _Wish(Generic[T]):
    """One run's; `granted` holds the result once there is one, `at_work`: it makes its own."""

    what: Hashable
    stop: Stop
    at_work: bool = False
    granted: list[T] = field(default_factory=list)


class Flights(Generic[T]):
    """In each lane one work is under way at a time, by whoever asked first."""

    def __init__(self) -> None:
        self._board = Board()
        self._wishes: dict[Hashable, list[_Wish[T]]] = {}

    def share(
        self,
        lane: Hashable,
        what: Hashable,
        work: Callable[[], T],
        *,
        stop: Stop,
        waiting: Callable[[], None] = silently,
    ) -> T:
        """The result of `work`, or of the same `what` in `lane` that began after this call.

        Raises what `work` raises, and Interrupted where `stop` is requested during the wait, which
        `waiting` is told of.
        """
        wish: _Wish[T] = _Wish(what, stop)
        with self._board.changing():
            self._wishes.setdefault(lane, []).append(wish)
        try:
            self._board.await_turn(
                lambda: bool(wish.granted) or self._is_next(lane, wish), stop=stop, waiting=waiting
            )
            return wish.granted[0] if wish.granted else self._do(lane, wish, work)
        finally:
            with self._board.changing():
                self._wishes[lane].remove(wish)
                if not self._wishes[lane]:
                    del self._wishes[lane]

    def waits(self, lane: Hashable) -> int:
        """How many want something in `lane`, whoever is at it included."""
        with self._board.changing():
            return len(self._wishes.get(lane, ()))

    def _is_next(self, lane: Hashable, wish: _Wish[T]) -> bool:
        """Who is at work stays the first until the work is done, or its run is given up: so nobody
        else begins.
        """
        before = (other for other in self._wishes[lane] if not other.granted)
        return next(w for w in before if w is wish or not w.stop.is_given_up) is wish

    def _do(self, lane: Hashable, wish: _Wish[T], work: Callable[[], T]) -> T:
        with self._board.changing():
            wish.at_work = True
            aboard = [other for other in self._wishes[lane] if other.what == wish.what]
        result = work()
        with self._board.changing():
            for other in aboard:
                if other is wish or not other.at_work:
                    other.granted.append(result)
        return result
