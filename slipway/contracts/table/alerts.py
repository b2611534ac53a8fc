"""Alert rows: trouble that stands, and whether it was said: said once, and its end too.

A row is an outbox entry: raising writes it unsaid, whoever announces publishes first and marks it
`said` afterwards. A crash in between publishes again under the same notice id, which posts nothing
twice; no order of failures loses an alert.
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.contracts.codec import decode
from slipway.contracts.table.store import Store

PARTITION = "ALERT"


@dataclass(frozen=True, kw_only=True)
class AlertRow:
    """An alert that stands; `subject` is what it is about.

    `said_at`: its notice was accepted by SNS (0: not yet). `over_at`: the trouble ended, its end
    is still to be said (0: it stands).
    """

    kind: str
    subject: str
    raised_at: float
    text: str = ""
    said_at: float = 0.0
    over_at: float = 0.0


class Alerts:
    """Alert rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[AlertRow]:
        return [decode(AlertRow, row, strict=False) for row in self._store.query(PARTITION)]

    def raise_once(self, kind: str, subject: str, now: float, *, text: str = "") -> bool:
        """Note the alert, unsaid; False if it stands already."""
        return self._store.put(
            {
                "pk": PARTITION,
                "sk": f"{kind}#{subject}",
                "kind": kind,
                "subject": subject,
                "raised_at": now,
                "text": text,
            },
            condition="attribute_not_exists(pk)",
        )

    def said(self, row: AlertRow, now: float) -> bool:
        """Its notice was published; False if another alert of that kind stands there now."""
        return self._store.update(
            PARTITION,
            f"{row.kind}#{row.subject}",
            "SET said_at = :now",
            condition="raised_at = :raised",
            parameters={":now": now, ":raised": row.raised_at},
        )

    def end(self, row: AlertRow, now: float) -> bool:
        """The trouble is over; whoever announces says so and then calls `forget`."""
        return self._store.update(
            PARTITION,
            f"{row.kind}#{row.subject}",
            "SET over_at = :now",
            condition="raised_at = :raised",
            parameters={":now": now, ":raised": row.raised_at},
        )

    def forget(self, row: AlertRow) -> bool:
        """Its end was published (or nobody was ever told of it)."""
        return self._store.delete(
            PARTITION,
            f"{row.kind}#{row.subject}",
            condition="raised_at = :raised",
            parameters={":raised": row.raised_at},
        )

    def clear(self, kind: str, subject: str) -> bool:
        """The trouble is over; False if no such alert stood."""
        return self._store.delete(PARTITION, f"{kind}#{subject}", condition="attribute_exists(pk)")
