"""What the dashboard shows of a deployment: its outcome, how long it took, the time to restore.

Counted at a notice's first receive, whether Slack takes it or not.
"""

from __future__ import annotations

from lambdas.shared.observability import count, took
from slipway.contracts.dora import lead_time, push_to_steady, time_to_restore
from slipway.contracts.messages import DeploymentResult, Status
from slipway.contracts.table.deployments import Deployments

OUTCOMES: dict[Status, str] = {
    "succeeded": "DeploymentsSucceeded",
    "failed": "DeploymentsFailed",
    "rolled_back": "DeploymentsRolledBack",
    "unchanged": "DeploymentsUnchanged",
    "gave_up": "DeploymentsGivenUp",
    "cancelled": "DeploymentsCancelled",
}
"""Status to the metric that counts it: six metrics, without a dimension for each pipeline.

A superseded push is not counted: its commit runs with the newer one. CloudWatch takes ten metrics
for nothing, and Slipway has no more.
"""

LOOKED_BACK = 50
"""Deployments in which the beginning of a failure in production is looked for."""


def measure(result: DeploymentResult, deployments: Deployments | None) -> None:
    """Send the metrics of one outcome, as `slipway.contracts.dora` computes them.

    `deployments` tells how long production had failed.
    """
    if result.status in OUTCOMES:
        count(OUTCOMES[result.status])
    if result.status != "succeeded":
        return
    durations = {"LeadTime": lead_time(result), "PushToSteady": push_to_steady(result)}
    if deployments is not None and _may_restore(result):
        recent = deployments.newest(result.pipeline, LOOKED_BACK)
        durations["TimeToRestore"] = time_to_restore(result, recent)
    for name, seconds in durations.items():
        if seconds is not None:
            took(name, seconds)


def _may_restore(result: DeploymentResult) -> bool:
    """Only then is it worth a look into the past."""
    return result.failures_before > 0 or result.reason == "rollback"
