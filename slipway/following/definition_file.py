"""The task definition that stands in the repository: read, filled with values, and checked. Pure.

RegisterTaskDefinition's own JSON (or YAML), as `slipway taskdef` writes it and CodePipeline's users
have it. Whatever is wrong with it is the commit's failure, told by its JSON path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from slipway.contracts.errors import DeploymentFailed, WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.contracts.installation import YAML_ENDINGS, ImageSettings, PipelineSettings
from slipway.rollout.model_faults import Fault, faults
from slipway.rollout.set_value import set_value
from slipway.rollout.taskdef import Definition, from_document, request_of

STAGE = "register"
FAULTS_TOLD = 10
MOST_VALUES = 20_000
"""A definition holds 64 KiB; a few lines of YAML's references to references make a million."""
_PLACEHOLDER = re.compile(r"<[A-Za-z0-9_]+>")
_NUMBERED = re.compile(r"<IMAGE([1-9][0-9]*)_NAME>")
_ROLES = ("taskRoleArn", "executionRoleArn")


class _Refused(Exception):
    """The text cannot be read; the message says why, and shows none of its values."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A definition that can be registered once its images are known.

    `images`: the pipeline's, each with the containers of `definition` that run it. Of several
    services one may run none of an image: that is not among its own.
    """

    definition: Definition
    images: tuple[ImageSettings, ...]


def written_definition(text: str, pipeline: PipelineSettings, model: Any) -> Written:
    """The definition in `text`, the file that `pipeline` names; the pipeline as it is for one of
    its services (`PipelineSettings.per_service`).

    `model`: botocore's service model of ECS. DeploymentFailed names each fault by its path.
    """
    name = pipeline.task_definition or ""
    shape = model.operation_model("RegisterTaskDefinition").input_shape
    try:
        definition = _request(parsed(text, name), model)
        found = list(_shape_faults(definition, shape))
        if found:
            raise _failed(name, found)
        definition = _with_values(definition, pipeline.values, shape)
    except (_Refused, WrongUse) as error:
        raise DeploymentFailed(f"{name}: {error}", stage=STAGE) from None
    definition = {"family": pipeline.family, **definition} if pipeline.family else definition
    containers = {i: tuple(_containers(definition, pipeline, i)) for i in _numbers(pipeline)}
    found = [
        *_shape_faults(definition, shape),
        *_family(definition, pipeline),
        *_roles(definition, pipeline.roles),
        *_images(definition, pipeline, containers),
    ]
    if found:
        raise _failed(name, found)
    images = (replace(pipeline.images[i], containers=c) for i, c in containers.items() if c)
    return Written(definition=definition, images=tuple(images))


def parsed(text: str, name: str) -> Any:
    """The value that `text` is: YAML where the name ends so, else JSON. Raises _Refused."""
    read = _of_yaml if name.lower().endswith(YAML_ENDINGS) else _of_json
    try:
        return read(text)
    except RecursionError:
        raise _Refused("it is nested too deeply") from None


def _of_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise _Refused(f"{twice!r} is given twice in one object")
        return made

    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _Refused(f"is not JSON: {error.msg} at {where}") from None


def _of_yaml(text: str) -> Any:
    import yaml  # noqa: PLC0415 - the follower has none, and reads no file

    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _Values(loader).of(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise _Refused(f"is not YAML: {problem}{where}") from None
    except ValueError:
        raise _Refused("is not YAML: a value cannot be read") from None


class _Values:
    """Makes a YAML document's values, each key once, and no more than a definition can hold."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._made = 0

    def of(self, node: Any) -> Any:
        self._made += 1
        if self._made > MOST_VALUES:
            raise _Refused(f"holds more than {MOST_VALUES} values")
        if node.id == "sequence":
            return [self.of(item) for item in node.value]
        if node.id != "mapping":
            return self._loader.construct_object(node)
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = next((key for key in own if isinstance(key, str) and own.count(key) > 1), None)
        if twice is not None:
            line = node.start_mark.line + 1
            raise _Refused(f"{twice!r} is given twice in the object of line {line}")
        self._loader.flatten_mapping(node)
        return {self._key(key): self.of(value) for key, value in node.value}

    def _key(self, node: Any) -> str:
        key = self._loader.construct_object(node, deep=True) if node.id == "scalar" else None
        if not isinstance(key, str):
            line = node.start_mark.line + 1
            raise _Refused(f"a key must be a text: write it in quotes (line {line})")
        return key


def _request(value: Any, model: Any) -> Definition:
    if not isinstance(value, dict):
        raise _Refused("must be an object, the input of RegisterTaskDefinition")
    described = from_document(value)
    for number, container in enumerate(described.containers):
        if not isinstance(container, dict):
            raise _Refused(f"containerDefinitions[{number}]: must be an object")
    if not all(isinstance(tag, dict) for tag in described.tags):
        raise _Refused("tags: must be a list of objects")
    return request_of(described, model)


def _shape_faults(definition: Definition, shape: Any) -> Iterator[Fault]:
    missing = "family"  # the service's own where the file names none
    yield from (fault for fault in faults(definition, shape) if fault[0] != missing or
                missing in definition)  # fmt: skip
    names = [c.get("name") for c in definition["containerDefinitions"]]
    for number, name in enumerate(names):
        path = f"containerDefinitions[{number}].name"
        if not name:
            yield path, "is missing"
        elif name in names[:number]:
            yield path, f"{name!r} is the name of another container, too"


def _with_values(definition: Definition, values: Mapping[str, str], shape: Any) -> Definition:
    for path, value in values.items():
        try:
            definition = set_value(definition, path, value, shape)
        except WrongUse as error:
            raise _Refused(f"the configured service.values does not fit: {error}") from None
    return definition


def _family(definition: Definition, pipeline: PipelineSettings) -> Iterator[Fault]:
    given = definition.get("family")
    if pipeline.family is not None and given != pipeline.family:
        allowed = f"the configuration allows {pipeline.family!r} alone"
        yield "family", f"{given!r}: {allowed} (service.family; service.values may set it)"


def _roles(definition: Definition, allowed: Sequence[str]) -> Iterator[Fault]:
    for member in _ROLES:
        given = definition.get(member)
        names = {*allowed, *(arn.rpartition("/")[2] for arn in allowed)}
        if given is not None and given not in names:
            there = ", ".join(allowed) or "none"
            yield (
                member,
                f"{given!r}: the configuration allows no such role (service.roles: {there})",
            )


def _containers(definition: Definition, pipeline: PipelineSettings, number: int) -> list[str]:
    """The containers that run the pipeline's image of this number, also such as are not there."""
    image, named = pipeline.images[number], _named(pipeline)
    alone = len(pipeline.images) == 1
    if image.containers:
        return [n for n in image.containers if _may_run(n, definition, pipeline)]
    if named and alone:
        return list(named)
    found = []
    for container in definition["containerDefinitions"]:
        if named and container.get("name") not in named:
            continue
        reference = str(container.get("image") or "")
        is_its_own = _stands_for(reference, number, alone=alone)
        if is_its_own or _repository(reference) == image.repository_uri:
            found.append(str(container.get("name")))
    return found


def _named(pipeline: PipelineSettings) -> tuple[str, ...]:
    """The containers of the service that a deployment changes, if the configuration says so."""
    return pipeline.services[0].containers if pipeline.services else ()


def _may_run(name: str, definition: Definition, pipeline: PipelineSettings) -> bool:
    """Whether a container that an image names is of this service, where there are several."""
    there = _named(pipeline) or [c.get("name") for c in definition["containerDefinitions"]]
    return pipeline.services is None or name in there


def _stands_for(reference: str, number: int, *, alone: bool) -> bool:
    """Whether a placeholder is this image's: `<IMAGE1_NAME>` the first's; any, where it is alone.

    Source: AWS CodePipeline user guide, 'Amazon ECS and CodeDeploy blue-green action reference'.
    """
    if _PLACEHOLDER.fullmatch(reference) is None:
        return False
    numbered = _NUMBERED.fullmatch(reference)
    return alone or (numbered is not None and int(numbered[1]) == number + 1)


def _images(
    definition: Definition, pipeline: PipelineSettings, containers: Mapping[int, Sequence[str]]
) -> Iterator[Fault]:
    there = [str(c.get("name")) for c in definition["containerDefinitions"]]
    ours = {name for names in containers.values() for name in names}
    for name in _named(pipeline):
        if name not in ours and name in there:
            yield "containerDefinitions", f"container {name!r} runs none of the pipeline's images"
    for number, names in containers.items():
        repository = pipeline.images[number].repository
        if not names and not (pipeline.services and ours):
            told = f"no container has an image of {repository!r} or a placeholder for it"
            yield "containerDefinitions", f"{told}, such as <IMAGE{number + 1}_NAME>"
        for name in (name for name in names if name not in there):
            told = f"there is no container {name!r}, which runs the image {repository!r}"
            yield "containerDefinitions", f"{told}; there are: {', '.join(there)}"
    for at, container in enumerate(definition["containerDefinitions"]):
        reference = str(container.get("image") or "")
        path = f"containerDefinitions[{at}].image"
        if container.get("name") in ours:
            continue
        if not reference:
            yield path, "is missing"
        elif _PLACEHOLDER.fullmatch(reference):
            yield path, f"the placeholder {reference} stands for no image of this pipeline"


def _numbers(pipeline: PipelineSettings) -> range:
    return range(len(pipeline.images))


def _repository(image: str) -> str | None:
    try:
        return ImageReference.parse(image).repository
    except WrongUse:
        return None


def _failed(name: str, found: Sequence[Fault]) -> DeploymentFailed:
    """All faults in the cause as far as it holds them; each in the log."""
    lines = [f"{path}: {problem}" for path, problem in found]
    more = len(lines) - FAULTS_TOLD
    told = "; ".join(lines[:FAULTS_TOLD]) + (f"; and {more} more" if more > 0 else "")
    return DeploymentFailed(f"{name}: {told}", stage=STAGE, log_tail=tuple(lines))
