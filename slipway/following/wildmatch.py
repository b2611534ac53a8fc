"""git's own matching of a path against a pattern (`wildmatch.c`), over bytes. Pure.

A step keeps every place of the path that the pattern so far can have come to, so that no pattern
takes longer than its length times the path's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SPECIAL = b"*?[\\"
"""What git takes for the beginning of something other than itself (`is_glob_special`)."""
_SLASH = ord("/")
_BYTES = frozenset(range(256))
_CLASSES: dict[bytes, frozenset[int]] = {
    b"alnum": frozenset(c for c in range(128) if chr(c).isalnum()),
    b"alpha": frozenset(c for c in range(128) if chr(c).isalpha()),
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset([*range(32), 127]),
    b"digit": frozenset(b"0123456789"),
    b"graph": frozenset(range(33, 127)),
    b"lower": frozenset(range(ord("a"), ord("z") + 1)),
    b"print": frozenset(range(32, 127)),
    b"punct": frozenset(c for c in range(33, 127) if not chr(c).isalnum()),
    b"space": frozenset(b" \t\n\v\f\r"),
    b"upper": frozenset(range(ord("A"), ord("Z") + 1)),
    b"xdigit": frozenset(b"0123456789abcdefABCDEF"),
}


class _Malformed(Exception):
    """A pattern that git finds nothing by, such as one whose `[` has no end."""


@dataclass(frozen=True)
class _One:
    """One byte of these."""

    allowed: frozenset[int]


@dataclass(frozen=True)
class _Many:
    """Any number of bytes. `slashes`: they may be `/`. `folders`: whole folders, or nothing."""

    slashes: bool
    folders: bool = False


_Step = _One | _Many


class Wildmatch:
    """A pattern of git's. `stops_at_slash`: WM_PATHNAME, where only `**` goes past a `/`."""

    def __init__(self, pattern: bytes, *, stops_at_slash: bool) -> None:
        self._steps: tuple[_Step, ...] | None
        try:
            self._steps = tuple(_steps(pattern, stops_at_slash))
        except _Malformed:
            self._steps = None

    def matches(self, text: bytes) -> bool:
        """Whether the whole text is as the pattern says."""
        if self._steps is None:
            return False
        places = {0}
        for step in self._steps:
            places = set(_after(step, places, text))
            if not places:
                return False
        return len(text) in places


def _after(step: _Step, places: set[int], text: bytes) -> Iterator[int]:
    """Where the step can lead to from any of the places."""
    if isinstance(step, _One):
        yield from (p + 1 for p in places if p < len(text) and text[p] in step.allowed)
        return
    if step.folders:
        yield from places
        yield from (p + 1 for p in range(min(places), len(text)) if text[p] == _SLASH)
        return
    reached = False
    for place in range(min(places), len(text) + 1):
        reached = reached or place in places
        if reached:
            yield place
        if place < len(text) and text[place] == _SLASH and not step.slashes:
            reached = False


def _steps(pattern: bytes, stops_at_slash: bool) -> Iterator[_Step]:
    any_one = _BYTES - {_SLASH} if stops_at_slash else _BYTES
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        if byte == b"*":
            end = at
            while pattern[end : end + 1] == b"*":
                end += 1
            step, at = _stars(pattern, at, end, stops_at_slash)
            yield step
        elif byte == b"?":
            yield _One(any_one)
            at += 1
        elif byte == b"[":
            allowed, at = _bracket(pattern, at + 1)
            yield _One(allowed & any_one)
        else:
            at += byte == b"\\"
            if at >= len(pattern):
                raise _Malformed
            yield _One(frozenset(pattern[at : at + 1]))
            at += 1


def _stars(pattern: bytes, at: int, end: int, stops_at_slash: bool) -> tuple[_Many, int]:
    """The step of the stars between `at` and `end`, and where the pattern goes on."""
    if not stops_at_slash:
        return _Many(slashes=True), end
    is_part = (at == 0 or pattern[at - 1] == _SLASH) and pattern[end : end + 1] in (b"", b"/")
    if end - at == 1 or not is_part:
        return _Many(slashes=False), end
    if end == len(pattern):
        return _Many(slashes=True), end
    return _Many(slashes=True, folders=True), end + 1


def _bracket(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """The bytes that a `[…]` allows whose first byte stands at `at`, and where it is over."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    found: set[int] = set()
    previous: int | None = None
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        previous, at = _member(pattern, at, previous, found)
    return (_BYTES - found if negated else frozenset(found)), at + 1


def _member(
    pattern: bytes, at: int, previous: int | None, found: set[int]
) -> tuple[int | None, int]:
    """Add what stands at `at`; what a range may begin with then, and where the next one stands."""
    following = pattern[at + 1 : at + 2]
    if pattern[at : at + 1] == b"-" and previous and following not in (b"", b"]"):
        last, at = _plain(pattern, at + 1)
        found.update(range(previous, last + 1))
        return None, at
    if pattern[at : at + 2] == b"[:":
        end = pattern.find(b"]", at + 2)
        if end < 0:
            raise _Malformed
        if end > at + 2 and pattern[end - 1 : end] == b":":
            found.update(_class(pattern[at + 2 : end - 1]))
            return None, end + 1
    byte, at = _plain(pattern, at)
    found.add(byte)
    return byte, at


def _plain(pattern: bytes, at: int) -> tuple[int, int]:
    """The byte at `at`, or the one after a backslash there, and where the next one stands."""
    at += pattern[at : at + 1] == b"\\"
    if at >= len(pattern):
        raise _Malformed
    return pattern[at], at + 1


def _class(name: bytes) -> frozenset[int]:
    if name not in _CLASSES:
        raise _Malformed
    return _CLASSES[name]
