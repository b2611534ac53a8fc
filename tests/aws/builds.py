"""A build of CodeBuild as BatchGetBuilds tells of it; each field that botocore calls required."""

from __future__ import annotations

from collections.abc import Iterable
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
