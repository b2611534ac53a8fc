"""How long to wait before the world is tried again, and when to give up on a request."""

from __future__ import annotations

from typing import Protocol

from slipway.contracts.installation import Limits

FIRST_DELAY = 15.0
LONGEST_DELAY = 900.0
LOCKED_DELAY = 60
"""Seconds until a request that must wait for a pipeline's lock is looked at again."""
LOOK_GROWTH = 5
"""The follower's looks are as far apart as the rollout is old, divided by this, within limits."""
PAUSED_DELAY = 300
"""Seconds until a request of a paused pipeline is looked at again."""


def delay_after(failures: int, jitter: float) -> int:
    """Seconds to wait after so many failures in a row; `jitter` in 0..1 spreads the half of it."""
    full = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(max(failures, 1) - 1, 20))
    return max(1, int(full * (0.5 + jitter / 2)))


def look_pause(age: float, limits: Limits) -> float:
    """Seconds between two looks at a rollout that began `age` seconds ago."""
    return min(limits.follow_longest, max(limits.follow_first, age / LOOK_GROWTH))


class Failures(Protocol):
    """Failures in a row: how many, and since when."""

    @property
    def count(self) -> int: ...
    @property
    def first_at(self) -> float: ...


def is_given_up(attempts: Failures, now: float, limits: Limits) -> bool:
    """Whether so many recorded failed attempts, or such a time of them, are enough."""
    return attempts.count >= limits.max_attempts or now - attempts.first_at >= limits.give_up_after
