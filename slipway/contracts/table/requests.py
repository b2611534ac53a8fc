"""What became of each request: settled with one outcome, or tried and failed so far.

A settled id is kept for 40 days, longer than SNS (23 days of retries) and SQS (14 days of
retention) together can hold a duplicate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from slipway.contracts.codec import decode, encode
from slipway.contracts.messages import Status
from slipway.contracts.table.store import Store, Write

SettledOutcome = Status | Literal["joined", "handed_over"]
"""`joined`: the pipeline was being deployed by another worker, which runs the tip once more.
`handed_over`: its deployment's row owns the rollout, and will have the outcome.
"""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """One request's one outcome. `deployment_id` names the deployment that ended it, if any."""

    request_id: str
    outcome: str
    pipeline: str
    settled_at: float
    deployment_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Recorded failed attempts (of the world, not of the commit) at a request."""

    request_id: str
    count: int = 0
    first_at: float = 0.0


class Requests:
    """What became of requests: settled ids, pointers to deployments, attempts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def settled(self, request_ids: Iterable[str]) -> dict[str, Settled]:
        """Those of `request_ids` that are settled, by id, read consistently."""
        keys = [(_settled(request_id), "-") for request_id in request_ids]
        rows = self._store.get_many(keys)
        found = [decode(Settled, row, strict=False) for row in rows]
        return {settled.request_id: settled for settled in found}

    def settle(self, outcomes: Iterable[Settled], *, kept: float) -> None:
        """Record outcomes, a hundred in one call. `kept`: seconds until the rows may expire."""
        self._store.put_many(_settled_row(outcome, kept) for outcome in outcomes)

    def settle_once(self, outcome: Settled, *, kept: float) -> bool:
        """Record one outcome unless the request has one; False if it had."""
        return self._store.put(_settled_row(outcome, kept), condition="attribute_not_exists(pk)")

    def join(self, outcome: Settled, *, kept: float) -> bool:
        """Settle a request that another worker's run takes in; False if one was begun for it.

        That one may be the very run that takes it in, and fail. One transaction with `point`'s
        condition: of a request's joining and its beginning only one happens.
        """
        joined = self._store.transact(
            [
                _unless_there(_settled_row(outcome, kept)),
                not_begun(outcome.request_id),
            ]
        )
        return joined or bool(self.settled([outcome.request_id]))

    def point(self, request_id: str, deployment_id: str, now: float, *, kept: float) -> str | None:
        """Note which deployment works on the request, before its row is written; the one noted.

        The first note stands: a request that comes back finds the deployment that it began. None:
        nothing was begun, and the request is settled meanwhile.
        """
        row = {
            **_key(_pointer(request_id)),
            "request_id": request_id,
            "deployment_id": deployment_id,
            "expires": int(now + kept),
        }
        noted = self._store.transact(
            [_unless_there(row), _unless_there(settled_key(request_id), kind="check")]
        )
        return deployment_id if noted else self.deployments_of([request_id]).get(request_id)

    def deployments_of(self, request_ids: Iterable[str]) -> dict[str, str]:
        """Request id to the deployment that works or worked on it, for those that have one."""
        rows = self._store.get_many([(_pointer(i), "-") for i in request_ids])
        return {str(row["request_id"]): str(row["deployment_id"]) for row in rows}

    def attempts(self, request_id: str) -> Attempts:
        row = self._store.get(f"ATTEMPTS#{request_id}", "-")
        return decode(Attempts, row, strict=False) if row else Attempts(request_id=request_id)

    def count_attempt(self, request_id: str, now: float, *, kept: float) -> Attempts:
        """Add one failed attempt and answer with all so far."""
        self._store.update(
            f"ATTEMPTS#{request_id}",
            "-",
            "SET request_id = :id, first_at = if_not_exists(first_at, :now), #e = :e ADD #c :one",
            names={"#c": "count", "#e": "expires"},
            parameters={":id": request_id, ":now": now, ":one": 1, ":e": int(now + kept)},
        )
        return self.attempts(request_id)


def _pointer(request_id: str) -> str:
    return f"REQUEST#{request_id}"


def _settled(request_id: str) -> str:
    return f"SETTLED#{request_id}"


def _key(partition: str) -> Mapping[str, Any]:
    return {"pk": partition, "sk": "-"}


def _unless_there(values: Mapping[str, Any], *, kind: str = "put") -> Write:
    return Write(kind, values, condition="attribute_not_exists(pk)")


def settled_key(request_id: str) -> Mapping[str, Any]:
    """The key of the row that says that a request is settled."""
    return _key(_settled(request_id))


def not_begun(request_id: str) -> Write:
    """The check, for a transaction, that no deployment was begun for the request."""
    return _unless_there(_key(_pointer(request_id)), kind="check")


def settled_write(outcome: Settled, kept: float) -> Write:
    """The write that settles a request which is not settled yet, for a transaction."""
    return _unless_there(_settled_row(outcome, kept))


def _settled_row(outcome: Settled, kept: float) -> Mapping[str, Any]:
    expires = int(outcome.settled_at + kept)
    return {**settled_key(outcome.request_id), **encode(outcome), "expires": expires}
