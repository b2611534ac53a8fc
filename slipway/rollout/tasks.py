"""The tasks of a service, as far as ECS tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from slipway.rollout.api import NO_ANSWER, Api
from slipway.rollout.service import Service

PER_CALL = 100
"""Tasks that one DescribeTasks may name."""


def tasks_of(
    api: Api, service: Service, status: Literal["RUNNING", "STOPPED"]
) -> list[Mapping[str, Any]]:
    """All tasks of the service that are to be in `status`; empty where ECS does not tell."""
    try:
        return listed_tasks(api, service, status)
    except NO_ANSWER:
        return []


def listed_tasks(
    api: Api, service: Service, status: Literal["RUNNING", "STOPPED"]
) -> list[Mapping[str, Any]]:
    """All tasks of the service that are to be in `status`. Raises what `Api.look` raises.

    ECS remembers a stopped task for an hour: after a crash loop there are hundreds of them.
    """
    cluster = service.cluster
    arns = api.pages(
        "list_tasks",
        "taskArns",
        optional=True,
        cluster=cluster,
        serviceName=service.name,
        desiredStatus=status,
    )
    answers = [
        api.look("describe_tasks", cluster=cluster, tasks=arns[start : start + PER_CALL])
        for start in range(0, len(arns), PER_CALL)
    ]
    return [task for answer in answers for task in answer.get("tasks") or []]


def containers_of_tasks(api: Api, service: Service) -> dict[str, tuple[str, str]]:
    """Container to (image, digest) of the service's running tasks; only what all agree on."""
    seen: dict[str, set[tuple[str, str]]] = {}
    for task in tasks_of(api, service, "RUNNING"):
        if task.get("taskDefinitionArn") == service.task_definition:
            for container in task.get("containers") or []:
                if container.get("imageDigest"):
                    pair = (container.get("image", ""), container["imageDigest"])
                    seen.setdefault(container["name"], set()).add(pair)
    return {name: pairs.pop() for name, pairs in seen.items() if len(pairs) == 1}
