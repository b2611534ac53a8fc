"""The rollouts that this host follows while it is awake anyway: beside its builds, never for them.

Their deployments' rows own them. So this host lets go of all where it is to stop; then the follower
takes the next step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from build_agent.telling.logs import Log
from slipway.contracts.errors import Interrupted
from slipway.following.follower import Held

AT_ONCE = 2.0
"""Seconds after which no further step of one rollout is taken before the others get theirs."""


class Rollouts:
    """What was handed over here, and is followed by the worker's thread until it stops."""

    def __init__(self, log: Log) -> None:
        self._held: list[Held] = []
        self._new: deque[Held] = deque()
        self._log = log

    def __bool__(self) -> bool:
        return bool(self._held or self._new)

    def add(self, held: Held, now: float) -> None:
        """Follow this one, too; may be called from any thread. What is due is done by the caller:
        its update waits for nobody.
        """
        if self._takes_steps(held, now):
            self._new.append(held)

    @property
    def next_look(self) -> float:
        """Seconds since the epoch: when the next step is due; never, if nothing is followed."""
        self._take_new()
        return min((held.next_look for held in self._held), default=float("inf"))

    def go_on(self, now: float, *, until: Callable[[], bool] = lambda: False) -> None:
        """Take the steps that are due, the longest due first; no further rollout's once `until`.

        What another follows now, or fails here, is let go of.
        """
        self._take_new()
        for held in sorted(self._held, key=lambda held: held.next_look):
            if until():
                return
            if not self._takes_steps(held, now):
                self._held.remove(held)

    def let_go(self) -> None:
        """Leave all to the follower."""
        self._take_new()
        held, self._held = self._held, []
        for each in held:
            self._let_go(each)

    def _take_new(self) -> None:
        while self._new:
            self._held.append(self._new.popleft())

    def _takes_steps(self, held: Held, now: float) -> bool:
        """Whether it is to be followed further here."""
        try:
            held.go_on(until=now + AT_ONCE)
            held.keep()
            return not held.is_over
        except Interrupted as lost:
            self._log.info("a rollout is let go of", deployment_id=_id(held), why=str(lost))
        except Exception as error:  # noqa: BLE001 - whoever follows next tries again
            self._log.warning("a rollout is let go of", deployment_id=_id(held), why=str(error))
        self._let_go(held)
        return False

    def _let_go(self, held: Held) -> None:
        """Where even this fails the claim ends by itself."""
        try:
            held.let_go()
        except Exception as error:  # noqa: BLE001 - its claim ends, and then the follower has it
            self._log.warning("a claim was not given back", deployment_id=_id(held),
                              error=str(error))  # fmt: skip


def _id(held: Held) -> str:
    return held.row.deployment_id
