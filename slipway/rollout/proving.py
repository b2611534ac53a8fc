"""Reads what proves that the tasks of a deployment are healthy: tasks, health checks, targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slipway.rollout.api import NO_ANSWER, Api, Denied
from slipway.rollout.health import Health, Proof, TasksSeen, missing_checks
from slipway.rollout.judge import Ours
from slipway.rollout.service import Service
from slipway.rollout.targets import NotAsked, Targets
from slipway.rollout.taskdef import describe
from slipway.rollout.tasks import listed_tasks

Balancing = Callable[[], Api]
"""Makes the balancer's Api; raises NotAsked where there is none to ask."""


def tasks_seen(
    api: Api, balancing: Balancing, service: Service, ours: Ours, proof: Proof
) -> TasksSeen:
    """The RUNNING tasks of our deployment. What AWS does not tell is the answer's `problem`."""
    tasks: list[Mapping[str, Any]] = []
    checked = proof.checked
    try:
        running = listed_tasks(api, service, "RUNNING")
        tasks = [t for t in running if _is_of(t, ours)]
        if checked is None:
            checked = _checked(api, ours.task_definition)
        unfit: Mapping[str, str] = {}
        if service.load_balanced:
            missing = missing_checks(tasks, checked)
            asked = [t for t in tasks if str(t["taskArn"]) not in missing]
            unfit = Targets(api, balancing(), service.raw).missing(asked)
        return TasksSeen(tasks=tuple(tasks), checked=checked, unfit=unfit)
    except Denied as error:
        problem = Health(healthy=False, known=False, waits_for=f"{error.action} is denied")
    except NotAsked as error:
        problem = Health(healthy=False, known=False, waits_for=str(error))
    except NO_ANSWER as error:
        problem = Health(healthy=False, waits_for=str(error))
    return TasksSeen(tasks=tuple(tasks), checked=checked, problem=problem)


def _is_of(task: Mapping[str, Any], ours: Ours) -> bool:
    """ECS writes the deployment's id into `startedBy` of each task that it starts for it."""
    started_by = task.get("startedBy") or ""
    if started_by.startswith("ecs-svc/"):
        return bool(started_by == ours.id)
    return bool(task.get("taskDefinitionArn") == ours.task_definition)


def _checked(api: Api, task_definition: str) -> frozenset[str]:
    """The essential containers that have a health check in their definition."""
    return frozenset(
        str(c["name"])
        for c in describe(api, task_definition).containers
        if c.get("essential", True) and (c.get("healthCheck") or {}).get("command")
    )
