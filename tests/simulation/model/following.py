"""The steps of a rollout that its row owns, whoever takes them: an agent, or the follower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.model.changes import asked_again, may_publish, publish, sorted_with
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

    def __init__(self, real: Real, bounds: Bounds, without: frozenset[str]) -> None:
        self._real = real
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
            after, mine = self._real.rollout_move(rollout, "claim", FOLLOWER, rollout.step)
            if mine:
                yield "the follower claims a step", rest._replace(rollout=after), message

    def steps(self, s: State, who: int, step: int) -> list[tuple[str, State]]:
        """The states that the claimer of `step` goes through, one after the other, to the end."""
        found: list[tuple[str, State]] = []
        rollout = s.rollout
        assert rollout is not None
        if not rollout.begun:
            s = self._updated(s, rollout, who, step)
            found.append((f"updates to {rollout.tip}", s))
        s = self._recorded(s, who, step)
        if s.rollout is not None:
            return [*found, ("has lost its claim", s)]
        return [*found, (f"records {rollout.tip}", s), ("tells, and decides anew", self.tells(s))]

    def _updated(self, s: State, rollout: Rollout, who: int, step: int) -> State:
        renewed, mine = self._real.rollout_move(rollout, "renew", who, step)
        self._check(rollout, mine, who, step)
        if not mine:
            return s
        if rollout.tip < s.deployed:
            raise Violation(f"push {rollout.tip} replaces push {s.deployed}, which is newer")
        return s._replace(rollout=renewed._replace(begun=True), deployed=rollout.tip)

    def _recorded(self, s: State, who: int, step: int) -> State:
        rollout = s.rollout
        if rollout is None or not rollout.begun:
            return s
        lock, mine = self._real.finished(s.lock, rollout, who, step)
        self._check(rollout, mine, who, step)
        if not mine:
            return s
        if s.silent:
            raise Violation("an outcome is forgotten: nobody is told of it")
        return s._replace(
            rollout=None, handled=rollout.tip, lock=lock, untold=True, silent=True,
            follow=tuple(sorted((True, n) for old, n in s.follow if not old)),
        )  # fmt: skip

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
        if "decide anew" not in self._without and s.lock[0] <= 0:
            s = self._decided_anew(s)
        return s._replace(untold=False)

    def _decided_anew(self, s: State) -> State:
        if s.lock[1]:
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


def dead(s: State) -> bool:
    """Whether nobody is left who holds the claim."""
    rollout = s.rollout
    if rollout is None or rollout.claim != STANDING:
        return False
    if rollout.claimer == FOLLOWER:
        return not any(p[0] == "F" for p in s.lambdas)
    return rollout.claimer > len(s.hosts)


def _minus(items: tuple[Any, ...], item: Any) -> tuple[Any, ...]:
    at = items.index(item)
    return items[:at] + items[at + 1 :]
