"""Past deployments as lists and figures need them: only that far back, only what they show.

A row holds its log's last lines, its commits and the whole result beside; to fetch and to parse
those of a year takes longer than all else that a verb does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import takewhile
from typing import Any

from slipway.cli.show.moments import stamp
from slipway.contracts.codec import decode
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.store import from_item, to_item

LISTED = (
    "deployment_id",
    "pipeline",
    "request_id",
    "reason",
    "pushed_by",
    "pushed_at",
    "started_at",
    "stage",
    "commit",
    "status",
    "ended_at",
    "rollout",
    "claimed_by",
    "claimed_until",
    "next_look",
)
"""The members of a row that are read, unless it is asked for as a whole.

The last four are of a rollout under way; its end takes them off.
"""
PAGE = 500
"""Rows that one call reads at most; DynamoDB's own limit of 1 MB holds about as many."""
SLACK = 60.0
"""Seconds between an id's time and its row's `started_at`, at the very most."""


def past(
    table: Table,
    pipeline: str,
    *,
    start: float | None = None,
    most: int | None = None,
    statuses: Collection[str] = (),
    whole: bool = False,
) -> Iterator[DeploymentRow]:
    """A pipeline's deployments, newest first; no call is made before its rows are asked for.

    `start`: none that began before (seconds since the epoch). `most`: how many are wanted, so that
    the first call reads no more. `statuses`: only those; the others are read but not sent.
    """
    request = _request(table, pipeline, start=start, most=most, statuses=statuses, whole=whole)
    rows = _rows(table, request)
    return rows if start is None else takewhile(lambda row: row.started_at >= start, rows)


def _rows(table: Table, request: dict[str, Any]) -> Iterator[DeploymentRow]:
    while True:
        answer = table.store.client.query(**request)
        for item in answer.get("Items", []):
            yield decode(DeploymentRow, from_item(item), strict=False)
        if not answer.get("LastEvaluatedKey"):
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _request(
    table: Table,
    pipeline: str,
    *,
    start: float | None,
    most: int | None,
    statuses: Collection[str],
    whole: bool,
) -> dict[str, Any]:
    """The Query for `past`; every name is a placeholder, since `status` is a reserved word."""
    values: dict[str, Any] = {":pk": f"DEPLOYMENT#{pipeline}"}
    names = {} if whole else {f"#{name}": name for name in LISTED}
    request: dict[str, Any] = {
        "TableName": table.store.table,
        "KeyConditionExpression": "pk = :pk",
        "ConsistentRead": True,
        "ScanIndexForward": False,
        "Limit": PAGE if most is None or statuses else min(PAGE, most),
    }
    if start is not None:
        request["KeyConditionExpression"] += " AND sk >= :sk"
        values[":sk"] = f"{pipeline}-{stamp(start - SLACK)}"
    if statuses:
        wanted = {f":status{number}": status for number, status in enumerate(statuses)}
        request["FilterExpression"] = f"#status IN ({', '.join(wanted)})"
        values |= wanted
        names["#status"] = "status"
    if not whole:
        request["ProjectionExpression"] = ", ".join(f"#{name}" for name in LISTED)
    if names:
        request["ExpressionAttributeNames"] = names
    return {**request, "ExpressionAttributeValues": to_item(values)}
