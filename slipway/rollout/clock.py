"""The rollout's time: seconds since the epoch that never go back."""

from __future__ import annotations

import time

from slipway.contracts.errors import WorldFailed

_BEGUN, _EPOCH = time.monotonic(), time.time()


def epoch() -> float:
    """Seconds since the epoch by the time at which this process began, and what passed since.

    A state that another process takes up holds such times; a clock that is set meanwhile neither
    ends nor lengthens a wait of this one.
    """
    return _EPOCH + (time.monotonic() - _BEGUN)


class SystemClock:
    """The machine's time, for `roll_out`."""

    def now(self) -> float:
        """See `epoch`."""
        return epoch()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class NotNow(WorldFailed):
    """A step needs to wait, in a process that does not: another one takes it later."""


class StepClock(SystemClock):
    """The time of a process that takes a step and ends (a Lambda function): it never waits."""

    def sleep(self, seconds: float) -> None:
        """Raises NotNow."""
        raise NotNow(f"{seconds:.1f} seconds would have to pass first")
