"""What botocore's model of an operation refuses in its input, each fault by its JSON path.

The same as botocore's own validator finds, which the tests hold it to. That one shows the values
that are wrong, and those of a task definition may be secrets: here only kinds are told.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

Fault = tuple[str, str]
"""A JSON path (`containerDefinitions[0].memory`; `$` is the whole), and what is wrong there."""

_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "structure": ((dict,), "an object"),
    "map": ((dict,), "an object"),
    "list": ((list, tuple), "a list"),
    "string": ((str,), "a text"),
    "integer": ((int,), "a whole number"),
    "long": ((int,), "a whole number"),
    "boolean": ((bool,), "true or false"),
    "float": ((int, float), "a number"),
    "double": ((int, float), "a number"),
}
_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    dict: "an object",
    list: "a list",
    type(None): "null",
}
_SIZED = ("string", "list", "map")


def faults(value: Any, shape: Any, path: str = "") -> Iterator[Fault]:
    """All that is wrong with `value` for botocore's `shape`, in its order."""
    kinds, words = _KINDS.get(shape.type_name, ((object,), ""))
    if not _is_of(value, kinds):
        yield path or "$", f"must be {words}, not {_kind(value)}"
        return
    yield from _too_small(value, shape, path)
    if shape.type_name == "structure":
        yield from _of_structure(value, shape, path)
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            yield from faults(item, shape.member, f"{path}[{number}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from faults(key, shape.key, _below(path, str(key)))
            yield from faults(item, shape.value, _below(path, str(key)))


def _is_of(value: Any, kinds: tuple[type, ...]) -> bool:
    """Python takes a flag for a number."""
    flag_for_number = isinstance(value, bool) and int in kinds
    return isinstance(value, kinds) and not flag_for_number


def _of_structure(value: Mapping[str, Any], shape: Any, path: str) -> Iterator[Fault]:
    for name in shape.metadata.get("required", ()):
        if name not in value:
            yield _below(path, name), "is missing"
    for name, item in value.items():
        if name in shape.members:
            yield from faults(item, shape.members[name], _below(path, name))
            continue
        near = difflib.get_close_matches(str(name), list(shape.members), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield _below(path, str(name)), f"is no member that ECS takes here{hint}"


def _too_small(value: Any, shape: Any, path: str) -> Iterator[Fault]:
    least = shape.metadata.get("min")
    if least is None:
        return
    if shape.type_name in _SIZED and len(value) < least:
        yield path or "$", f"is too short: at least {least}"
    elif shape.type_name in ("integer", "long", "float", "double") and value < least:
        yield path or "$", f"is too small: at least {least}"


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kind(value: Any) -> str:
    """What `value` is, never the value itself."""
    return _WORDS.get(type(value), f"a {type(value).__name__}")
