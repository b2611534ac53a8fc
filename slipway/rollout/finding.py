"""Our own service deployment: found among those of the service, and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.rollout.api import NO_ANSWER, Api, Denied
from slipway.rollout.hooks import hooks_of
from slipway.rollout.judge import Ours, ServiceDeployment
from slipway.rollout.service import Service

PATIENCE = 27
"""Points of patience with an ECS that does not tell about our service deployment."""
NOT_YET, NOTHING = 1, 9
"""What an answer without it costs: ours may still come (stale), or ECS has none or fails."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How far the search is, from one look to the next.

    `arn`: ours, once it is found. `not_ours`: ARNs of others, those from before the update among
    them. `spent`: points of patience. `skipped`: why it is not looked for any more.
    """

    arn: str | None = None
    not_ours: frozenset[str] = frozenset()
    spent: int = 0
    skipped: str | None = None


class History:
    """Finds our service deployment and reads it; gives up where ECS denies it or has none."""

    def __init__(self, api: Api, ours: Ours, finding: Finding) -> None:
        self._api = api
        self._ours = ours
        self._not_ours = set(finding.not_ours)
        self._spent = finding.spent
        self.arn = finding.arn
        self.skipped = finding.skipped

    @property
    def finding(self) -> Finding:
        """What is known now."""
        return Finding(
            arn=self.arn,
            not_ours=frozenset(self._not_ours),
            spent=self._spent,
            skipped=self.skipped,
        )

    def read(self, service: Service) -> ServiceDeployment | None:
        """Our service deployment now, or None where it is not known (yet, or at all)."""
        if self.skipped is not None:
            return None
        try:
            found = self._find(service) if self.arn is None else self._describe(self.arn)
        except Denied as error:
            self.skipped = f"{error.action} is denied; judged by the deployment's rolloutState"
            return None
        except NO_ANSWER as error:
            self._miss(f"{error}; judged by the deployment's rolloutState", NOTHING)
            return None
        if found is None:
            return None
        self._spent = 0
        self.arn = str(found["serviceDeploymentArn"])
        return parse_service_deployment(found)

    def _miss(self, why: str, cost: int) -> None:
        self._spent += cost
        if self._spent >= PATIENCE:
            self.skipped = why

    def _find(self, service: Service) -> Mapping[str, Any] | None:
        current = service.service_deployment
        if current is not None and current not in self._not_ours:
            found = self._describe(current)
            if found is not None and self._is_ours(found):
                return found
        if current is not None and self._spent < PATIENCE // 2:
            self._miss("", NOT_YET)
            return None
        return self._find_in_list(service)

    def _find_in_list(self, service: Service) -> Mapping[str, Any] | None:
        """Ours in the service's list: by our deployment's number, else by what it brings."""
        answer = self._api.look(
            "list_service_deployments", cluster=service.cluster, service=service.arn, maxResults=10
        )
        listed = [_from_brief(brief) for brief in answer.get("serviceDeployments") or []]
        self._miss(
            "ECS lists no service deployment of ours; judged by the deployment's rolloutState",
            NOT_YET if listed else NOTHING,
        )
        new = [d for d in listed if d["serviceDeploymentArn"] not in self._not_ours]
        by_number = [d for d in new if self._bears_our_number(d)]
        for found in by_number or reversed(new):
            if self._is_ours(found):
                return found
        return None

    def _is_ours(self, found: Mapping[str, Any]) -> bool:
        """Whether a service deployment brings what our update asked for, and is not from before."""
        target = _target(found)
        if target is None:
            return False  # an old answer: it may tell at the next look
        if self._bears_our_number(found):
            return True
        brings_ours = False
        if not self._is_older(found):
            answer = self._api.look("describe_service_revisions", serviceRevisionArns=[target])
            definitions = [r.get("taskDefinition") for r in answer.get("serviceRevisions") or []]
            if not definitions:
                return False
            brings_ours = self._ours.task_definition in definitions
        if not brings_ours:
            self._not_ours.add(found["serviceDeploymentArn"])
        return brings_ours

    def _bears_our_number(self, found: Mapping[str, Any]) -> bool:
        """In practice ECS numbers a service revision like its deployment: saves a call."""
        target = _target(found) or ""
        return target.rpartition("/")[2] == self._ours.id.rpartition("/")[2]

    def _is_older(self, found: Mapping[str, Any]) -> bool:
        created, ours = _seconds(found.get("createdAt")), self._ours.created_at
        return created is not None and ours is not None and created < ours - 1.0

    def _describe(self, arn: str) -> Mapping[str, Any] | None:
        answer = self._api.look("describe_service_deployments", serviceDeploymentArns=[arn])
        found: list[Mapping[str, Any]] = answer.get("serviceDeployments") or []
        return found[0] if found else None


def known_deployments(api: Api, service: Service) -> frozenset[str]:
    """The service deployments there are, so that an older one is never taken for ours.

    Needed where ours brings a task definition that one before it brought as well.
    """
    try:
        answer = api.look(
            "list_service_deployments", cluster=service.cluster, service=service.arn, maxResults=10
        )
    except NO_ANSWER:
        return frozenset()
    return frozenset(d["serviceDeploymentArn"] for d in answer.get("serviceDeployments") or [])


def parse_service_deployment(raw: Mapping[str, Any]) -> ServiceDeployment:
    """`ServiceDeployment` of one entry of DescribeServiceDeployments."""
    return ServiceDeployment(
        arn=raw.get("serviceDeploymentArn", ""),
        status=raw.get("status", ""),
        reason=raw.get("statusReason") or "",
        stage=raw.get("lifecycleStage"),
        rollback_reason=(raw.get("rollback") or {}).get("reason") or "",
        hooks=hooks_of(raw),
    )


def _from_brief(brief: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry of ListServiceDeployments in the shape of DescribeServiceDeployments."""
    return {**brief, "targetServiceRevision": {"arn": brief.get("targetServiceRevisionArn")}}


def _target(found: Mapping[str, Any]) -> str | None:
    arn = (found.get("targetServiceRevision") or {}).get("arn")
    return None if arn is None else str(arn)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    return float(value.timestamp()) if hasattr(value, "timestamp") else float(value)
