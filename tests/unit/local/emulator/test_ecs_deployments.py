"""Which of its deployments a service lists."""

from __future__ import annotations

from typing import Any

import pytest

from local.emulator.extension.ecs_deployments import ServiceDeployments
from local.emulator.extension.ecs_events import DeploymentEvents

SERVICE = "arn:aws:ecs:us-east-1:222222222222:service/main/shop"
CLUSTER = "arn:aws:ecs:us-east-1:222222222222:cluster/main"


class Unheard(DeploymentEvents):
    """Nobody is told."""

    def look(self, service: Any, present: Any, *, by_breaker: bool) -> None:
        """See DeploymentEvents."""


def deployment(number: int, status: str, state: str, *, running: int = 0) -> dict[str, Any]:
    return {
        "id": f"ecs-svc/{number}",
        "taskDefinition": f"arn:aws:ecs:us-east-1:222222222222:task-definition/shop:{number}",
        "status": status,
        "rolloutState": state,
        "createdAt": "2027-01-01T00:00:00+00:00",
        "runningCount": running,
        "pendingCount": 0,
    }


@pytest.mark.parametrize(
    ("before", "failed", "listed"),
    [
        (("PRIMARY", "COMPLETED", 1), ("ACTIVE", "FAILED", 0), [1]),
        (("PRIMARY", "COMPLETED", 1), ("ACTIVE", "FAILED", 1), [2, 1]),  # its last task ends
        (("PRIMARY", "IN_PROGRESS", 1), ("ACTIVE", "FAILED", 0), [2, 1]),  # ECS goes back
        (("ACTIVE", "COMPLETED", 1), ("PRIMARY", "FAILED", 0), [2, 1]),  # and does not go back
        (("ACTIVE", "COMPLETED", 1), ("PRIMARY", "IN_PROGRESS", 0), [2, 1]),
    ],
)
def test_a_deployment_that_failed_is_listed_until_another_is_in_its_place(before, failed, listed):
    # GIVEN a service that ran 1, and whose deployment of 2 stands like this
    (old, old_state, old_tasks), (new, new_state, new_tasks) = before, failed
    service = {
        "serviceArn": SERVICE,
        "clusterArn": CLUSTER,
        "deployments": [
            deployment(2, new, new_state, running=new_tasks),
            deployment(1, old, old_state, running=old_tasks),
        ],
    }
    deployments = ServiceDeployments(Unheard())
    # WHEN it is looked at twice / THEN
    for _ in range(2):
        deployments.observe(service)
        numbers = [int(one["id"].rpartition("/")[2]) for one in service["deployments"]]
        assert numbers == listed
