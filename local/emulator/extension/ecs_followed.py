"""One service deployment as ECS tells it: what it shows of itself, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Data = dict[str, Any]

ENDED = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


@dataclass
class Followed:
    """One service deployment, from its first sight to its end."""

    deployment_id: str
    service_arn: str
    cluster_arn: str
    task_definition: str
    created_at: float
    source_id: str | None
    network: Data = field(default_factory=dict)
    launch_type: str | None = None
    status: str = "PENDING"
    reason: str = ""
    updated_at: float = 0.0
    finished_at: float | None = None
    stop_asked: bool = False
    rollback: Data | None = None
    counts: Data = field(default_factory=dict)
    failures: int = 0
    threshold: int = 0
    breaker: bool = False
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """Of the service deployment; its id is not that of the service's `deployments`."""
        return self._named("service-deployment", self.deployment_id[::-1])

    @property
    def revision_arn(self) -> str:
        return revision_arn(self.service_arn, self.deployment_id)

    def _named(self, kind: str, identifier: str) -> str:
        return f"{self.service_arn.replace(':service/', f':{kind}/', 1)}/{identifier}"

    def brief(self) -> Data:
        """As ListServiceDeployments shows it."""
        shown: Data = {
            "serviceDeploymentArn": self.arn,
            "serviceArn": self.service_arn,
            "clusterArn": self.cluster_arn,
            "createdAt": self.created_at,
            "startedAt": self.created_at,
            "targetServiceRevisionArn": self.revision_arn,
            "status": self.status,
        }
        if self.reason:
            shown["statusReason"] = self.reason
        if self.finished_at is not None:
            shown["finishedAt"] = self.finished_at
        return shown

    def full(self) -> Data:
        """As DescribeServiceDeployments shows it."""
        shown = self.brief()
        target = shown.pop("targetServiceRevisionArn")
        shown["updatedAt"] = self.updated_at
        shown["targetServiceRevision"] = {"arn": target, **self.counts}
        source = revision_arn(self.service_arn, self.source_id) if self.source_id else None
        shown["sourceServiceRevisions"] = [{"arn": source}] if source else []
        if self.rollback is not None:
            shown["rollback"] = self.rollback
        if self.status == "STOPPED" and self.finished_at is not None:
            shown["stoppedAt"] = self.finished_at
        shown["deploymentCircuitBreaker"] = {
            "status": self._breaker_status(),
            "failureCount": self.failures,
            "threshold": self.threshold,
        }
        return shown

    def _breaker_status(self) -> str:
        if not self.breaker:
            return "DISABLED"
        if self.failures >= self.threshold:
            return "TRIGGERED"
        return "MONITORING_COMPLETE" if self.status in ENDED else "MONITORING"


def revision_arn(service_arn: str, deployment_id: str) -> str:
    """The service revision that a deployment brought."""
    return f"{service_arn.replace(':service/', ':service-revision/', 1)}/{deployment_id}"


def judge(deployment: Data, present: list[Data], *, stop_asked: bool) -> tuple[str, str]:
    """The service deployment's status and its reason, from the service's `deployments`."""
    state = deployment.get("rolloutState")
    reason = deployment.get("rolloutStateReason") or ""
    if state == "COMPLETED":
        return "SUCCESSFUL", ""
    primary = next((one for one in present if one["status"] == "PRIMARY"), None)
    if state == "FAILED":
        if primary is None or primary is deployment:
            return "STOPPED", reason
        if primary.get("rolloutState") == "COMPLETED":
            return "ROLLBACK_SUCCESSFUL", reason
        return ("ROLLBACK_REQUESTED" if stop_asked else "ROLLBACK_IN_PROGRESS"), reason
    if primary is not deployment:
        return "STOPPED", "Superseded by a newer service deployment."
    return "IN_PROGRESS", ""
