"""One way from frozen dataclasses to JSON values and back, with the path of whatever is wrong.

Messages are read strictly (an unknown member is an error); table rows leniently (a row may have
been written by a newer version). Values: str, int, float, bool, None, tuples, dicts with string
keys, Literals, and other dataclasses. A `float` accepts an int; an `int` does not accept a bool.
A pattern on a string field is declared with `matching(...)`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from typing import Any, Literal, TypeVar, Union

from contracts.errors import InvalidMessage

T = TypeVar("T")

_MISSING: Any = object()


def matching(pattern: str, **options: Any) -> Any:
    """A dataclass field whose string must match `pattern` as a whole."""
    return dataclasses.field(metadata={"pattern": re.compile(pattern)}, **options)


def encode(value: Any) -> Any:
    """The JSON value (dict, list, str, number, bool, None) of a dataclass, without empty members.

    A member that is None is left out: reading puts the default back.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(member)
            for field in dataclasses.fields(value)
            if (member := getattr(value, field.name)) is not None
        }
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return value


def decode(cls: type[T], data: Any, *, strict: bool = True, path: str = "") -> T:
    """The dataclass `cls` from a JSON value.

    Raises InvalidMessage with the path of the first member that is missing, unknown (if strict),
    of the wrong type, or against its pattern.
    """
    if not isinstance(data, dict):
        raise InvalidMessage(path or "$", f"must be an object, not {_kind(data)}")
    hints = _hints(typing.cast(Any, cls))
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if strict:
        for name in data:
            if name not in fields:
                raise InvalidMessage(_join(path, str(name)), "is not a member of this message")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        where = _join(path, name)
        raw = data.get(name, _MISSING)
        if raw is _MISSING:
            if _has_default(field):
                continue
            raise InvalidMessage(where, "is missing")
        values[name] = _value(hints[name], raw, where, strict, field.metadata.get("pattern"))
    return cls(**values)


def _value(
    hint: Any, raw: Any, path: str, strict: bool, pattern: re.Pattern[str] | None = None
) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if raw is None and type(None) in arguments:
            return None
        (only,) = [a for a in arguments if a is not type(None)]
        return _value(only, raw, path, strict, pattern)
    if origin in (tuple, dict):
        return _collection(origin, arguments, raw, path, strict)
    if origin is Literal:
        return _one_of(arguments, raw, path)
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast(type[Any], hint), raw, strict=strict, path=path)
    return _scalar(hint, raw, path, pattern)


def _collection(origin: Any, arguments: tuple[Any, ...], raw: Any, path: str, strict: bool) -> Any:
    if origin is tuple:
        if not isinstance(raw, list | tuple):
            raise InvalidMessage(path, f"must be a list, not {_kind(raw)}")
        return tuple(_value(arguments[0], v, f"{path}[{i}]", strict) for i, v in enumerate(raw))
    if not isinstance(raw, dict):
        raise InvalidMessage(path, f"must be an object, not {_kind(raw)}")
    return {str(k): _value(arguments[1], v, f"{path}.{k}", strict) for k, v in raw.items()}


def _one_of(allowed: tuple[Any, ...], raw: Any, path: str) -> Any:
    if not isinstance(raw, str) or raw not in allowed:
        names = ", ".join(repr(a) for a in allowed)
        raise InvalidMessage(path, f"must be one of {names}, not {_shown(raw)}")
    return raw


def _scalar(hint: Any, raw: Any, path: str, pattern: re.Pattern[str] | None) -> Any:
    if hint is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        if not _is_finite(raw):
            raise InvalidMessage(path, "must be a finite number")
        return float(raw)
    if hint is int and isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if hint is bool and isinstance(raw, bool):
        return raw
    if hint is str and isinstance(raw, str):
        if pattern is not None and not pattern.fullmatch(raw):
            raise InvalidMessage(path, f"{_shown(raw)} must match {pattern.pattern}")
        return raw
    if hint is Any:
        return raw
    raise InvalidMessage(path, f"must be {_article(hint)}, not {_kind(raw)}")


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer of more digits than a float can hold
        return False


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return (
        field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), f"a number ({value})" if isinstance(value, int | float) else "?")


def _article(hint: Any) -> str:
    return {str: "a string", int: "an integer", float: "a number", bool: "true or false"}[hint]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
