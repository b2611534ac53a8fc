"""A shape of botocore's model as a function that refuses what has not its form.

Compiled once to closures: the simulation asks a million times. What is looked at: types, members
that there are not, members that the shape requires, enumerations, and a union's one member; in a
request also lengths, ranges and patterns (AWS's own answers do not keep to those: DynamoDB counts
`NumberOfDecreasesToday` from 0, its model from 1).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import Any, Literal

Check = Callable[[Any], None]
Side = Literal["request", "answer", "wire request", "wire answer"]
"""What our code gives a client, what the client gives it, or JSON as it goes over the wire."""

ONE_MEMBER = frozenset({"S", "N", "NULL"})
"""Members of DynamoDB's AttributeValue, which is a union although the model does not call it so."""

UNLISTED = {"ServiceDeploymentLifecycleStage": frozenset({"PRE_PRODUCTION_TRAFFIC_SHIFT"})}
"""Values by shape that the model forgets: ECS takes a hook at this stage, by the same model
(DeploymentLifecycleHookStage), which does not say in which other stage the deployment stands."""
DECODED = frozenset({"policyDocumentType"})
"""Text that botocore makes an object of (handlers, json_decode_policies)."""
UNHEARD_OF = frozenset(
    {
        *("quantumMode", "neuralPorts", "teleport", "futureField", "futureFlag"),
        *("BrandNewException", "t4g.gigantic"),
    }
)
"""What AWS may add one day: tests that Slipway lets the new pass use these names."""
SHOWN = 40
"""Allowed values that a deviation lists."""


class Deviation(Exception):
    """A value has not the form; `path` grows from the inside out."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.path: list[str] = []

    def __str__(self) -> str:
        where = ".".join(reversed(self.path))
        return f"{where}: {self.args[0]}" if where else str(self.args[0])


def text(value: Any) -> None:
    if not isinstance(value, str):
        raise Deviation(f"a string is expected, not {value!r}")


class Shapes:
    """The checks of one service's shapes, for one side; compiled when they are first needed."""

    def __init__(self, side: Side) -> None:
        self._is_answer, self._is_wire = side.endswith("answer"), side.startswith("wire")
        self._known: dict[str, Check] = {}
        self._compiling = Lock()  # commands ask side by side
        self._scalars: dict[str, tuple[type, ...]] = {
            "string": (str,),
            "character": (str,),
            "boolean": (bool,),
            "integer": (int,),
            "long": (int,),
            "bigInteger": (int,),
            "float": (float, int),
            "double": (float, int),
            "bigDecimal": (float, int),
            "timestamp": {"request": (datetime, int, float, str), "answer": (datetime,)}.get(
                side, (int, float)
            ),
            # A request's may be a file to read, an answer's a body.
            "blob": {
                "request": (bytes, bytearray, str, io.IOBase),
                "answer": (object,),
            }.get(side, (str,)),
        }

    def check_of(self, shape: Any) -> Check:
        """The check of `shape`, a botocore.model.Shape."""
        with self._compiling:
            return self._check_of(shape)

    def _check_of(self, shape: Any) -> Check:
        found = self._known.get(shape.name)
        if found is None:

            def later(value: Any, name: str = shape.name) -> None:  # a shape may hold itself
                self._known[name](value)

            self._known[shape.name] = later
            found = self._known[shape.name] = self._compiled(shape)
        return found

    def _compiled(self, shape: Any) -> Check:
        is_decoded = self._is_answer and not self._is_wire and shape.name in DECODED
        if getattr(shape, "is_document_type", False) or is_decoded:
            return lambda _value: None
        if shape.type_name == "structure":
            return self._structure(shape)
        if shape.type_name == "list":
            return self._list(shape)
        if shape.type_name == "map":
            return self._map(shape)
        return self._scalar(shape)

    def _structure(self, shape: Any) -> Check:
        members = {self._name(n, m): self._check_of(m) for n, m in shape.members.items()}
        required = frozenset(self._name(n, shape.members[n]) for n in shape.required_members)
        one = getattr(shape, "is_tagged_union", False) or shape.members.keys() >= ONE_MEMBER
        known = members.get

        def check(value: Any) -> None:
            if not isinstance(value, dict):
                raise Deviation(f"a structure {shape.name} is expected, not {value!r}")
            name = ""
            try:
                for name, member in value.items():
                    look = known(name)
                    if look is text:
                        if not isinstance(member, str):
                            text(member)
                    elif look is not None:
                        look(member)
                    elif name not in UNHEARD_OF:
                        break
                else:
                    name = ""
            except Deviation as deviation:
                deviation.path.append(name)
                raise
            if name:
                raise Deviation(f"{shape.name} has no member {name!r}")
            if required and not required <= value.keys():
                raise Deviation(f"{shape.name} needs {sorted(required - value.keys())}")
            if one and len(value) != 1:
                raise Deviation(f"{shape.name} has one member, not {sorted(value)}")

        if not (self._is_wire and self._is_answer):
            return check

        def without_nulls(value: Any) -> None:  # null is a member that is not there
            is_dict = isinstance(value, dict)
            check({k: v for k, v in value.items() if v is not None} if is_dict else value)

        return without_nulls

    def _name(self, name: str, member: Any) -> str:
        return str(member.serialization.get("name", name)) if self._is_wire else name

    def _list(self, shape: Any) -> Check:
        look = self._check_of(shape.member)
        bounded = self._bounds(shape, " entries")

        def check(value: Any) -> None:
            if not isinstance(value, list | tuple):
                raise Deviation(f"a list is expected, not {value!r}")
            bounded(len(value))
            number = 0
            try:
                for number, member in enumerate(value):  # noqa: B007 - read below
                    look(member)
            except Deviation as deviation:
                deviation.path.append(str(number))
                raise

        return check

    def _map(self, shape: Any) -> Check:
        of_key, of_value = self._check_of(shape.key), self._check_of(shape.value)

        def check(value: Any) -> None:
            if not isinstance(value, dict):
                raise Deviation(f"a map is expected, not {value!r}")
            name = ""
            try:
                for name, member in value.items():
                    of_key(name)
                    of_value(member)
            except Deviation as deviation:
                deviation.path.append(str(name))
                raise

        return check

    def _scalar(self, shape: Any) -> Check:
        types = self._scalars[shape.type_name]
        more = self._constraint(shape)
        is_number = bool not in types and object not in types

        def check(value: Any) -> None:
            if not isinstance(value, types) or (is_number and isinstance(value, bool)):
                raise Deviation(f"a {shape.type_name} is expected, not {value!r}")
            if more is not None:
                more(value)

        return text if more is None and types == (str,) else check

    def _constraint(self, shape: Any) -> Check | None:
        """Enumeration, pattern, length or range; None: there is none."""
        if shape.type_name == "string" and shape.enum:
            allowed = frozenset(shape.enum) | UNLISTED.get(shape.name, frozenset()) | UNHEARD_OF

            def enumerated(value: str) -> None:
                if value not in allowed:
                    raise Deviation(f"{value!r} is none of {_some(allowed)}")

            return enumerated
        if self._is_answer or not {"min", "max", "pattern"} & shape.metadata.keys():
            return None
        what = " characters" if shape.type_name == "string" else ""
        bounded = self._bounds(shape, what)
        fits = _pattern(shape)

        def constrained(value: Any) -> None:
            bounded(len(value) if isinstance(value, str | bytes) else value)
            if fits is not None and fits(value) is None:
                raise Deviation(f"{value!r} does not fit {shape.metadata['pattern']!r}")

        return constrained

    def _bounds(self, shape: Any, what: str) -> Check:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if self._is_answer or (low is None and high is None):
            return lambda _size: None

        def check(size: Any) -> None:
            if low is not None and size < low:
                raise Deviation(f"{size}{what}: at least {low} are needed")
            if high is not None and size > high:
                raise Deviation(f"{size}{what}: at most {high} are allowed")

        return check


def _pattern(shape: Any) -> Callable[[str], Any] | None:
    """The model's patterns are of Java, and mean the whole text unless they have an anchor."""
    pattern = shape.metadata.get("pattern")
    if pattern is None or shape.type_name != "string":
        return None
    try:
        compiled = re.compile(pattern)
    except re.error:
        return None
    anchored = pattern.startswith("^") or pattern.endswith("$")
    return compiled.search if anchored else compiled.fullmatch


def _some(allowed: frozenset[str]) -> str:
    """The values that are allowed, or the first of very many."""
    listed = sorted(allowed)
    more = len(listed) - SHOWN
    return f"{listed[:SHOWN]}" + (f" and {more} more" if more > 0 else "")
