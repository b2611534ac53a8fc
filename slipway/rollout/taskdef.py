"""The task definition: read whole, changed only where asked, registered whole.

What `RegisterTaskDefinition` takes is botocore's own model, never a list by hand. Fields that are
newer than botocore would be dropped by its parser and refused by its validator; so the raw JSON of
the answer is kept (event `before-parse`), and put into the request (event `before-call`, which
runs before signing).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.contracts.image_reference import ImageReference
from slipway.rollout.api import Api

Definition = dict[str, Any]
"""A task definition as JSON, in the shape of `RegisterTaskDefinition`'s request or an answer."""

_DESCRIBE = "DescribeTaskDefinition"
_REGISTER = "RegisterTaskDefinition"


@dataclass(frozen=True, kw_only=True)
class Described:
    """A task definition as AWS (or a file) has it: everything, unknown fields included."""

    definition: Definition
    tags: tuple[Mapping[str, str], ...] = ()

    @property
    def arn(self) -> str | None:
        value = self.definition.get("taskDefinitionArn")
        return None if value is None else str(value)

    @property
    def containers(self) -> list[Definition]:
        return list(self.definition.get("containerDefinitions") or [])


def describe(api: Api, name: str) -> Described:
    """The task definition `name` (ARN, family:revision, or family for its newest) with its tags."""
    with _raw_body(api.client, _DESCRIBE) as bodies:
        answer = api.read("describe_task_definition", taskDefinition=name, include=["TAGS"])
    raw = _json_object(bodies[-1]) if bodies else answer
    return from_document(raw if "taskDefinition" in raw else answer)


def from_document(document: Mapping[str, Any]) -> Described:
    """A definition from JSON: DescribeTaskDefinition's answer or RegisterTaskDefinition's request.

    WrongUse for JSON that is neither.
    """
    inner = document.get("taskDefinition", document)
    if not isinstance(inner, dict) or not isinstance(inner.get("containerDefinitions"), list):
        raise WrongUse("the task definition has no list 'containerDefinitions'")
    definition = _without_null(inner)
    beside = definition.pop("tags", None)
    tags = document.get("tags") if inner is not document else beside
    return Described(definition=definition, tags=tuple(tags or beside or ()))


def request_of(described: Described, model: Any, *, tags: bool = True) -> Definition:
    """The request that registers `described` again, unknown fields included.

    Left out is what DescribeTaskDefinition adds: by `model` (botocore's service model of ECS) the
    members of its answer that the request does not take.
    """
    taken = set(model.operation_model(_REGISTER).input_shape.members)
    answered = set(model.shape_for("TaskDefinition").members)
    added = answered - taken
    request = {key: value for key, value in described.definition.items() if key not in added}
    if tags and described.tags:
        request["tags"] = [dict(tag) for tag in described.tags if not _is_reserved(tag)]
        if not request["tags"]:
            del request["tags"]
    return request


def register(api: Api, request: Definition) -> dict[str, Any]:
    """Register `request` as it stands; the answer of RegisterTaskDefinition."""
    known = _known(request, api.client.meta.service_model.operation_model(_REGISTER).input_shape)
    if known == request:
        return api.change("register_task_definition", **request)
    with _whole_body(api.client, _REGISTER, request):
        return api.change("register_task_definition", **known)


def with_images(request: Definition, images: Mapping[str, str]) -> Definition:
    """`request` with the image of each named container replaced, and nothing else.

    WrongUse, with the containers there are, for a name that is none of them.
    """
    names = [container.get("name") for container in request["containerDefinitions"]]
    unknown = sorted(set(images) - set(names))
    if unknown:
        raise WrongUse(
            f"no container {', '.join(map(repr, unknown))} in {request.get('family')}; "
            f"there are: {_listed(request)}"
        )
    containers = [
        {**container, "image": images[container["name"]]}
        if container.get("name") in images
        else container
        for container in request["containerDefinitions"]
    ]
    return {**request, "containerDefinitions": containers}


def same_repository(request: Definition, image: ImageReference) -> dict[str, str]:
    """Container to new image, for the containers whose image has the repository of `image`.

    Whole repository names are compared. WrongUse, with the containers there are, where none has it.
    """
    images = {
        container["name"]: str(image)
        for container in request["containerDefinitions"]
        if _repository(container.get("image", "")) == image.repository
    }
    if not images:
        raise WrongUse(
            f"no container of {request.get('family')} has an image of {image.repository}; "
            f"there are: {_listed(request)} (name one with --container to change its repository)"
        )
    return images


def with_tag(request: Definition, tag: str, containers: tuple[str, ...]) -> dict[str, str]:
    """Container to its own image at `tag`, for all containers or those named."""
    names = {container["name"] for container in request["containerDefinitions"]}
    unknown = sorted(set(containers) - names)
    if unknown:
        raise WrongUse(
            f"no container {', '.join(map(repr, unknown))} in {request.get('family')}; "
            f"there are: {_listed(request)}"
        )
    return {
        container["name"]: str(ImageReference.parse(container["image"]).with_tag(tag))
        for container in request["containerDefinitions"]
        if container.get("image") and (not containers or container["name"] in containers)
    }


def differences(before: Definition, after: Definition) -> tuple[str, ...]:
    """What differs, one line each; a value that may be a secret is never shown."""
    return tuple(_differences("", before, after))


def same_content(registered: Definition, request: Definition) -> bool:
    """Whether `registered`, as it would be registered again, is what `request` asks for.

    ECS answers members that are empty, and leaves out those that are.
    """
    return bool(_without_empty(registered) == _without_empty(request))


def images_of(definition: Definition) -> dict[str, str]:
    """Container to image as the definition names it."""
    return {
        str(container["name"]): str(container["image"])
        for container in definition.get("containerDefinitions") or []
        if container.get("name") and container.get("image")
    }


def _differences(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            where = f"{path}.{key}" if path else str(key)
            yield from _differences(where, before.get(key), after.get(key))
        return
    named = _by_name(before), _by_name(after)
    if named[0] is not None and named[1] is not None:
        for name in sorted(named[0].keys() | named[1].keys()):
            yield from _differences(f"{path}[{name}]", named[0].get(name), named[1].get(name))
        return
    yield f"{path}: {_shown(path, before)} → {_shown(path, after)}"


def _by_name(value: Any) -> dict[str, Any] | None:
    """A list of objects with unique names (containers, environment, tags) by name."""
    if value is None:
        return {}
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    key = "key" if all("key" in item for item in value) else "name"
    names = [item.get(key) for item in value]
    if None in names or len(set(names)) != len(names):
        return None
    return {str(item[key]): item for item in value}


_OPEN = ("image", "cpu", "memory", "family", "networkMode", "essential", "pidMode", "ipcMode")


def _shown(path: str, value: Any) -> str:
    if value is None:
        return "(absent)"
    if path.rpartition(".")[2] in _OPEN and not isinstance(value, dict | list):
        return str(value)
    return "(a value)"


def _repository(image: str) -> str | None:
    try:
        return ImageReference.parse(image).repository
    except WrongUse:
        return None


def _listed(request: Definition) -> str:
    containers = request["containerDefinitions"]
    return ", ".join(f"{c.get('name')} ({c.get('image')})" for c in containers) or "none"


def _is_reserved(tag: Mapping[str, str]) -> bool:
    """AWS adds and owns tags that begin with `aws:`; it refuses them in a request."""
    return str(tag.get("key", "")).lower().startswith("aws:")


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    return value


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, [], {})}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def _known(value: Any, shape: Any) -> Any:
    """The part of `value` that botocore's `shape` knows."""
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            key: _known(item, shape.members[key])
            for key, item in value.items()
            if key in shape.members
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_known(item, shape.member) for item in value]
    return value


@contextmanager
def _raw_body(client: Any, operation: str) -> Iterator[list[bytes]]:
    """The bodies of `operation`'s answers while the context is open."""
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_ignored: Any) -> None:
        bodies.append(response_dict["body"])

    event = f"before-parse.ecs.{operation}"
    client.meta.events.register(event, keep)
    try:
        yield bodies
    finally:
        client.meta.events.unregister(event, keep)


@contextmanager
def _whole_body(client: Any, operation: str, body: Definition) -> Iterator[None]:
    """Send `body` as the body of `operation` while the context is open."""

    def put(params: dict[str, Any], **_ignored: Any) -> None:
        params["body"] = json.dumps(body).encode()

    event = f"before-call.ecs.{operation}"
    client.meta.events.register(event, put)
    try:
        yield
    finally:
        client.meta.events.unregister(event, put)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
