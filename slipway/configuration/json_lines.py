"""Where in a JSON text each value stands, and which keys it gives twice: json tells neither."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from slipway.configuration.paths import Fault, given_twice, joined

DEEPEST = 40
"""Levels that have paths of their own; a configuration has nine."""

_WORD = re.compile(r'"(?:[^"\\]+|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


@dataclass
class _Open:
    """An object or a list whose end is not reached; `at`: the key or number of its member."""

    path: str
    at: str | int
    is_object: bool
    key_comes: bool
    keys: dict[str, int] = field(default_factory=dict)
    """Each key's line."""


def json_lines(text: str) -> tuple[dict[str, int], list[Fault]]:
    """The line of each path in a text that json reads, and the keys that are given twice."""
    walk = _Walk()
    read_to = 0
    for found in _WORD.finditer(text):
        walk.line += text.count("\n", read_to, found.start())
        read_to = found.start()
        walk.take(found[0])
    return walk.lines, walk.twice


class _Walk:
    """Goes through the words; what is right about them is json's to say."""

    def __init__(self) -> None:
        self.line = 1
        self.lines: dict[str, int] = {}
        self.twice: list[Fault] = []
        self._open: list[_Open] = []

    def take(self, word: str) -> None:
        """The next word."""
        inner = self._open[-1] if self._open else None
        if word in ("}", "]"):
            self._open.pop()
        elif word == "," and inner is not None:
            self._next_member(inner)
        elif inner is not None and inner.key_comes:
            self._key(inner, json.loads(word, strict=False))
        elif word != ":":
            self._value(word, self._place(inner))

    def _next_member(self, inner: _Open) -> None:
        inner.key_comes = inner.is_object
        if isinstance(inner.at, int):
            inner.at += 1

    def _key(self, inner: _Open, key: str) -> None:
        inner.at, inner.key_comes = key, False
        path = self._place(inner)
        if key in inner.keys:
            self.twice.append(given_twice(path, inner.keys[key], self.line))
        inner.keys[key] = self.line
        self.lines[path] = self.line

    def _value(self, word: str, path: str) -> None:
        self.lines.setdefault(path, self.line)
        if word in ("{", "["):
            is_object = word == "{"
            self._open.append(_Open(path, "" if is_object else 0, is_object, is_object))

    def _place(self, inner: _Open | None) -> str:
        if inner is None:
            return "$"
        return joined(inner.path, inner.at) if len(self._open) <= DEEPEST else inner.path
