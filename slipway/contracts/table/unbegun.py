"""Requests that end before anything was begun for them, with an outcome like any deployment's."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.contracts.codec import encode
from slipway.contracts.table.deployments import DeploymentRow, deployment_key
from slipway.contracts.table.locks import PARTITION as LOCK
from slipway.contracts.table.pipelines import PARTITION as PIPELINE
from slipway.contracts.table.pipelines import change_expression
from slipway.contracts.table.requests import Settled, not_begun, settled_write
from slipway.contracts.table.store import Store, Write
from slipway.contracts.table.wants import Want, clearing

RowValue = str | float | int | bool | None


class Unbegun:
    """The move that ends a request of which only a want stands."""

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
                _to_be_told(row),
                *([_changed(want.pipeline, changes)] if changes else []),
            ]
        )


def _recorded(row: DeploymentRow, expires: float) -> Write:
    values = {**deployment_key(row.deployment_id), **encode(row), "expires": int(expires)}
    return Write("put", values, condition="attribute_not_exists(pk)")


def _to_be_told(row: DeploymentRow) -> Write:
    return Write(
        "update",
        {"pk": LOCK, "sk": row.pipeline},
        expression="SET pipeline = :pipeline, untold = :id",
        condition="attribute_not_exists(untold)",
        parameters={":pipeline": row.pipeline, ":id": row.deployment_id},
    )


def _changed(pipeline: str, changes: Mapping[str, RowValue]) -> Write:
    expression, parameters = change_expression(pipeline, changes)
    key = {"pk": PIPELINE, "sk": pipeline}
    return Write("update", key, expression=expression, parameters=parameters)
