"""One way from frozen dataclasses to JSON values and back, with the path of whatever is wrong.

Messages are read strictly (an unknown member is an error); table rows leniently (a row may have
been written by a newer version). Values: str, int, float, bool, None, tuples, frozensets, mappings
with string keys, Literals, other dataclasses, and unions of what JSON tells apart. A `float`
accepts an int; an `int` does not accept a bool. A pattern on a string field is declared with
`matching(...)`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union

from slipway.contracts.errors import InvalidMessage

T = TypeVar("T")
Reader = Callable[[Any, str, bool], Any]
"""From a JSON value, its path and whether to be strict to a member's value, or InvalidMessage."""

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
    if isinstance(value, frozenset):
        return sorted(encode(item) for item in value)
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    return value


def decode(cls: type[T], data: Any, *, strict: bool = True, path: str = "") -> T:
    """The dataclass `cls` from a JSON value.

    Raises InvalidMessage with the path of the first member that is missing, unknown (if strict),
    of the wrong type, or against its pattern.
    """
    if not isinstance(data, dict):
        raise InvalidMessage(path or "$", f"must be an object, not {_kind(data)}")
    members = _members(typing.cast(Any, cls))
    if strict:
        for name in data:
            if name not in members:
                raise InvalidMessage(_join(path, str(name)), "is not a member of this message")
    values: dict[str, Any] = {}
    for name, (read, required) in members.items():
        raw = data.get(name, _MISSING)
        if raw is not _MISSING:
            values[name] = read(raw, _join(path, name), strict)
        elif required:
            raise InvalidMessage(_join(path, name), "is missing")
    return cls(**values)


@functools.cache
def _members(cls: type[Any]) -> dict[str, tuple[Reader, bool]]:
    """Each member's reader, made once for a class from its hints, and whether it is required."""
    hints = typing.get_type_hints(cls)
    return {
        field.name: (_reader(hints[field.name], field.metadata.get("pattern")), _is_required(field))
        for field in dataclasses.fields(cls)
    }


def _reader(hint: Any, pattern: re.Pattern[str] | None = None) -> Reader:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        readers = [_reader(a, pattern) for a in arguments if a is not type(None)]
        read = readers[0] if len(readers) == 1 else _either(readers)
        return _optional(read) if type(None) in arguments else read
    if origin in _CONTAINERS:
        return _CONTAINERS[origin](_reader(arguments[-1 if origin in _OBJECTS else 0]))
    if origin is Literal:
        return _one_of(arguments)
    if dataclasses.is_dataclass(hint):
        cls = typing.cast(type[Any], hint)
        return lambda raw, path, strict: decode(cls, raw, strict=strict, path=path)
    return _text(pattern) if hint is str else _SCALARS[hint]


def _optional(read: Reader) -> Reader:
    return lambda raw, path, strict: None if raw is None else read(raw, path, strict)


def _either(readers: list[Reader]) -> Reader:
    """What the first reader that takes the value makes of it; else what the last one says."""

    def read_either(raw: Any, path: str, strict: bool) -> Any:
        for read in readers[:-1]:
            try:
                return read(raw, path, strict)
            except InvalidMessage:
                continue
        return readers[-1](raw, path, strict)

    return read_either


def _set_of(read: Reader) -> Reader:
    read_list = _list_of(read)
    return lambda raw, path, strict: frozenset(read_list(raw, path, strict))


def _list_of(read: Reader) -> Reader:
    def read_list(raw: Any, path: str, strict: bool) -> Any:
        if not isinstance(raw, list | tuple):
            raise InvalidMessage(path, f"must be a list, not {_kind(raw)}")
        return tuple(read(item, f"{path}[{i}]", strict) for i, item in enumerate(raw))

    return read_list


def _object_of(read: Reader) -> Reader:
    def read_object(raw: Any, path: str, strict: bool) -> Any:
        if not isinstance(raw, dict):
            raise InvalidMessage(path, f"must be an object, not {_kind(raw)}")
        return {str(key): read(item, f"{path}.{key}", strict) for key, item in raw.items()}

    return read_object


_OBJECTS = (dict, Mapping)
_CONTAINERS: dict[Any, Callable[[Reader], Reader]] = {
    tuple: _list_of,
    frozenset: _set_of,
    dict: _object_of,
    Mapping: _object_of,
}


def _one_of(allowed: tuple[Any, ...]) -> Reader:
    def read_one(raw: Any, path: str, _strict: bool) -> Any:
        if not isinstance(raw, str) or raw not in allowed:
            names = ", ".join(repr(a) for a in allowed)
            raise InvalidMessage(path, f"must be one of {names}, not {_shown(raw)}")
        return raw

    return read_one


def _text(pattern: re.Pattern[str] | None) -> Reader:
    def read_text(raw: Any, path: str, _strict: bool) -> Any:
        if not isinstance(raw, str):
            raise InvalidMessage(path, f"must be a string, not {_kind(raw)}")
        if pattern is not None and not pattern.fullmatch(raw):
            raise InvalidMessage(path, f"{_shown(raw)} must match {pattern.pattern}")
        return raw

    return read_text


def _number(raw: Any, path: str, _strict: bool) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool):
        raise InvalidMessage(path, f"must be a number, not {_kind(raw)}")
    if not _is_finite(raw):
        raise InvalidMessage(path, "must be a finite number")
    return float(raw)


def _integer(raw: Any, path: str, _strict: bool) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise InvalidMessage(path, f"must be an integer, not {_kind(raw)}")
    return raw


def _truth(raw: Any, path: str, _strict: bool) -> bool:
    if not isinstance(raw, bool):
        raise InvalidMessage(path, f"must be true or false, not {_kind(raw)}")
    return raw


def _anything(raw: Any, _path: str, _strict: bool) -> Any:
    return raw


_SCALARS: Mapping[Any, Reader] = {
    float: _number,
    int: _integer,
    bool: _truth,
    Any: _anything,
}


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer of more digits than a float can hold
        return False


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), f"a number ({value})" if isinstance(value, int | float) else "?")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
