"""How often is looked."""

from __future__ import annotations

import random
from collections.abc import Callable

QUICK, SLOW, SLOWER_AFTER = (0.5, 0.9), 5.0, 120.0
"""Seconds between looks: at random within `QUICK`, growing to `SLOW` after `SLOWER_AFTER`."""


def interval(age: float, *, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next look, `age` seconds after the update."""
    if age < SLOWER_AFTER:
        return uniform(*QUICK)
    return min(SLOW, uniform(*QUICK) * (1 + (age - SLOWER_AFTER) / 60.0))


def pause(rollout: str, now: float, age: float) -> float:
    """`interval`, at random and yet the same for the same rollout and moment."""
    dice = random.Random(f"{rollout} {now}")  # noqa: S311 - spreads calls, keeps no secret
    return interval(age, uniform=dice.uniform)
