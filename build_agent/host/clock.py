"""The time, passed in so that tests and simulations set it."""

from __future__ import annotations

import time
from typing import Protocol

from build_agent.host.stop import Stop
from slipway.rollout.clock import epoch


class Clock(Protocol):
    """The time, and a pause in it; tests have their own."""

    def now(self) -> float:
        """Seconds since the epoch: what rows and messages hold."""
        ...


class SystemClock:
    """The host's clock."""

    def now(self) -> float:
        return time.time()


class RolloutClock:
    """The rollout's clock: never goes back, and its pauses end at once when work is to stop."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def now(self) -> float:
        """Seconds since the epoch."""
        return epoch()

    def sleep(self, seconds: float) -> None:
        """Pause between two looks at ECS; raises Interrupted when the work is to stop."""
        self._stop.wait(seconds)
        self._stop.check()
