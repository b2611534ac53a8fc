"""What the moves of `slipway cancel` write: the actions that they take, and in which partitions."""

from __future__ import annotations

from typing import Any

from slipway.cli.aws.cancelling import cancelled_row, tip_dealt_with
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.wants import Want
from tests.aws.answers import AwsFake


class Recording(AwsFake, service="dynamodb"):
    """DynamoDB's client, which notes each write: the action that it takes, and the partition."""

    def __init__(self) -> None:
        self.writes: set[tuple[str, str]] = set()

    def update_item(self, **request: Any) -> dict[str, Any]:
        self.writes.add(("dynamodb:UpdateItem", request["Key"]["pk"]["S"]))
        return {}

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        for item in request["TransactItems"]:
            ((kind, write),) = item.items()
            action = kind if kind == "ConditionCheck" else f"dynamodb:{kind}Item"
            key = write.get("Key") or write["Item"]
            self.writes.add((action.replace("ConditionCheck", "dynamodb:ConditionCheckItem"),
                             key["pk"]["S"]))  # fmt: skip
        return {}


def written_by_cancel() -> set[tuple[str, str]]:
    """What the moves of `slipway cancel` write."""
    client, at = Recording(), 1_795_000_000.0
    table = Table(client, "table")
    request = BuildRequest(
        request_id="a" * 32, pipeline="shop", commit_id="b" * 40, pushed_by="ada", pushed_at=at,
        reason="push",
    )  # fmt: skip
    want = Want(
        pipeline="shop", request_id="a" * 32, pushed_at=at, noted_at=at, body=request.to_json()
    )
    row = cancelled_row(request, PipelineRow(pipeline="shop"), "eve", at)
    changes = tip_dealt_with(request)
    table.unbegun.end(want, row, changes=changes, settled_kept=1, deployments_kept=1)
    if row.result is not None:
        table.unbegun.end_left_behind(row.result, changes=changes, settled_kept=1)
    table.following.ask_cancel(row.deployment_id, "eve")
    table.locks.interrupt("shop", row.deployment_id, at)
    return client.writes
