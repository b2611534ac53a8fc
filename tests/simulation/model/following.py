"""The steps of a rollout that its row owns, whoever takes them: an agent, or the follower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.model.asked import Asked
from tests.simulation.model.changes import (
    asked_again,
    is_rollback,
    may_publish,
    publish,
    sorted_with,
    with_orders,
)
from tests.simulation.model.real import Real
from tests.simulation.model.state import (
    FOLLOWER,
    NEVER,
    STANDING,
    Bounds,
    Rollout,
    State,
    Violation,
)

FIRST = 1
"""The step that who hands over has claimed."""


class Following:
    """A step is claimed, taken, and let go of; `without` as the model's."""

    def __init__(self, real: Real, asked: Asked, bounds: Bounds, without: frozenset[str]) -> None:
        self._real = real
        self._asked = asked
        self._bounds = bounds
        self._without = without

    # --- the follower

    def messages(self, s: State) -> Iterator[tuple[str, State, tuple[bool, int] | None]]:
        """A message of the follow queue comes; None: nothing is to be done for it.

        One that meets another's claim comes again later, if it is the chain's.
        """
        for message in dict.fromkeys(s.follow):
            is_over, step = message
            rest = s._replace(follow=_minus(s.follow, message))
            if is_over:
                if s.untold:
                    yield "the follower is called for what is over", rest, message
                else:
                    yield "a follow message comes too late", rest, None
                continue
            rollout = s.rollout
            assert rollout is not None
            claimed = rollout.claim == STANDING
            if claimed and step != NEVER:
                continue
            if claimed or not is_live(rollout, step):
                yield "a follow message comes in vain", rest, None
                continue
            after = self.claimed(rest, FOLLOWER)
            if after is not None:
                yield "the follower claims a step", after, message

    def claimed(self, s: State, who: int) -> State | None:
        """With the next step claimed; None: it is another's."""
        rollout = s.rollout
        assert rollout is not None
        after, mine = self._real.rollout_move(rollout, "claim", who, rollout.step)
        ordered = rollout.request in s.orders.marked and not rollout.begun
        return s._replace(rollout=after._replace(ordered=ordered)) if mine else None

    def steps(self, s: State, who: int, step: int) -> list[tuple[str, State]]:
        """The states that the claimer of `step` goes through, one after the other, to the end."""
        found: list[tuple[str, State]] = []
        rollout = s.rollout
        assert rollout is not None
        status = self._obeyed(s, rollout)
        if status == "rolled_back" and not rollout.back:
            s = self._taken_back(s, rollout, who, step)
            found.append((f"takes {rollout.tip} back", s))
        elif not status and not rollout.begun:
            s = self._updated(s, rollout, who, step)
            found.append((f"updates to {rollout.tip}", s))
        s = self._recorded(s, who, step, status)
        if s.rollout is not None:
            return [*found, ("has lost its claim", s)]
        said = f"records {rollout.tip}{status and ' as ' + status}"
        return [*found, (said, s), ("tells, and decides anew", self.tells(s))]

    # --- what is asked of it

    def _obeyed(self, s: State, rollout: Rollout) -> str:
        """As what it ends for an order; empty: it goes on."""
        if not self._bounds.orders:
            return ""
        marked = rollout.request in s.orders.marked
        order = self._asked.obeys(s, rollout.request, marked=marked)
        if order == "gives way":
            return "superseded"
        if rollout.back or (order == "cancels" and rollout.begun):
            return "rolled_back"
        return "cancelled" if order == "cancels" else ""

    def _taken_back(self, s: State, rollout: Rollout, who: int, step: int) -> State:
        """What ran before runs again."""
        renewed, mine = self._real.rollout_move(rollout, "renew", who, step)
        self._check(rollout, mine, who, step)
        if not mine:
            return s
        return s._replace(rollout=renewed._replace(back=True), deployed=rollout.before)

    def _check_way(self, s: State, rollout: Rollout) -> None:
        """A rollback that takes over is still to come, and newer than what gives way to it."""
        asker = s.lock.asks
        if asker in s.settled:
            raise Violation(f"{rollout.request} gives way to rollback {asker}, which is over")
        if is_rollback(rollout.request) and asker <= rollout.request:
            raise Violation(f"rollback {rollout.request} gives way to {asker}, which is older")

    def _updated(self, s: State, rollout: Rollout, who: int, step: int) -> State:
        renewed, mine = self._real.rollout_move(rollout, "renew", who, step)
        self._check(rollout, mine, who, step)
        if not mine:
            return s
        if rollout.ordered:
            raise Violation(f"{rollout.request} was cancelled, and changes the service")
        if is_rollback(rollout.request):
            s = with_orders(s, excused=max(s.orders.excused, int(s.deployed)))
        elif rollout.tip < s.deployed:
            raise Violation(f"push {rollout.tip} replaces push {s.deployed}, which is newer")
        before = s.deployed if self._bounds.cancels or self._bounds.rollbacks > 1 else 0
        return s._replace(rollout=renewed._replace(begun=True, before=before), deployed=rollout.tip)

    def _recorded(self, s: State, who: int, step: int, status: str) -> State:
        rollout = s.rollout
        if rollout is None or not (rollout.begun or status):
            return s
        lock, mine = self._real.finished(s.lock, rollout, who, step)
        self._check(rollout, mine, who, step)
        if not mine:
            return s
        if status == "superseded":
            self._check_way(s, rollout)
        if self._bounds.orders:
            s = self._dealt_with(s, rollout, status)
        if s.silent:
            raise Violation("an outcome is forgotten: nobody is told of it")
        handled = s.handled if self._bounds.orders else int(rollout.tip)
        return s._replace(
            rollout=None, handled=handled, lock=lock, untold=True, silent=True,
            follow=tuple(sorted((True, n) for old, n in s.follow if not old)),
        )  # fmt: skip

    def _dealt_with(self, s: State, rollout: Rollout, status: str) -> State:
        """What the outcome changes in the pipeline's row; an earlier one is told before."""
        if s.silent and "earlier first" not in self._without:
            s = self.tells(s)
        o, tip = s.orders, 0 if is_rollback(rollout.request) else int(rollout.tip)
        handled, rolled = self._asked.recorded(
            rollout.request, status or "succeeded", tip, s.handled, o.rolled
        )
        excused = max(o.excused, tip) if status else o.excused
        if status == "superseded" and is_rollback(rollout.request) and rollout.begun:
            s = s._replace(deployed=rollout.before)  # the one that takes over is still to come
        marked = o.marked - {rollout.request}
        return with_orders(s, rolled=rolled, excused=excused, marked=marked)._replace(
            handled=handled
        )

    def _check(self, rollout: Rollout, mine: bool, who: int, step: int) -> None:
        if mine and (rollout.claimer, rollout.step, rollout.claim) != (who, step, STANDING):
            raise Violation("two take steps of one rollout at the same time")

    def let_go(self, s: State, who: int, step: int) -> State:
        """The message first, then the claim."""
        sent = s._replace(follow=sorted_with(s.follow, (False, step)))
        assert s.rollout is not None
        released, mine = self._real.rollout_move(s.rollout, "release", who, step)
        return sent._replace(rollout=released) if mine else s

    # --- the end

    def tells(self, s: State) -> State:
        """People are told; what had to wait for the lock is asked for once more."""
        if not s.untold:
            return s
        s = s._replace(silent=False)
        if "decide anew" not in self._without:
            s = self.decided_anew(s)
        return s._replace(untold=False)

    def decided_anew(self, s: State) -> State:
        """What waits is published: behind a lock that is taken only what needs no builder."""
        if s.lock.holder <= 0:
            s = self._decided_anew(s)
        for asked in s.orders.wants:
            s = publish(s, asked) if may_publish(s, asked, self._bounds.copies) else s
        return s

    def _decided_anew(self, s: State) -> State:
        if s.lock.again:
            request, s = asked_again(s)
            s = s._replace(want=self._real.noted(s.want, request, settled=False))
            lock, _ = self._real.lock_move(s.lock, "take_orphaned_again", 0)
            s = s._replace(lock=lock)
        again = s.want and may_publish(s, s.want, self._bounds.copies)
        return publish(s, s.want) if again else s


def is_live(rollout: Rollout, step: int) -> bool:
    """As `slipway.following.follower._is_live`; 'look now' always is."""
    after_a_death = step == rollout.step - 1 and rollout.claim != 0
    return step in (NEVER, rollout.step) or after_a_death


CLAIMING = ("gives", "send")
"""What an invocation that begins a rollback does while it has the claim on a step."""


def dead(s: State) -> bool:
    """Whether nobody is left who holds the claim."""
    rollout = s.rollout
    if rollout is None or rollout.claim != STANDING:
        return False
    if rollout.claimer == FOLLOWER:
        alive = (p[0] == "F" or (p[0] == "B" and p[4] in CLAIMING) for p in s.lambdas)
        return not any(alive)
    return rollout.claimer > len(s.hosts)


def _minus(items: tuple[Any, ...], item: Any) -> tuple[Any, ...]:
    at = items.index(item)
    return items[:at] + items[at + 1 :]
