"""What `slipway taskdef` changes in a task definition: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.rollout.set_value import set_value
from slipway.rollout.taskdef import Definition, same_repository, with_images

_PLACEHOLDER = re.compile(r"<[A-Za-z0-9_]+>")


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What the command line asks to change."""

    image: str | None = None
    containers: tuple[str, ...] = ()
    all_containers: str | None = None
    values: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


def apply_changes(request: Definition, changes: Changes, shape: Any) -> Definition:
    """`request` with `changes`; `shape` is RegisterTaskDefinition's input in botocore's model.

    WrongUse names the value that cannot be, and what is allowed.
    """
    changed = with_images(request, _images(request, changes))
    for item in changes.values:
        path, equals, value = item.partition("=")
        if not equals:
            raise WrongUse(f"--set {item!r}: must be PATH=VALUE")
        changed = set_value(changed, path, value, shape)
    for path in changes.unset:
        changed = set_value(changed, path, None, shape)
    _refuse_what_ecs_would(request, changed, shape)
    return changed


def _refuse_what_ecs_would(before: Definition, after: Definition, shape: Any) -> None:
    """WrongUse for what the changes made wrong by botocore's model.

    What ECS itself described is right, also where this botocore is too old to know it.
    """
    known = set(_problems(before, shape))
    if made := [problem for problem in _problems(after, shape) if problem not in known]:
        raise WrongUse(f"ECS would refuse the task definition: {'; '.join(made)}")


def _problems(request: Definition, shape: Any) -> list[str]:
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(request, shape)
    return report.generate_report().split("\n") if report.has_errors() else []


def _images(request: Definition, changes: Changes) -> dict[str, str]:
    images: dict[str, str] = {}
    if changes.all_containers is not None:
        image = _image(changes.all_containers)
        images |= {container["name"]: image for container in request["containerDefinitions"]}
    if changes.image is not None:
        images |= same_repository(request, ImageReference.parse(changes.image).with_default_tag())
    for item in changes.containers:
        name, equals, image = item.partition("=")
        if not equals or not name:
            raise WrongUse(f"--container {item!r}: must be NAME=IMAGE")
        images[name] = _image(image)
    return images


def _image(text: str) -> str:
    """An image name, or a placeholder that CodePipeline fills in from imageDetail.json."""
    if _PLACEHOLDER.fullmatch(text):
        return text
    return str(ImageReference.parse(text).with_default_tag())
