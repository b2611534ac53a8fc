"""A builder's inbox: the pending rows of its pipeline, received as the build queue's messages are.

A message's receipt names the row, the builder's generation and the receiving: one that is another's
by now is refused, as SQS refuses an old receipt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from build_agent.queue.inbox import TEN, Inbox, Message
from slipway.contracts.table import Table
from slipway.contracts.table.builders import builder_host
from slipway.contracts.table.pending import PendingRow

LOOK_EVERY = 5.0
"""Seconds between two looks at the rows, at most: so long a newer push may be unknown."""


class PendingInbox(Inbox):
    """Of `pipeline`, for the builder of `generation`. `pause(seconds)` waits, or ends early.

    `visibility`: seconds that a received row is held unrenewed.
    """

    def __init__(
        self,
        sqs: Any,
        table: Table,
        *,
        pipeline: str,
        generation: int,
        dead_letters_url: str,
        visibility: int,
        now: Callable[[], float],
        pause: Callable[[float], object],
    ) -> None:
        super().__init__(
            sqs, queue_url="", dead_letters_url=dead_letters_url, visibility=visibility
        )
        self._table = table
        self._pipeline = pipeline
        self._generation = generation
        self._now = now
        self._pause = pause

    def receive(self, wait: float) -> list[Message]:
        """Up to ten of the rows; where none is free it takes `wait` seconds to say so."""
        found = self.receive_more(0)
        if not found and wait >= 1:
            self.waiting = True
            try:
                self._pause(min(wait, LOOK_EVERY))
            finally:
                self.waiting = False
        return found

    def receive_more(self, last: int) -> list[Message]:
        """What else is free now, up to ten."""
        del last
        now = self._now()
        free = (row for row in self._rows() if row.is_free(self._generation, now))
        held = (self._hold(row, now) for row in sorted(free, key=lambda row: row.since)[:TEN])
        return [_message(row) for row in held if row is not None]

    def delete(self, messages: Iterable[Message]) -> None:
        """Delete; a row whose lease was lost is another's, and is then found settled."""
        for row in map(_row, messages):
            self._table.pending.delete(row)

    def give_back(self, messages: Iterable[Message], delay: int = 0) -> None:
        """Let these be received again in `delay` seconds."""
        at = self._now() + delay
        for row in map(_row, messages):
            self._table.pending.give_back(row, at)

    def extend(self, messages: Iterable[Message], seconds: int | None = None) -> set[str]:
        """Hold for `seconds` (a whole lease) from now; the receipts whose lease is lost."""
        until = self._now() + (self._visibility if seconds is None else seconds)
        return {
            message.receipt
            for message in messages
            if not self._table.pending.extend(_row(message), until)
        }

    # --- what is left

    def take_wants(self) -> bool:
        """Write rows for wants of the pipeline that have none; whether there was such a one.

        Of a push whose message the queue has lost, or that a host has, or that waits for one.
        """
        added = False
        for want in self._table.wants.all():
            if want.pipeline == self._pipeline and want.builder:
                added |= self._table.pending.add(want.request, self._now())
        return added

    def free_within(self, seconds: float) -> bool:
        """Whether a row may be received now, or in so many seconds."""
        by = self._now() + seconds
        return any(row.is_free(self._generation, by) for row in self._rows())

    def _rows(self) -> list[PendingRow]:
        return self._table.pending.of(self._pipeline)

    def _hold(self, row: PendingRow, now: float) -> PendingRow | None:
        died = row.left_behind(self._generation) and self._worked_on(row)
        return self._table.pending.receive(
            row, self._generation, now, lease=self._visibility, died=died
        )

    def _worked_on(self, row: PendingRow) -> bool:
        """Whether the builder that holds the row, and is gone, was at the row's own deployment. It
        may have held others beside that one: they have killed nobody.
        """
        begun = self._table.requests.deployments_of([row.request_id])
        found = self._table.deployments.get(begun[row.request_id]) if begun else None
        return (
            found is not None
            and found.ended_at is None
            and found.rollout is None
            and (found.host_id, found.boot) == (builder_host(row.pipeline), str(row.held_by))
        )


def _message(row: PendingRow) -> Message:
    receipt = f"{row.pipeline}#{row.request_id}#{row.held_by}#{row.receives}"
    return Message(message_id=row.request_id, receipt=receipt, body=row.body, deaths=row.deaths)


def _row(message: Message) -> PendingRow:
    """As much of the row as a move needs."""
    pipeline, request_id, held_by, receives = message.receipt.split("#")
    return PendingRow(
        pipeline=pipeline, request_id=request_id, body=message.body, since=0.0, visible_at=0.0,
        held_by=int(held_by), receives=int(receives),
    )  # fmt: skip
