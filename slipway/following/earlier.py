"""Going back: what an earlier deployment ran, as it is to be rolled out once more."""

from __future__ import annotations

from collections.abc import Callable

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.deployments import DeploymentRow, pipeline_of
from slipway.following.handing import ToRollOut
from slipway.following.service import plan_of

Find = Callable[[str], DeploymentRow | None]


def to_earlier(find: Find, pipeline: PipelineSettings, request: BuildRequest) -> ToRollOut:
    """The task definition that the deployment named by `request` ran: nothing is built.

    DeploymentFailed where there is none, or nothing that ran.
    """
    named = request.target.deployment_id or ""
    earlier = find(named)
    if earlier is None or pipeline_of(named) != pipeline.name:
        cause = f"pipeline {pipeline.name} has no deployment {named}"
        raise DeploymentFailed(cause, stage="received")
    result = earlier.result
    target = earlier.task_definition_after or (result and result.now_running)
    if result is None or result.status not in ("succeeded", "unchanged") or not target:
        cause = f"deployment {earlier.deployment_id} did not succeed: nothing to go back to"
        raise DeploymentFailed(cause, stage="rollout")
    return ToRollOut(
        plan=plan_of(pipeline, target=target),
        commit=result.commit,
        image_digest=result.image_digest,
        images=dict(earlier.images),
    )
