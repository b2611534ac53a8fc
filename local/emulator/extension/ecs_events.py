"""Gap closed: EventBridge hears nothing of a service's deployments.

`ECS Deployment State Change`, as AWS sends it: SERVICE_DEPLOYMENT_IN_PROGRESS when a deployment or
a rollback begins, _COMPLETED when either has ended well, _FAILED only where the circuit breaker
has failed it. Nothing is sent of one that was superseded or stopped by hand. AWS's own samples are
in tests/events; `clusterArn` is in what people have caught since 2025 and not in its documents.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import eventbridge

from local.emulator.extension.private import need

Data = dict[str, Any]

IN_PROGRESS = ("INFO", "SERVICE_DEPLOYMENT_IN_PROGRESS", "ECS deployment {id} in progress.")
ROLLING_BACK = (
    "INFO",
    "SERVICE_DEPLOYMENT_IN_PROGRESS",
    "ECS deployment circuit breaker: rolling back to deploymentId {id}.",
)
COMPLETED = ("INFO", "SERVICE_DEPLOYMENT_COMPLETED", "ECS deployment {id} completed.")
FAILED = (
    "ERROR",
    "SERVICE_DEPLOYMENT_FAILED",
    "ECS deployment circuit breaker: tasks failed to start.",
)
Told = tuple[str, str, str]


def told(before: str | None, after: str, *, by_breaker: bool) -> list[Told]:
    """What is to be told when a deployment's rollout state was `before` (None: new) and is `after`.

    `by_breaker`: what fails here, the circuit breaker fails, and what goes back, it takes back.
    """
    begun = [IN_PROGRESS] if before is None else []
    if before == after:
        return []
    if after == "COMPLETED":
        return [*begun, COMPLETED]
    if after == "FAILED":
        return [*begun, FAILED] if by_breaker else begun
    if before == "COMPLETED":
        return [ROLLING_BACK if by_breaker else IN_PROGRESS]
    return begun


def event(service: Data, deployment_id: str, say: Told, now: float) -> Data:
    """The entry for EventBridge. `deployment_id`: as in the service's `deployments`."""
    kind, name, reason = say
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    detail = {
        "eventType": kind,
        "eventName": name,
        "clusterArn": service["clusterArn"],
        "deploymentId": deployment_id,
        "updatedAt": f"{moment}.{int(now * 1000) % 1000:03d}Z",
        "reason": reason.format(id=deployment_id),
    }
    return {
        "Source": "aws.ecs",
        "DetailType": "ECS Deployment State Change",
        "Resources": [service["serviceArn"]],
        "Detail": json.dumps(detail),
    }


class DeploymentEvents:
    """Tells each change of a deployment's rollout state once."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def look(self, service: Data, present: list[Data], *, by_breaker: bool) -> None:
        """Tell what has changed since the last look; a failure before what it led to."""
        for deployment in sorted(present, key=lambda one: one.get("rolloutState") != "FAILED"):
            state = deployment.get("rolloutState") or "IN_PROGRESS"
            before = self._states.get(deployment["id"])
            self._states[deployment["id"]] = state
            for say in told(before, state, by_breaker=by_breaker):
                _tell(service, event(service, deployment["id"], say, time.time()))


def _tell(service: Data, entry: Data) -> None:
    _, _, _, region, account, *_ = service["serviceArn"].split(":")
    with request_scope(account, region):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def install() -> DeploymentEvents:
    """Make sure that EventBridge can be told."""
    need(eventbridge, "_put_events")
    return DeploymentEvents()
