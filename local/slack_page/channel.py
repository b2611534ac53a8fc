"""What was posted, the faults that a test has ordered, and a bell for those who watch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from local.slack_page.limits import faults
from slipway.contracts.errors import InvalidMessage

KEPT = 500
"""Messages; the oldest go first."""


@dataclass(frozen=True)
class Message:
    """A payload as posted, and when (seconds since the epoch)."""

    payload: Mapping[str, Any]
    received_at: float


@dataclass(frozen=True)
class Fault:
    """The next `count` posts are answered with `status` (and Retry-After seconds, if any)."""

    status: int
    count: int = 1
    retry_after: int | None = None

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise InvalidMessage("status", f"must be 400 to 599, not {self.status}")


@dataclass(frozen=True)
class Answer:
    """What a poster is told: Slack's status, its word, and Retry-After seconds, if any."""

    status: int
    text: str
    retry_after: int | None = None


class Channel:
    """Safe for many threads. `version` grows with every message."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._messages: list[Message] = []
        self._fault: Fault | None = None
        self._changed = threading.Condition()
        self.version = 0

    @property
    def messages(self) -> list[Message]:
        """Oldest first."""
        with self._changed:
            return list(self._messages)

    def order(self, fault: Fault | None) -> None:
        """From now on answer as `fault` says, for its `count` of posts; None: well again."""
        with self._changed:
            self._fault = fault

    def post(self, payload: Any) -> Answer:
        """Take a payload as Slack's incoming webhook does."""
        with self._changed:
            failed = self._failing()
            if failed is not None:
                return failed
            problems = faults(payload)
            if problems:
                word = "no_text" if "no_text" in problems[0] else "invalid_blocks"
                return Answer(400, f"{word}: {'; '.join(problems[:5])}")
            self._messages = [*self._messages, Message(payload, self._clock())][-KEPT:]
            self.version += 1
            self._changed.notify_all()
            return Answer(200, "ok")

    def _failing(self) -> Answer | None:
        fault = self._fault
        if fault is None or fault.count < 1:
            return None
        self._fault = replace(fault, count=fault.count - 1)
        word = "rate_limited" if fault.status == 429 else "a fault that was ordered"
        return Answer(fault.status, word, fault.retry_after)

    def wait(self, version: int, seconds: float) -> int:
        """The version as soon as it is not `version` any more, or after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != version, timeout=seconds)
            return self.version
