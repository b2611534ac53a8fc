"""What the dashboard shows of a deployment: its outcome, its lead time, the time to restore.

Counted at a notice's first receive, whether Slack takes it or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contracts.messages import DeploymentResult, Status
from contracts.table.deployments import DeploymentRow, Deployments
from lambdas.observability import count, took

OUTCOMES: dict[Status, str] = {
    "succeeded": "DeploymentsSucceeded",
    "failed": "DeploymentsFailed",
    "rolled_back": "DeploymentsRolledBack",
    "superseded": "DeploymentsSuperseded",
    "unchanged": "DeploymentsUnchanged",
    "gave_up": "DeploymentsGivenUp",
}
"""Status to the metric that counts it: six metrics, without a dimension for each pipeline."""

FAILURES = frozenset({"failed", "rolled_back", "gave_up"})
LOOKED_BACK = 50
"""Deployments in which the first failure of a bad spell is looked for."""


def measure(result: DeploymentResult, deployments: Deployments | None) -> None:
    """Send the metrics of one outcome; `deployments` tells how long the branch had failed."""
    count(OUTCOMES[result.status])
    if result.status != "succeeded":
        return
    if result.reason == "push" and result.pushed_at is not None:
        took("LeadTime", result.ended_at - result.pushed_at)
    if result.failures_before > 0 and deployments is not None:
        before = deployments.newest(result.pipeline, LOOKED_BACK)
        failed_at = first_failure(result.deployment_id, before)
        if failed_at is not None:
            took("TimeToRestore", result.ended_at - failed_at)


def first_failure(deployment_id: str, newest_first: Sequence[DeploymentRow]) -> float | None:
    """When the spell of failures began that this deployment ended: seconds since the epoch."""
    failed_at: float | None = None
    for row in _before(deployment_id, newest_first):
        if row.status in FAILURES:
            failed_at = row.ended_at
        elif row.status == "succeeded":
            break
    return failed_at


def _before(deployment_id: str, newest_first: Sequence[DeploymentRow]) -> Iterable[DeploymentRow]:
    return (row for row in newest_first if row.deployment_id < deployment_id)
