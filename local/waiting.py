"""The one way to wait: ask again and again until a condition holds or the time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from slipway.contracts.errors import WorldFailed

T = TypeVar("T")

POLL_SECONDS = 0.1


def wait_until(condition: Callable[[], T], *, seconds: float, poll: float = POLL_SECONDS) -> T:
    """The first true answer of `condition`, or its last one when `seconds` are over."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        answer = condition()
        left = deadline - time.monotonic()
        if answer or left <= 0:
            return answer
        pause.wait(min(poll, left))


def wait_for(
    what: str, condition: Callable[[], T | None], *, seconds: float, poll: float = POLL_SECONDS
) -> T:
    """Like `wait_until`, but WorldFailed (saying what did not happen) when the time is up."""
    answer = wait_until(condition, seconds=seconds, poll=poll)
    if not answer:
        raise WorldFailed(f"{what} did not happen within {seconds:g} s")
    return answer
