"""Going back: what an earlier deployment ran, as it is to be rolled out once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import BuildRequest, DeploymentResult
from slipway.contracts.table.deployments import DeploymentRow, pipeline_of
from slipway.following.companions import plans_back
from slipway.following.handing import ToRollOut
from slipway.following.service import plan_of
from slipway.following.several import name_of
from slipway.following.state import Part
from slipway.rollout import RolloutPlan

Find = Callable[[str], DeploymentRow | None]
Place = tuple[str, str]
"""Cluster and service."""


def to_earlier(find: Find, pipeline: PipelineSettings, request: BuildRequest) -> ToRollOut:
    """The task definitions that the deployment named by `request` ran: nothing is built.

    DeploymentFailed where there is none, or nothing that ran.
    """
    named = request.target.deployment_id or ""
    earlier = find(named)
    if earlier is None or pipeline_of(named) != pipeline.name:
        cause = f"pipeline {pipeline.name} has no deployment {named}"
        raise DeploymentFailed(cause, stage="received")
    result = earlier.result
    targets = _targets(pipeline, earlier)
    if result is None or result.status not in ("succeeded", "unchanged") or not targets:
        cause = f"deployment {earlier.deployment_id} did not succeed: nothing to go back to"
        raise DeploymentFailed(cause, stage="rollout")
    services = pipeline.per_service
    parts = tuple(Part(cluster=one.cluster, service=one.service) for one in services)
    plans = tuple(plan_of(one, target=targets[_place(one)]) for one in services)
    back = list(_companions(pipeline, result)) if pipeline.has_companions else []
    there = [(part, plan) for part, plan in back if plan is not None]
    several = len(services) + len(there) > 1
    return ToRollOut(
        plans=(*plans, *(plan for _, plan in there)),
        parts=(*parts, *(part for part, _ in there)) if several else None,
        together=pipeline.together,
        warning="; ".join(_stays(part) for part, plan in back if plan is None) or None,
        commit=result.commit,
        image_digest=result.image_digest,
        images=dict(earlier.images),
    )


def _targets(pipeline: PipelineSettings, earlier: DeploymentRow) -> dict[Place, str]:
    """What each service ran then; empty where it is not known.

    DeploymentFailed where a service of today's was none of that deployment's.
    """
    result = earlier.result
    if result is None or (result.services is None and len(pipeline.per_service) == 1):
        target = earlier.task_definition_after or (result and result.now_running)
        return {_place(pipeline.per_service[0]): target} if target else {}
    known = [one for one in result.services or () if one.kind is None]
    ran = {(one.cluster, one.service): one.now for one in known}
    missing = [one.service for one in pipeline.per_service if not ran.get(_place(one))]
    if missing:
        cause = (
            f"deployment {earlier.deployment_id} does not say what service {missing[0]} ran: "
            "nothing to go back to; redeploy its commit"
        )
        raise DeploymentFailed(cause, stage="rollout")
    return {place: name for place, name in ran.items() if name}


def _companions(
    pipeline: PipelineSettings, result: DeploymentResult
) -> Iterator[tuple[Part, RolloutPlan | None]]:
    """What comes after the services, each with its way back; None: it stays as it is."""
    ran = {
        (one.kind, one.cluster, one.service): one.now
        for one in result.services or ()
        if one.kind is not None and one.now is not None
    }
    return plans_back(pipeline, ran)


def _stays(part: Part) -> str:
    if part.kind == "definition":
        return f"{name_of(part, None)} stays as it is: going back registers nothing"
    return f"{name_of(part, None)} stays as it is: what it ran then is not known"


def _place(pipeline: PipelineSettings) -> Place:
    return pipeline.cluster, pipeline.service
