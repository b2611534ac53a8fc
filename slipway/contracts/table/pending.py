"""Requests that wait for a builder: rows of the table, received as a queue's messages are.

A builder works for one pipeline, and SQS cannot select: builders that took each other's messages
would wear them out into dead letters. So a row is written for each request, and a pipeline's
builder receives those of its own: it holds a row for a time, extends that, gives it back or
deletes it. What a builder holds that is gone is free for the next one at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from slipway.contracts.codec import decode, encode
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.store import Store

PARTITION = "PENDING"
NOBODY = 0
"""`held_by` of a row that no builder holds: builders' generations count from 1."""


@dataclass(frozen=True, kw_only=True)
class PendingRow:
    """One request, as it was received (`body`, JSON). `since`, `visible_at`: seconds since the
    epoch.

    `visible_at`: when it may be received (again). `held_by`: the generation of the builder that
    holds it until then. `receives` counts: with `held_by` it tells one receiving from another.
    `deaths`: builds that ended while they worked on it.
    """

    pipeline: str
    request_id: str
    body: str
    since: float
    visible_at: float
    held_by: int = NOBODY
    receives: int = 0
    deaths: int = 0

    def left_behind(self, generation: int) -> bool:
        """An earlier builder than that of the generation holds it, which has ended therefore."""
        return self.held_by not in (NOBODY, generation)

    def is_free(self, generation: int, now: float) -> bool:
        """Whether the builder of that generation may have it: an earlier one's hold has ended."""
        return self.visible_at <= now or self.left_behind(generation)


class Pending:
    """Pending rows, and the moves on them. Each is refused where another has the row by now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[PendingRow]:
        return [decode(PendingRow, row, strict=False) for row in self._store.query(PARTITION)]

    def of(self, pipeline: str) -> list[PendingRow]:
        """Those of one pipeline, in no order that counts."""
        rows = self._store.query(PARTITION, beginning=f"{pipeline}#")
        return [decode(PendingRow, row, strict=False) for row in rows]

    def add(self, request: BuildRequest, now: float) -> bool:
        """Write a row for the request; False if there is one: that stays as it is."""
        row = PendingRow(
            pipeline=request.pipeline,
            request_id=request.request_id,
            body=request.to_json(),
            since=now,
            visible_at=now,
        )
        return self._store.put(
            {"pk": PARTITION, "sk": _key_of(request.pipeline, request.request_id), **encode(row)},
            condition="attribute_not_exists(pk)",
        )

    def show(self, request: BuildRequest, now: float) -> bool:
        """Let a row that was given back be received at once; False if a builder holds it."""
        return self._store.update(
            PARTITION,
            _key_of(request.pipeline, request.request_id),
            "SET visible_at = :now",
            condition="held_by = :nobody",
            parameters={":now": now, ":nobody": NOBODY},
        )

    def receive(
        self, row: PendingRow, generation: int, now: float, *, lease: float, died: bool = False
    ) -> PendingRow | None:
        """Hold the row for `lease` seconds; None if it has changed since it was read. `died`: who
        held it before has ended at work on it.

        A client repeats a call whose answer it did not get: then the hold may be this very one.
        """
        mine = replace(
            row, visible_at=now + lease, held_by=generation, receives=row.receives + 1,
            deaths=row.deaths + died,
        )  # fmt: skip
        if self._move(
            row,
            "SET visible_at = :at, held_by = :mine, receives = :more, deaths = :deaths",
            {
                ":at": mine.visible_at,
                ":mine": generation,
                ":more": mine.receives,
                ":deaths": mine.deaths,
            },
        ):
            return mine
        found = self._store.get(PARTITION, _sort_key(row))
        return mine if found and decode(PendingRow, found, strict=False) == mine else None

    def extend(self, row: PendingRow, until: float) -> bool:
        """Hold it until then (seconds since the epoch); False: it is another's, or gone."""
        return self._move(row, "SET visible_at = :at", {":at": until})

    def give_back(self, row: PendingRow, visible_at: float) -> bool:
        """Let others receive it from then on; False as `extend`."""
        return self._move(
            row,
            "SET visible_at = :at, held_by = :nobody",
            {":at": visible_at, ":nobody": NOBODY},
        )

    def delete(self, row: PendingRow) -> bool:
        """Its request has its outcome, or a row that owns it; False: it is another's, or gone."""
        return self._store.delete(PARTITION, _sort_key(row), condition=_SAME, parameters=_of(row))

    def _move(self, row: PendingRow, expression: str, parameters: dict[str, float]) -> bool:
        return self._store.update(
            PARTITION,
            _sort_key(row),
            expression,
            condition=_SAME,
            parameters={**parameters, **_of(row)},
        )


_SAME = "attribute_exists(pk) AND held_by = :held_by AND receives = :receives"


def _of(row: PendingRow) -> dict[str, int]:
    return {":held_by": row.held_by, ":receives": row.receives}


def _sort_key(row: PendingRow) -> str:
    return _key_of(row.pipeline, row.request_id)


def _key_of(pipeline: str, request_id: str) -> str:
    return f"{pipeline}#{request_id}"
