"""A build of CodeBuild as BatchGetBuilds tells of it; each field that botocore calls required."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

MACHINE = {
    "type": "LINUX_CONTAINER",
    "image": "aws/codebuild/standard",
    "computeType": "BUILD_GENERAL1_SMALL",
}


def build_told(build_id: str, variables: Iterable[dict[str, str]], **told: Any) -> dict[str, Any]:
    """`variables`: each as `{"name": …, "value": …}`; `told`: more of its fields."""
    return {
        "id": build_id,
        "environment": {**MACHINE, "environmentVariables": list(variables)},
        **told,
    }


def phases_told(machine_since: float | None) -> list[dict[str, Any]]:
    """The phases of a build that has a machine since then, in seconds since the epoch, or none."""
    if machine_since is None:
        return [{"phaseType": "QUEUED"}]
    at = datetime.fromtimestamp(machine_since, UTC)
    return [
        {"phaseType": "PROVISIONING", "startTime": at, "endTime": at},
        {"phaseType": "BUILD", "startTime": at},
    ]
