"""Which revisions of a family there are, and which of them services name."""

from __future__ import annotations

from slipway.rollout.api import Api
from slipway.rollout.plan import short
from slipway.rollout.service import Service, parse_service

PER_CALL = 10
"""Services that one DescribeServices may name."""
TASKS_PER_CALL = 100
"""Tasks that one DescribeTasks may name."""


def active_revisions(api: Api, service: Service) -> list[str]:
    """The ACTIVE revisions of exactly the family that the service runs (ARNs)."""
    family = short(service.task_definition).rpartition(":")[0]
    arns = api.pages(
        "list_task_definitions",
        "taskDefinitionArns",
        familyPrefix=family,
        status="ACTIVE",
        sort="DESC",
    )
    return [arn for arn in arns if short(arn).rpartition(":")[0] == family]


def used_in_cluster(api: Api, service: Service) -> frozenset[str]:
    """Task definitions that services of the same cluster name."""
    arns = api.pages("list_services", "serviceArns", cluster=service.cluster)
    used: set[str] = set()
    for start in range(0, len(arns), PER_CALL):
        answer = api.read(
            "describe_services", cluster=service.cluster, services=arns[start : start + PER_CALL]
        )
        for raw in answer.get("services") or []:
            used |= parse_service(raw).named_definitions
    return frozenset(used)


def used_by_tasks(api: Api, service: Service, revision: str) -> frozenset[str]:
    """Task definitions that running tasks of the cluster have, of the family of `revision`."""
    cluster, family = service.cluster, short(revision).rpartition(":")[0]
    arns = api.pages(
        "list_tasks", "taskArns", cluster=cluster, family=family, desiredStatus="RUNNING"
    )
    used: set[str] = set()
    for start in range(0, len(arns), TASKS_PER_CALL):
        answer = api.read(
            "describe_tasks", cluster=cluster, tasks=arns[start : start + TASKS_PER_CALL]
        )
        used |= {str(task.get("taskDefinitionArn")) for task in answer.get("tasks") or []}
    return frozenset(used)
