"""One value of a task definition, named by its path: `slipway taskdef --set`, `service.values`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.taskdef import Definition

_NAMED_LISTS = {"environment": "value", "secrets": "valueFrom"}
"""Lists of a container whose items have a name, and the member that holds an item's value."""


def set_value(request: Definition, path: str, value: str | None, shape: Any) -> Definition:
    """`request` with the member at `path` set to `value`, or left out for None.

    `path` begins with a container's name or a member: `cpu`, `web.environment.LEVEL`. `shape` is
    RegisterTaskDefinition's input in botocore's model. WrongUse names what cannot be, and what may.
    """
    first, _, rest = path.partition(".")
    containers = request["containerDefinitions"]
    names = [container["name"] for container in containers]
    if rest and first in names:
        container_shape = shape.members["containerDefinitions"].member
        index = names.index(first)
        changed = _in_structure(containers[index], rest, value, container_shape, path)
        return {
            **request,
            "containerDefinitions": [*containers[:index], changed, *containers[index + 1 :]],
        }
    if first == "containerDefinitions":
        raise WrongUse(f"{path!r}: name a container of {', '.join(names)} instead")
    return _in_structure(request, path, value, shape, path)


def _in_structure(
    structure: Definition, rest: str, value: str | None, shape: Any, path: str
) -> Definition:
    name, _, inner = rest.partition(".")
    if name not in shape.members:
        raise WrongUse(f"{path!r}: {name!r} is not one of {', '.join(shape.members)}")
    member = shape.members[name]
    if not inner:
        return _with(structure, name, None if value is None else _typed(value, member, path))
    made = _inside(structure.get(name), inner, value, name=name, member=member, path=path)
    return structure if value is None and name not in structure else _with(structure, name, made)


def _inside(
    held: Any, inner: str, value: str | None, *, name: str, member: Any, path: str
) -> Definition | list[Definition]:
    """What the member `name` holds once `inner` of it is changed; it may hold nothing yet."""
    if name in _NAMED_LISTS and member.type_name == "list":
        return _named(held or [], inner, value, _NAMED_LISTS[name])
    if member.type_name == "map":
        return _with(held or {}, inner, value)
    if member.type_name != "structure":
        raise WrongUse(f"{path!r}: {name!r} has no member {inner!r}; set it as JSON")
    return _in_structure(held or {}, inner, value, member, path)


def _with(structure: Definition, name: str, value: Any) -> Definition:
    if value is None:
        return {key: item for key, item in structure.items() if key != name}
    return {**structure, name: value}


def _named(
    items: Iterable[Definition], name: str, value: str | None, holder: str
) -> list[Definition]:
    """A list of named items with the one called `name` set, in its place, or left out."""
    kept = list(items)
    if value is None:
        return [item for item in kept if item.get("name") != name]
    new = {"name": name, holder: value}
    if all(item.get("name") != name for item in kept):
        return [*kept, new]
    return [new if item.get("name") == name else item for item in kept]


def _typed(value: str, member: Any, path: str) -> Any:
    """`value` as the type that ECS takes; lists and structures are given as JSON."""
    kind = member.type_name
    if kind == "string":
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    wanted: dict[str, type | tuple[type, ...]] = {
        "integer": int,
        "long": int,
        "boolean": bool,
        "double": (int, float),
        "float": (int, float),
        "list": list,
    }
    expected = wanted.get(kind, dict)
    is_flag = isinstance(parsed, bool)
    if not isinstance(parsed, expected) or (is_flag and kind != "boolean"):
        raise WrongUse(f"{path}={value!r}: must be {_kind_in_words(kind)}")
    return parsed


def _kind_in_words(kind: str) -> str:
    return {
        "integer": "a whole number",
        "long": "a whole number",
        "boolean": "true or false",
        "double": "a number",
        "float": "a number",
        "list": "a JSON list",
    }.get(kind, "a JSON object")
