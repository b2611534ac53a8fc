"""Alert rows: what has been said already, so that trouble is said once, and its end too."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.codec import decode
from contracts.table.store import Store

PARTITION = "ALERT"


@dataclass(frozen=True, kw_only=True)
class AlertRow:
    """An alert that stands; `subject` is what it is about."""

    kind: str
    subject: str
    raised_at: float


class Alerts:
    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[AlertRow]:
        return [decode(AlertRow, row, strict=False) for row in self._store.query(PARTITION)]

    def raise_once(self, kind: str, subject: str, now: float) -> bool:
        """Note the alert; False if it stands already."""
        return self._store.put(
            {
                "pk": PARTITION,
                "sk": f"{kind}#{subject}",
                "kind": kind,
                "subject": subject,
                "raised_at": now,
            },
            condition="attribute_not_exists(pk)",
        )

    def clear(self, kind: str, subject: str) -> bool:
        """The trouble is over; False if no such alert stood."""
        return self._store.delete(PARTITION, f"{kind}#{subject}", condition="attribute_exists(pk)")
