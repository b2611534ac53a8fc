"""An operator's command lines, call by call: `slipway cancel` and `slipway rollback`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.simulation.model.asked import Asked
from tests.simulation.model.changes import minus, publish, sorted_with, with_orders
from tests.simulation.model.real import Real
from tests.simulation.model.state import DEPLOYMENT, NEVER, Bounds, State, Violation

FIRST_ROLLBACK = 5

Steps = Iterator[tuple[str, bool, State]]
Done = Iterator[tuple[str, State]]


class People:
    """What a command does next is of the state; it may end there, or go on."""

    def __init__(self, real: Real, asked: Asked, bounds: Bounds, without: frozenset[str]) -> None:
        self._real = real
        self._asked = asked
        self._bounds = bounds
        self._without = without

    def steps(self, s: State) -> Steps:
        o = s.orders
        if o.cancels and self._asked.look(s) not in ((), ("look",)):
            ordered = with_orders(s, cancels=o.cancels - 1)
            yield "an operator cancels", False, self._looks(ordered)
        if o.rollbacks:
            yield "an operator rolls back", False, self._rolls_back(s)
        for order in dict.fromkeys(o.people):
            rest = with_orders(s, people=minus(o.people, order))
            yield f"the command ends before it does {order}", True, rest
            for label, after in getattr(self, f"_{order[0]}")(rest, *order[1:]):
                yield f"the command {label}", False, after

    def _then(self, s: State, *order: Any) -> State:
        return with_orders(s, people=sorted_with(s.orders.people, order))

    # --- cancel

    def _looks(self, s: State) -> State:
        found = self._asked.look(s)
        return self._then(s, *found) if found else s

    def _look(self, s: State) -> Done:
        yield "looks again", self._looks(s)

    def _mark(self, s: State, request: int) -> Done:
        """In the row. What is over meanwhile is looked for anew."""
        if not self._asked.marks(s, request):
            yield f"finds {request} over", self._then(s, "look")
            return
        if "cancel's mark" not in self._without:
            s = with_orders(s, marked=s.orders.marked | {request})
        yield f"marks {request}", self._then(s, "note", request)

    def _note(self, s: State, request: int) -> Done:
        """In the lock, unless a deployment has it just now."""
        if s.lock.holder == DEPLOYMENT:
            yield from self._calls("finds it followed", s, request)
        else:
            yield "finds a holder", self._then(s, "interrupt", request)

    def _interrupt(self, s: State, request: int) -> Done:
        lock, _ = self._real.lock_move(s.lock, "interrupt", 0, request)
        yield from self._calls("interrupts the holder", s._replace(lock=lock), request)

    def _calls(self, label: str, s: State, request: int) -> Done:
        """The follower, if the deployment has the lock; or the command ends before it does."""
        yield label, s
        if s.rollout is not None and s.rollout.request == request:
            yield f"{label}, and calls the follower", _look_now(s, is_over=False)

    def _end(self, s: State, *requests: int) -> Done:
        """The first of those that wait; if none could be ended it looks again."""
        first, *others = requests
        if not self._asked.ends_waiting(s, first):
            next_one = ("end", *others) if others else ("look",)
            yield f"finds that {first} waits no more", self._then(s, *next_one)
            return
        if first in s.orders.begun:
            raise Violation(f"{first} is ended as if nothing was begun for it")
        handled = self._asked.dealt_with(first, s.handled)
        if s.silent:
            raise Violation("an outcome is forgotten: nobody is told of it")
        o = s.orders
        s = s._replace(
            want=0 if s.want == first else s.want,
            settled=s.settled | {first},
            handled=handled,
            untold=True,
            silent=True,
        )
        wants = tuple(want for want in o.wants if want != first)
        s = with_orders(s, wants=wants, excused=max(o.excused, handled))
        yield f"ends {first}, which waits", self._then(s, "tell", "rest", *others)

    def _left(self, s: State, *requests: int) -> Done:
        """What nobody takes up again; then what waits is looked for."""
        first, *others = requests
        if not self._asked.ends_left_behind(s, first):
            yield f"finds that {first} is not left behind", self._left_next(s, others)
            return
        o = s.orders
        s = s._replace(
            want=0 if s.want == first else s.want,
            settled=s.settled | {first},
            untold=True,
            silent=True,
        )
        s = with_orders(s, begun=o.begun - {first}, marked=o.marked - {first})
        yield f"ends {first}, which is left behind", self._then(s, "tell", "left", *others)

    def _left_next(self, s: State, others: Sequence[int]) -> State:
        return self._then(s, "left", *others) if others else self._then(s, "look")

    def _tell(self, s: State, what: str, *others: int) -> Done:
        """The follower is called for what is over."""
        if s.untold:
            s = _look_now(s, is_over=True)
        if what == "left":
            s = self._left_next(s, others)
        elif others:
            s = self._then(s, "end", *others)
        yield "calls the follower", s

    # --- rollback

    def _rolls_back(self, s: State) -> State:
        o = s.orders
        request = 10 * s.pushed + FIRST_ROLLBACK + self._bounds.rollbacks - o.rollbacks
        s = with_orders(publish(s, request), rollbacks=o.rollbacks - 1)
        return self._then(s, "takeover", request)

    def _takeover(self, s: State, request: int) -> Done:
        """Unless the request's own deployment is begun, or over, by now (see `canonical`)."""
        lock, asked = self._real.lock_move(s.lock, "ask_takeover", 0, request)
        if not asked:
            yield "finds nobody at work", s
            return
        s = s._replace(lock=lock)
        yield "asks the holder to give way", s
        if s.rollout is not None:
            yield "asks the holder to give way, and calls the follower", _look_now(s, is_over=False)


def _look_now(s: State, *, is_over: bool) -> State:
    message = (is_over, NEVER)
    return s if message in s.follow else s._replace(follow=sorted_with(s.follow, message))
