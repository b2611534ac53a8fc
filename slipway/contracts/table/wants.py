"""Want rows: the consistent note that a pipeline has work. SQS delivers; this remembers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from slipway.contracts.codec import decode, encode
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.requests import settled_key
from slipway.contracts.table.store import Store, Write

PARTITION = "WANT"


@dataclass(frozen=True, kw_only=True)
class Want:
    """`noted_at`: when it was written or last published again. `body`: the request as JSON.

    `builder`: a build host is needed; False: the follower is looking whether one is.
    `coming_until`: the follower has sent itself a message of the request, which is on its way until
    then at least (seconds since the epoch).
    """

    pipeline: str
    request_id: str
    pushed_at: float
    noted_at: float
    body: str
    builder: bool = True
    coming_until: float | None = None

    @property
    def request(self) -> BuildRequest:
        return BuildRequest.from_json(self.body)


class Wants:
    """Want rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, request: BuildRequest, now: float, *, builder: bool = True) -> bool:
        """Remember that the request's pipeline has work, unless that request is settled.

        One transaction: a late or repeated starter would else leave a want that nobody clears.
        False if it is settled already, or a newer tip request's want stands, or the request was
        found to need a builder after all: a late message without one changes that no more.
        """
        want = Want(
            pipeline=request.pipeline,
            request_id=request.request_id,
            pushed_at=request.pushed_at,
            noted_at=now,
            body=request.to_json(),
            builder=builder,
        )
        unless = "" if builder else " AND (request_id <> :id OR builder = :builder)"
        only = {} if builder else {":id": request.request_id, ":builder": False}
        return self._store.transact(
            [
                Write(
                    "check",
                    settled_key(request.request_id),
                    condition="attribute_not_exists(pk)",
                ),
                Write(
                    "put",
                    {"pk": PARTITION, "sk": sort_key(request), **encode(want)},
                    condition=f"attribute_not_exists(pk) OR (pushed_at <= :pushed_at{unless})",
                    parameters={":pushed_at": request.pushed_at, **only},
                ),
            ]
        )

    def all(self) -> list[Want]:
        """Every pipeline's want, read consistently."""
        return [decode(Want, row, strict=False) for row in self._store.query(PARTITION)]

    def get(self, request: BuildRequest) -> Want | None:
        """The want that stands where `request`'s would: its own, or a newer or older tip's."""
        row = self._store.get(PARTITION, sort_key(request))
        return decode(Want, row, strict=False) if row else None

    def touch(self, want: Want, now: float) -> bool:
        """Note that the want's request was published again; False if the want changed meanwhile."""
        return self._store.update(
            PARTITION,
            sort_key(want.request),
            "SET noted_at = :now",
            condition="request_id = :id AND noted_at = :before",
            parameters={":now": now, ":id": want.request_id, ":before": want.noted_at},
        )

    def await_next(self, request: BuildRequest, now: float, until: float, *, due: float) -> bool:
        """Note that a message of the request is on its way until `until`, if its want stands.

        False: another is on its way, and none is needed at `due`. True as well where an answer got
        lost that said so: that is found by `until`, which no two deliveries may have in common.
        """
        noted = self._store.update(
            PARTITION,
            sort_key(request),
            "SET coming_until = :until",
            condition="request_id = :id AND (attribute_not_exists(coming_until)"
            " OR coming_until <= :now OR coming_until > :due)",
            parameters={":id": request.request_id, ":now": now, ":until": until, ":due": due},
        )
        if noted:
            return True
        want = self.get(request)
        if want is None or want.request_id != request.request_id:
            return True
        return want.coming_until == until

    def clear(self, requests: Collection[BuildRequest]) -> None:
        """Clear the wants of settled requests; a want of any other request stays."""
        by_key: dict[str, set[str]] = {}
        for request in requests:
            by_key.setdefault(sort_key(request), set()).add(request.request_id)
        for key, ids in by_key.items():
            row = self._store.get(PARTITION, key)
            if row is None or row["request_id"] not in ids:
                continue
            self._store.delete(
                PARTITION,
                key,
                condition="request_id = :id",
                parameters={":id": row["request_id"]},
            )


def clearing(want: Want) -> Write:
    """The write that clears this very want, for a transaction."""
    return Write(
        "delete",
        {"pk": PARTITION, "sk": sort_key(want.request)},
        condition="request_id = :id",
        parameters={":id": want.request_id},
    )


def sort_key(request: BuildRequest) -> str:
    """Tip requests of a pipeline share one want row; a named target has its own."""
    return request.pipeline if request.is_tip else f"{request.pipeline}#{request.request_id}"
