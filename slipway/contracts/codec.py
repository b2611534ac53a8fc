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
import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union

from slipway.contracts.errors import InvalidMessage

T = TypeVar("T")
Reader = Callable[[Any, bool], Any]
"""From a JSON value and whether to be strict to a member's value, or _Wrong."""

_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""What is its own JSON value."""


class _Wrong(Exception):
    """A value is not what it must be; `path` grows from the inside out, as `.name` and `[0]`."""

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = list(path)

    @property
    def where(self) -> str:
        return "".join(reversed(self.path)).removeprefix(".") or "$"


def matching(pattern: str, **options: Any) -> Any:
    """A dataclass field whose string must match `pattern` as a whole."""
    return dataclasses.field(metadata={"pattern": re.compile(pattern)}, **options)


def encode(value: Any) -> Any:
    """The JSON value (dict, list, str, number, bool, None) of a dataclass, without empty members.

    A member that is None is left out: reading puts the default back.
    """
    kind: Any = type(value)
    return value if kind in _PLAIN else _writer(kind)(value)


@functools.cache
def _writer(kind: type[Any]) -> Callable[[Any], Any]:
    """What makes JSON values of a class's instances, found once for each class."""
    if dataclasses.is_dataclass(kind):
        return _members_of(tuple(field.name for field in dataclasses.fields(kind)))
    if issubclass(kind, tuple | list):
        return lambda value: [encode(item) for item in value]
    if issubclass(kind, frozenset):
        return lambda value: sorted(encode(item) for item in value)
    if issubclass(kind, Mapping):
        return lambda value: {key: encode(item) for key, item in value.items()}
    return lambda value: value


def _members_of(names: tuple[str, ...]) -> Callable[[Any], Any]:
    def write(value: Any) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for name in names:
            member = getattr(value, name)
            if member is not None:
                members[name] = member if type(member) in _PLAIN else encode(member)
        return members

    return write


def compact(value: Any) -> str:
    """`encode(value)` as JSON text, without blanks."""
    return _COMPACT.encode(encode(value))


def decode(cls: type[T], data: Any, *, strict: bool = True) -> T:
    """The dataclass `cls` from a JSON value.

    Raises InvalidMessage with the path of the first member that is missing, unknown (if strict),
    of the wrong type, or against its pattern.
    """
    try:
        return _read_object_as(cls, data, strict)
    except _Wrong as wrong:
        raise InvalidMessage(wrong.where, wrong.problem) from None


def _read_object_as(cls: type[T], data: Any, strict: bool) -> T:
    if not isinstance(data, dict):
        raise _Wrong(f"must be an object, not {_kind(data)}")
    members = _members(typing.cast(Any, cls))
    if strict:
        for name in data:
            if name not in members:
                raise _Wrong("is not a member of this message", f".{name}")
    values: dict[str, Any] = {}
    name = ""
    try:
        for name, (read, required) in members.items():
            if name in data:
                values[name] = read(data[name], strict)
            elif required:
                raise _Wrong("is missing")
    except _Wrong as wrong:
        wrong.path.append(f".{name}")
        raise
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
        return lambda raw, strict: _read_object_as(cls, raw, strict)
    return _text(pattern) if hint is str else _SCALARS[hint]


def _optional(read: Reader) -> Reader:
    return lambda raw, strict: None if raw is None else read(raw, strict)


def _either(readers: list[Reader]) -> Reader:
    """What the first reader that takes the value makes of it; else what the last one says."""

    def read_either(raw: Any, strict: bool) -> Any:
        for read in readers[:-1]:
            try:
                return read(raw, strict)
            except _Wrong:
                continue
        return readers[-1](raw, strict)

    return read_either


def _set_of(read: Reader) -> Reader:
    read_list = _list_of(read)
    return lambda raw, strict: frozenset(read_list(raw, strict))


def _list_of(read: Reader) -> Reader:
    def read_list(raw: Any, strict: bool) -> Any:
        if not isinstance(raw, list | tuple):
            raise _Wrong(f"must be a list, not {_kind(raw)}")
        found: list[Any] = []
        try:
            for item in raw:
                found.append(read(item, strict))
        except _Wrong as wrong:
            wrong.path.append(f"[{len(found)}]")
            raise
        return tuple(found)

    return read_list


def _object_of(read: Reader) -> Reader:
    def read_object(raw: Any, strict: bool) -> Any:
        if not isinstance(raw, dict):
            raise _Wrong(f"must be an object, not {_kind(raw)}")
        key: Any = ""
        found: dict[str, Any] = {}
        try:
            for key, item in raw.items():
                found[str(key)] = read(item, strict)
        except _Wrong as wrong:
            wrong.path.append(f".{key}")
            raise
        return found

    return read_object


_OBJECTS = (dict, Mapping)
_CONTAINERS: dict[Any, Callable[[Reader], Reader]] = {
    tuple: _list_of,
    frozenset: _set_of,
    dict: _object_of,
    Mapping: _object_of,
}


def _one_of(allowed: tuple[Any, ...]) -> Reader:
    def read_one(raw: Any, _strict: bool) -> Any:
        if not isinstance(raw, str) or raw not in allowed:
            names = ", ".join(repr(a) for a in allowed)
            raise _Wrong(f"must be one of {names}, not {_shown(raw)}")
        return raw

    return read_one


def _text(pattern: re.Pattern[str] | None) -> Reader:
    def read_text(raw: Any, _strict: bool) -> Any:
        if not isinstance(raw, str):
            raise _Wrong(f"must be a string, not {_kind(raw)}")
        if pattern is not None and not pattern.fullmatch(raw):
            raise _Wrong(f"{_shown(raw)} must match {pattern.pattern}")
        return raw

    return read_text


def _number(raw: Any, _strict: bool) -> float:
    if type(raw) not in (float, int):  # a bool is an int, too
        raise _Wrong(f"must be a number, not {_kind(raw)}")
    try:
        number = float(raw)
    except OverflowError:  # an integer of more digits than a float can hold
        number = math.inf
    if not math.isfinite(number):
        raise _Wrong("must be a finite number")
    return number


def _integer(raw: Any, _strict: bool) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise _Wrong(f"must be an integer, not {_kind(raw)}")
    return raw


def _truth(raw: Any, _strict: bool) -> bool:
    if not isinstance(raw, bool):
        raise _Wrong(f"must be true or false, not {_kind(raw)}")
    return raw


def _anything(raw: Any, _strict: bool) -> Any:
    return raw


_SCALARS: Mapping[Any, Reader] = {
    float: _number,
    int: _integer,
    bool: _truth,
    Any: _anything,
}


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    if value is None:
        return "null"
    return names.get(type(value), f"a number ({value})" if isinstance(value, int | float) else "?")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
