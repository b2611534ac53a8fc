"""What a pipeline has beside its services: scheduled tasks, and task definitions alone. Pure.

They come after the services, in order. A scheduled task of a service's family takes the revision
that this service runs. One with a family of its own gets that family's new revision, as a task
definition alone does: it is made from the family's newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slipway.contracts.deployed_to import ScheduledTaskSettings
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import CompanionKind
from slipway.following.state import Part
from slipway.rollout import RolloutPlan
from slipway.rollout.plan import Scheduled

DEFAULT = "default"
"""The event bus, or the schedule group, that AWS takes where none is named."""
Ran = Mapping[tuple[CompanionKind, str, str], str]
"""What a scheduled task is to run again, by its kind, place and name."""


def scheduled_of(pipeline: PipelineSettings) -> tuple[Scheduled, ...]:
    """The pipeline's scheduled tasks, in order."""
    return tuple(_scheduled(pipeline, one) for one in pipeline.scheduled_tasks or ())


def companion_parts(pipeline: PipelineSettings) -> tuple[Part, ...]:
    """The companions of the pipeline's services, in order."""
    return (
        *(_part(one) for one in pipeline.scheduled_tasks or ()),
        *(
            Part(cluster="", service=one.family, kind="definition")
            for one in pipeline.task_definitions or ()
        ),
    )


def companion_plans(
    pipeline: PipelineSettings, images: Mapping[str, Mapping[str, str]]
) -> tuple[RolloutPlan, ...]:
    """Their rollouts. `images`: by family, container to image."""
    scheduled = scheduled_of(pipeline)
    plans = [_plan(one.family, images.get(one.family), scheduled, one) for one in scheduled]
    plans += [
        _plan(one.family, images.get(one.family), scheduled, None)
        for one in pipeline.task_definitions or ()
    ]
    return tuple(plans)


def plans_back(pipeline: PipelineSettings, ran: Ran) -> Iterator[tuple[Part, RolloutPlan | None]]:
    """Each companion, and its rollout to what it ran; None where that is not known, or where it is
    a definition alone: an earlier revision is never a family's newest again.
    """
    scheduled = scheduled_of(pipeline)
    of_tasks = dict(zip(map(_part, pipeline.scheduled_tasks or ()), scheduled, strict=True))
    for part in companion_parts(pipeline):
        one = of_tasks.get(part)
        if one is None or part.kind is None:
            yield part, None
            continue
        target = ran.get((part.kind, part.cluster, part.service))
        if one.service is not None:
            yield part, _plan(one.family, None, scheduled, one)
        elif target is not None:
            yield part, RolloutPlan(target=target, scheduled=one)
        else:
            yield part, None


def _plan(
    family: str,
    images: Mapping[str, str] | None,
    scheduled: tuple[Scheduled, ...],
    one: Scheduled | None,
) -> RolloutPlan:
    """Of all scheduled tasks only those of the family can name its revisions: with all in each plan
    the deployment's row could grow larger than a row can be.
    """
    return RolloutPlan(
        images=dict(images or {}),
        base=f"definition:{family}",
        discard_failed=True,
        scheduled=one,
        family=family if one is None else None,
        named_by=tuple(each for each in scheduled if each.family == family) or None,
    )


def _scheduled(pipeline: PipelineSettings, one: ScheduledTaskSettings) -> Scheduled:
    like = next((s for s in pipeline.per_service if (s.family or s.service) == one.family), None)
    return Scheduled(
        kind=one.kind,
        name=one.name,
        family=one.family,
        place=one.place,
        target=one.target,
        cluster=like.cluster if like is not None else None,
        service=like.service if like is not None else None,
    )


def _part(one: ScheduledTaskSettings) -> Part:
    name = one.name if one.target is None else f"{one.name}/{one.target}"
    return Part(cluster=one.place or DEFAULT, service=name, kind=one.kind)
