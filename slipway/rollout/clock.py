"""The rollout's time on a machine: seconds that never go back."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's time, for `roll_out`."""

    def now(self) -> float:
        """Seconds since some moment of the machine's own; a clock that is set changes nothing."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
