"""Which followed deployments an event of ECS or CodeDeploy is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.contracts.installation import Installation, PipelineSettings
from slipway.contracts.table import Table

ECS = "aws.ecs"
CODEDEPLOY = "aws.codedeploy"


def deployments_of(
    event: Mapping[str, Any], installation: Installation, table: Table
) -> tuple[str, ...]:
    """Ids of the deployments that hold the locks of the pipelines that the event concerns.

    An event of a service that no pipeline deploys is of none.
    """
    names = [
        pipeline.name
        for pipeline in installation.pipelines
        if any(_concerns(event, one) for one in pipeline.per_service)
    ]
    if not names:
        return ()
    locks = (table.locks.get(name) for name in names)
    return tuple(lock.deployment for lock in locks if lock.deployment is not None)


def _concerns(event: Mapping[str, Any], pipeline: PipelineSettings) -> bool:
    """Whether it is of the service of a pipeline as it is for that one."""
    detail = event.get("detail")
    detail = detail if isinstance(detail, Mapping) else {}
    if event.get("source") == CODEDEPLOY:
        group = pipeline.code_deploy
        named = (detail.get("application"), detail.get("deploymentGroup"))
        return group is not None and named == (group.application, group.group)
    arns = [*(event.get("resources") or ()), detail.get("serviceArn")]
    return any(_is_service(str(arn), pipeline) for arn in arns if arn)


def _is_service(arn: str, pipeline: PipelineSettings) -> bool:
    """`arn:aws:ecs:region:account:service/cluster/name` (an old one lacks the cluster)."""
    kind, _, path = arn.rpartition(":")[2].partition("/")
    cluster = pipeline.cluster.rpartition("/")[2]
    return kind == "service" and path in (f"{cluster}/{pipeline.service}", pipeline.service)
