"""What a plan asks to be registered: its base with its images; and what no plan can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.rollout.plan import RolloutPlan, short
from slipway.rollout.service import Service
from slipway.rollout.taskdef import (
    Definition,
    Described,
    from_document,
    images_of,
    same_repository,
    with_images,
    with_tag,
)


def check_plan(plan: RolloutPlan) -> None:
    """WrongUse for a plan that contradicts itself."""
    ways = {
        "images": bool(plan.images),
        "image": plan.image is not None,
        "tag": plan.tag is not None,
        "target": plan.target is not None,
        "force": plan.force,
    }
    given = [name for name, is_given in ways.items() if is_given]
    if len(given) > 1 and set(given) != {"image", "images"}:
        raise WrongUse(f"a rollout changes one thing; asked for: {', '.join(given)}")
    if plan.is_companion:
        _check_companion(plan)
    elif not given and not isinstance(plan.base, Mapping):
        raise WrongUse("nothing to roll out: give images, an image, a tag, a target or force")
    if plan.service is None and not plan.is_companion and (plan.target or plan.force):
        raise WrongUse("a target or a forced deployment needs a service")
    if plan.service is None and not plan.is_companion and plan.base in ("service", "family"):
        raise WrongUse("without a service the base must be a task definition")
    if plan.max_definitions is not None and plan.max_definitions < 1:
        raise WrongUse(f"max definitions {plan.max_definitions}: must be 1 or more")
    for image in (*plan.images.values(), *([plan.image] if plan.image else [])):
        ImageReference.parse(image)


def _check_companion(plan: RolloutPlan) -> None:
    """A companion of services is none itself, and has one way to its new revision."""
    if plan.service is not None or (plan.scheduled is not None and plan.family is not None):
        raise WrongUse("a rollout is of a service, a scheduled task or a task definition alone")
    if plan.family is not None and (plan.target is not None or plan.force):
        raise WrongUse("a task definition alone goes to no target")


def base_given(plan: RolloutPlan, service: Service | None) -> Described | None:
    """The base that the plan itself holds, with a family; None where it is to be described."""
    if not isinstance(plan.base, Mapping):
        return None
    return _named_after(from_document(plan.base), service)


def base_name(plan: RolloutPlan, service: Service | None) -> str:
    """The name (ARN, family:revision or family) of the task definition to start from."""
    if plan.base == "service" and service is not None:
        return service.task_definition
    if plan.base == "family" and service is not None:
        return short(service.task_definition).rpartition(":")[0]
    return str(plan.base).removeprefix("definition:")


def _named_after(described: Described, service: Service | None) -> Described:
    """A definition from a file, in the service's family where it names none."""
    if described.definition.get("family"):
        return described
    if service is None:
        raise WrongUse("the task definition names no family")
    family = short(service.task_definition).rpartition(":")[0]
    return replace(described, definition={"family": family, **described.definition})


def request_for(plan: RolloutPlan, base: Definition) -> Definition:
    """The request that registers `base` (as it would be registered again) with the plan's images.

    WrongUse where an image fits no container.
    """
    images: dict[str, str] = {}
    if plan.image is not None:
        wanted = ImageReference.parse(plan.image).with_default_tag()
        images |= same_repository(base, wanted)
    if plan.tag is not None:
        images |= with_tag(base, plan.tag, plan.tag_containers)
    for container, image in plan.images.items():
        images[container] = str(ImageReference.parse(image).with_default_tag())
    return with_images(base, images)


def planned_images(plan: RolloutPlan, request: Definition) -> set[str]:
    """The images of `request` that the plan put there: only those are asked about."""
    images = images_of(request)
    if plan.tag is not None:
        return {i for c, i in images.items() if not plan.tag_containers or c in plan.tag_containers}
    wanted = {str(ImageReference.parse(i).with_default_tag()) for i in plan.images.values()}
    if plan.image is not None:
        wanted.add(str(ImageReference.parse(plan.image).with_default_tag()))
    return wanted
