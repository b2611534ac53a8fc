"""The form of events, by others: what AWS's services send, and what Lambda hands to a function.

Details of EventBridge's events are in AWS's schemas, which the CDK ships (npm,
@aws-cdk/aws-service-spec); what Lambda is called with is in DefinitelyTyped's declarations (npm,
@types/aws-lambda). `make setup` installs both.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.places import ROOT

MODULES = ROOT / "node_modules"
_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"[^"]*"|[\w$-]+|[{}\[\]<>()?:;,|=]|=>', re.S)
_PLAIN: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}


@dataclass(frozen=True)
class Member:
    """A declared member: its type, and whether it may be left out."""

    type: Any
    optional: bool


Members = dict[str, Member]
"""An interface's members by name; `[]` for those of any name."""


def deviations(value: Any, declared: Any, names: dict[str, Any], at: str = "") -> Iterator[str]:
    """How `value` differs from a declared type. `names`: interfaces by name; others are anything.

    Null stands for a member that is left out, as Lambda writes it.
    """
    if isinstance(declared, tuple):  # one of several
        found = [list(deviations(value, each, names, at)) for each in declared]
        if all(found):
            yield from found[0]
    elif isinstance(declared, list):
        if not isinstance(value, list):
            yield f"{at}: a list is expected"
            return
        for number, each in enumerate(value):
            yield from deviations(each, declared[0], names, f"{at}.{number}")
    elif isinstance(declared, dict):
        yield from _of_members(value, declared, names, at)
    elif declared in _PLAIN:
        if not isinstance(value, _PLAIN[declared]):
            yield f"{at}: a {declared} is expected, not {value!r}"
    elif declared in names:
        yield from deviations(value, names[declared], names, at)


def _of_members(value: Any, members: Members, names: dict[str, Any], at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: an object is expected"
        return
    any_other = members.get("[]")
    for name, member in members.items():
        if name != "[]" and not member.optional and value.get(name) is None:
            yield f"{at}: {name!r} is missing"
    for name, each in value.items():
        member = members.get(name, any_other)
        if member is None:
            yield f"{at}: there is no {name!r}"
        elif each is not None:
            yield from deviations(each, member.type, names, f"{at}.{name}")


# --- EventBridge


@cache
def details() -> dict[str, Members]:
    """The members of an event's `detail`, by its `detail-type`."""
    packed = MODULES / "@aws-cdk" / "aws-service-spec" / "db.json.gz"
    schema = json.loads(gzip.decompress(packed.read_bytes()))["schema"]
    types = {e["$id"]: e for e in schema["eventTypeDefinition"]["entities"]}
    roots = {e["detailType"]: e["rootProperty"]["$ref"] for e in schema["event"]["entities"]}
    return {name: _members_of(types[root]) for name, root in roots.items()}


def _members_of(definition: dict[str, Any]) -> Members:
    return {
        name: Member(member["type"]["type"], not member.get("required"))
        for name, member in definition["properties"].items()
    }


# --- what Lambda is called with


@cache
def interfaces(trigger: str) -> dict[str, Any]:
    """The interfaces that `@types/aws-lambda` declares for a trigger, by name."""
    path = MODULES / "@types" / "aws-lambda" / "trigger" / f"{trigger}.d.ts"
    tokens = [t for t in _TOKEN.findall(path.read_text()) if not t.startswith(("//", "/*"))]
    found = {}
    for number, token in enumerate(tokens):
        if token == "interface":
            start = tokens.index("{", number)
            found[tokens[number + 1]] = _Reader(tokens, start).type()
    return found


class _Reader:
    """Reads one type of a declaration; knows as much of the language as interfaces need."""

    def __init__(self, tokens: list[str], at: int) -> None:
        self._tokens, self._at = tokens, at

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def type(self) -> Any:
        """A list for an array, a tuple for a union, Members for an object, else a name."""
        choices = [self._single()]
        while self._next() == "|":
            self._take()
            choices.append(self._single())
        choices = [c for c in choices if c != "undefined"]
        return choices[0] if len(choices) == 1 else tuple(choices)

    def _single(self) -> Any:
        token = self._take()
        found: Any = self._object() if token == "{" else token
        if token == "Array":
            self._take()
            found = [self.type()]
            self._take()
        while self._next() == "[":
            self._take(), self._take()
            found = [found]
        return found

    def _object(self) -> Members:
        members: Members = {}
        while (token := self._take()) != "}":
            if token == ";":
                continue
            if token == "[":  # [name: string]: T
                while self._take() != "]":
                    pass
                token = "[]"
            optional = self._next() == "?"
            if optional:
                self._take()
            assert self._take() == ":", f"{token!r} is no member"
            members[token.strip('"')] = Member(self.type(), optional)
        return members
