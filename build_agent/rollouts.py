"""The rollouts that this host follows while it is awake anyway: between its builds, never for them.

Their deployments' rows own them. So this host lets go of all before it builds, and where it is to
stop; then the follower takes the next step.
"""

from __future__ import annotations

from build_agent.telling.logs import Log
from slipway.contracts.errors import Interrupted
from slipway.following.follower import Held

AT_ONCE = 2.0
"""Seconds after which no further step of one rollout is taken before the others get theirs."""


class Rollouts:
    """What was handed over here, and is followed here as long as nothing else is to be done."""

    def __init__(self, log: Log) -> None:
        self._held: list[Held] = []
        self._log = log

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, held: Held) -> None:
        """Follow this one, too."""
        self._held.append(held)

    @property
    def next_look(self) -> float:
        """Seconds since the epoch: when the next step is due; never, if nothing is followed."""
        return min((held.next_look for held in self._held), default=float("inf"))

    def go_on(self, now: float) -> None:
        """Take the steps that are due. What another follows now, or fails here, is let go of."""
        for held in tuple(self._held):
            try:
                held.go_on(until=now + AT_ONCE)
                held.keep()
            except Interrupted as lost:
                self._log.info("a rollout is let go of", deployment_id=_id(held), why=str(lost))
                self._let_go(held)
            except Exception as error:  # noqa: BLE001 - whoever follows next tries again
                self._log.warning("a rollout is let go of", deployment_id=_id(held),
                                  why=str(error))  # fmt: skip
                self._let_go(held)
        self._held = [held for held in self._held if not held.is_over]

    def let_go(self) -> None:
        """Leave all to the follower."""
        for held in tuple(self._held):
            self._let_go(held)

    def _let_go(self, held: Held) -> None:
        """Where even this fails the claim ends by itself."""
        self._held.remove(held)
        try:
            held.let_go()
        except Exception as error:  # noqa: BLE001 - its claim ends, and then the follower has it
            self._log.warning("a claim was not given back", deployment_id=_id(held),
                              error=str(error))  # fmt: skip


def _id(held: Held) -> str:
    return held.row.deployment_id
