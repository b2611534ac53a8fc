"""Requests that end with nobody at work on them, with an outcome like any deployment's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from slipway.contracts.codec import encode
from slipway.contracts.messages import DeploymentResult, Reason, Status
from slipway.contracts.table.deployments import DeploymentRow, deployment_key, finishing
from slipway.contracts.table.locks import PARTITION as LOCK
from slipway.contracts.table.pipelines import PARTITION as PIPELINE
from slipway.contracts.table.pipelines import change_expression
from slipway.contracts.table.requests import Settled, not_begun, settled_write
from slipway.contracts.table.store import Store, Write
from slipway.contracts.table.wants import Want, clearing

RowValue = str | float | int | bool | None


class Unbegun:
    """The moves that end what an operator cancels while nobody works on it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def end(
        self,
        want: Want,
        row: DeploymentRow,
        *,
        changes: Mapping[str, RowValue],
        settled_kept: float,
        deployments_kept: float,
    ) -> bool:
        """Record `row`, which bears its result, as what became of the want's request.

        One transaction: the request is settled and its want cleared, `changes` are made in the
        pipeline's row, and the lock's row remembers that people are to be told (`LockRow.untold`).
        False if something was begun for the request meanwhile, if it ended otherwise, or while an
        earlier outcome of the pipeline is still to be told: look again. Both `kept` are seconds.
        """
        ended = row.ended_at or row.started_at
        settled = Settled(
            request_id=want.request_id,
            outcome=row.status or "",
            pipeline=want.pipeline,
            settled_at=ended,
            deployment_id=row.deployment_id,
        )
        return self._store.transact(
            [
                not_begun(want.request_id),
                settled_write(settled, settled_kept),
                clearing(want),
                _recorded(row, ended + deployments_kept),
                _to_be_told(row.deployment_id, row.pipeline),
                *([_changed(want.pipeline, changes)] if changes else []),
            ]
        )

    def end_left_behind(
        self,
        result: DeploymentResult,
        *,
        changes: Mapping[str, RowValue],
        settled_kept: float | None,
    ) -> bool:
        """Record `result` of a deployment that was begun, and that nobody takes up again.

        One transaction, as above; `settled_kept` is None where its request is settled already.
        False if somebody has the pipeline's lock, if it has its outcome or was handed over, or
        while an earlier outcome is still to be told: look again.
        """
        settled = Settled(
            request_id=result.request_id,
            outcome=result.status,
            pipeline=result.pipeline,
            settled_at=result.ended_at,
            deployment_id=result.deployment_id,
        )
        return self._store.transact(
            [
                finishing(result),
                *([settled_write(settled, settled_kept)] if settled_kept is not None else []),
                _to_be_told(result.deployment_id, result.pipeline, free_at=result.ended_at),
                *([_changed(result.pipeline, changes)] if changes else []),
            ]
        )


def _recorded(row: DeploymentRow, expires: float) -> Write:
    values = {**deployment_key(row.deployment_id), **encode(row), "expires": int(expires)}
    return Write("put", values, condition="attribute_not_exists(pk)")


def _to_be_told(deployment_id: str, pipeline: str, *, free_at: float | None = None) -> Write:
    """`free_at`: only if nobody holds the lock then."""
    free = {} if free_at is None else {":free": "", ":now": free_at}
    unheld = " AND (attribute_not_exists(holder) OR holder = :free OR expires_at <= :now)"
    return Write(
        "update",
        {"pk": LOCK, "sk": pipeline},
        expression="SET pipeline = :pipeline, untold = :id",
        condition=f"attribute_not_exists(untold){unheld if free else ''}",
        parameters={":pipeline": pipeline, ":id": deployment_id, **free},
    )


def _changed(pipeline: str, changes: Mapping[str, RowValue]) -> Write:
    expression, parameters = change_expression(pipeline, changes)
    key = {"pk": PIPELINE, "sk": pipeline}
    return Write("update", key, expression=expression, parameters=parameters)


def ended_before(row: DeploymentRow, status: Status, *, cause: str, now: float) -> DeploymentResult:
    """The end of a deployment that has touched nothing, `now` in seconds since the epoch."""
    return DeploymentResult(
        deployment_id=row.deployment_id,
        pipeline=row.pipeline,
        status=status,
        stage="received",
        reason=cast(Reason, row.reason),
        request_id=row.request_id,
        commit=row.commit,
        pushed_by=row.pushed_by,
        pushed_at=row.pushed_at,
        started_at=row.started_at,
        ended_at=now,
        cause=cause,
    )
