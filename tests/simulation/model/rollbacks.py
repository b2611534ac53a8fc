"""The follower begins a rollback: it asks what is under way to give way, locks, hands over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.model.changes import (
    minus,
    sorted_with,
    with_lambda,
    with_orders,
)
from tests.simulation.model.following import FIRST, Following
from tests.simulation.model.real import Real
from tests.simulation.model.state import (
    DEPLOYMENT,
    FOLLOWER,
    INVOCATION,
    NEVER,
    STANDING,
    Bounds,
    Rollout,
    State,
    Violation,
)

Steps = Iterator[tuple[str, bool, State]]


class Rollbacks:
    """An invocation is ("B", -, -, -, what it does next, request, its name as a holder)."""

    def __init__(self, real: Real, following: Following, bounds: Bounds) -> None:
        self._real = real
        self._following = following
        self._bounds = bounds

    def received(self, s: State) -> Iterator[tuple[int, State, list[tuple[str, bool, State]]]]:
        """A message of the follow queue that asks for a rollback: what is left, what comes of it.

        It is looked at, and the lock tried, in one step.
        """
        for request in dict.fromkeys(s.orders.calls):
            left = with_orders(s, calls=minus(s.orders.calls, request))
            yield request, left, [self._called(left, request)]

    def _called(self, s: State, request: int) -> tuple[str, bool, State]:
        if request in s.settled:
            return f"rollback {request} is settled", False, self._cleared(s, request)
        me = next(name for name in INVOCATION if _is_free(s, name))
        lock, taken = self._real.lock_move(s.lock, "take", me)
        if taken:
            return (
                f"rollback {request} locks",
                False,
                _as(s._replace(lock=lock), "has", request, me),
            )
        lock, _ = self._real.lock_move(s.lock, "ask_takeover", 0, request)
        asked = _as(s._replace(lock=lock), "asked", request, me)
        return f"rollback {request} asks the holder to give way", False, asked

    def steps(self, s: State, _index: int, p: Any) -> Steps:
        """The next step of an invocation, which is not among the Lambdas of `s` any more."""
        yield from getattr(self, f"_{p[4]}")(s, p[5], p[6])

    def crashed(self, s: State, request: int) -> State:
        return with_orders(s, calls=sorted_with(s.orders.calls, request))

    # --- what is under way

    def _asked(self, s: State, request: int, me: int) -> Steps:
        """It claims a step of what is followed, or tries the lock again."""
        rollout = s.rollout
        if s.lock.holder != DEPLOYMENT or rollout is None:
            yield self._try(s, request, me)
        elif rollout.claim == STANDING:
            yield f"rollback {request} waits for a claim", False, self._waits(s, request)
        else:
            claimed = self._following.claimed(s, FOLLOWER)
            if claimed is not None:
                yield f"rollback {request} claims a step", False, _as(claimed, "gives", request, me)

    def _gives(self, s: State, request: int, me: int) -> Steps:
        """It takes the steps that are due; the first is to obey."""
        assert s.rollout is not None
        step = s.rollout.step
        *between, (label, after) = self._following.steps(s, FOLLOWER, step)
        yield f"rollback {request}'s follower {label}", False, _as(after, "tries", request, me)
        for said, state in between:
            name = f"rollback {request}'s follower {said}"
            if state.rollout is not None:
                gone = self._following.let_go(state, FOLLOWER, step)
                yield f"{name}, and lets go", False, self._waits(gone, request)
            if s.crashes:
                crashed = self.crashed(state, request)._replace(crashes=s.crashes - 1)
                yield f"{name}, and crashes", True, crashed

    def _tries(self, s: State, request: int, me: int) -> Steps:
        yield self._try(s, request, me)

    def _try(self, s: State, request: int, me: int) -> tuple[str, bool, State]:
        lock, taken = self._real.lock_move(s.lock, "take", me)
        if not taken:
            return f"rollback {request} waits for the lock", False, self._waits(s, request)
        return f"rollback {request} locks", False, _as(s._replace(lock=lock), "has", request, me)

    def _waits(self, s: State, request: int) -> State:
        """It comes again, unless a message of it is on its way."""
        on_its_way = request in s.orders.calls
        return s if on_its_way else with_orders(s, calls=sorted_with(s.orders.calls, request))

    # --- under the lock

    def _has(self, s: State, request: int, me: int) -> Steps:
        if request in s.settled:
            yield f"rollback {request} is settled", False, self._abandoned(s, me)
            return
        begun = with_orders(s, begun=s.orders.begun | {request})
        yield f"rollback {request} begins", False, _as(begun, "begun", request, me)

    def _begun(self, s: State, request: int, me: int) -> Steps:
        """One transaction, as a run's."""
        if any(run.phase == "hand" for host in s.hosts for run in host.runs):
            raise Violation("a rollback and a run roll out at the same time")
        lock, handed = self._real.lock_move(s.lock, "hand_over", me)
        if not handed or request in s.settled:
            yield "rollback has lost its lock", False, self._waits(self._abandoned(s, me), request)
            return
        if s.rollout is not None:
            raise Violation("two rollouts are followed at the same time")
        o = s.orders
        rollout = Rollout(request / 10, FIRST, FOLLOWER, STANDING, False, request)
        rollout = rollout._replace(ordered=request in o.marked)
        handed_over = self._cleared(s, request)._replace(
            lock=lock, rollout=rollout, settled=s.settled | {request}
        )
        handed_over = with_orders(handed_over, begun=o.begun - {request})
        yield f"rollback {request} is handed over", False, _as(handed_over, "send", request, me)

    def _send(self, s: State, request: int, _me: int) -> Steps:
        assert s.rollout is not None
        step = s.rollout.step
        sent = s._replace(follow=sorted_with(s.follow, (False, step)))
        sent = with_lambda(sent, ("F", NEVER, NEVER, 0, step, request))
        yield "the follower sends the follow message", False, sent

    def _cleared(self, s: State, request: int) -> State:
        return with_orders(s, wants=tuple(want for want in s.orders.wants if want != request))

    def _abandoned(self, s: State, me: int) -> State:
        """The lock is given back; what waits for it is asked for."""
        if s.lock.holder != me:
            return s
        lock, _ = self._real.lock_move(s.lock, "abandon", me)
        return self._following.decided_anew(s._replace(lock=lock))


def starter_notes(s: State, request: int) -> State:
    """The want of a rollback: a row of its own."""
    if request in s.settled or request in s.orders.wants:
        return s
    return with_orders(s, wants=sorted_with(s.orders.wants, request))


def _is_free(s: State, name: int) -> bool:
    if abs(s.lock.holder) == name:
        return False
    return not any(p[0] == "B" and p[6] == name for p in s.lambdas)


def _as(s: State, stage: str, request: int, me: int) -> State:
    return with_lambda(s, ("B", NEVER, NEVER, 0, stage, request, me))
