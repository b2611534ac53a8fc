"""A change in ECS that comes too late is refused: ECS knows no fencing, but signatures grow old.

AWS refuses a request that reaches it more than five minutes after the time in its signature (IAM
User Guide, 'Signature Version 4': replay). Right before each change the pipeline lock is renewed
for longer than that (`LEAST_LOCK`), and a change that was signed later than `LATE` after this look
is not sent. So however long the process, the machine or the network then stands still: whatever of
the change still takes effect does so while nobody else can have the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from slipway.contracts.errors import WorldFailed

SIGNATURE_LIFE = 300.0
LATE = 15.0
"""Seconds between a look at the lock and the signature of the change that it is for."""
HANDLER = "slipway-fence"
"""The name under which botocore knows a fence's handler, so that it can be taken off again."""
_READS = ("Describe", "List", "Get", "BatchGet")

Guard = Callable[[], None]


class Fence:
    """Ties each change to the look at the lock before it. `now`: seconds since the epoch.

    Each thread has looks of its own: that of one rollout says nothing of another's.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._looked_at = ContextVar("looked_at", default=float("-inf"))

    def noted(self, look: Guard) -> Guard:
        """`look`, which raises unless the lock is ours, with its time noted."""

        def look_and_note() -> None:
            at = self._now()
            look()
            self._looked_at.set(at)

        return look_and_note

    def check(self, signed_at: float) -> None:
        """WorldFailed for a change that was not signed right after a look."""
        late = signed_at - self._looked_at.get()
        if late > LATE:
            raise WorldFailed(f"a change was held up for {late:.0f} s after the look at the lock")

    def around(self, client: Any) -> Any:
        """The client, which sends no change that is late. (botocore signs each try anew.)"""
        service = client.meta.service_model.service_id.hyphenize()
        events = client.meta.events
        events.register(f"before-send.{service}", self._before_send, unique_id=HANDLER)
        return client

    def _before_send(self, request: Any, event_name: str, **_more: Any) -> None:
        operation = event_name.rpartition(".")[2]
        if not operation.startswith(_READS):
            self.check(signed_at(request.headers["X-Amz-Date"]))


def signed_at(date: str | bytes) -> float:
    """Seconds since the epoch of a signature's `X-Amz-Date`."""
    text = date.decode() if isinstance(date, bytes) else date
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
