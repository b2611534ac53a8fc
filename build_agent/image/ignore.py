"""What a `.dockerignore` leaves out of a build context, as docker reads it. Pure.

The rules are those of moby's `patternmatcher` (`ignorefile.ReadAll`, `MatchesOrParentMatches`),
held against a real docker in tests: of all patterns that name a path or a folder above it, the last
one counts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass

_BOM = "\ufeff"


@dataclass(frozen=True)
class _Pattern:
    names: re.Pattern[str]
    excepts: bool


def ignoring(text: str) -> Callable[[str], bool]:
    """From an ignore file's text to whether a path, relative to the context, is left out.

    A pattern that docker refuses names nothing here: the build fails by it.
    """
    patterns = [pattern for line in text.removeprefix(_BOM).splitlines()
                if (pattern := _pattern(line)) is not None]  # fmt: skip

    def ignores(path: str) -> bool:
        ignored = False
        lineage = [path, *_folders_above(path)] if patterns else []
        for pattern in patterns:
            # one that could change nothing is not looked at
            if pattern.excepts == ignored and any(map(pattern.names.fullmatch, lineage)):
                ignored = not pattern.excepts
        return ignored

    return ignores


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _pattern(line: str) -> _Pattern | None:
    if line.startswith("#") or not line.strip():
        return None
    text = line.strip()
    excepts = text.startswith("!")
    text = text.removeprefix("!").strip()
    if not text:
        return None
    text = posixpath.normpath(text)
    if len(text) > 1:
        text = text.lstrip("/")
    try:
        return _Pattern(re.compile(_expression(text), re.DOTALL), excepts)
    except re.error:
        return None


def _expression(pattern: str) -> str:
    """`**/` is any number of folders, none too; `**` at the end is anything."""
    parts: list[str] = []
    at, in_set = 0, False
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**", at) and not in_set:
            at += 3 if pattern[at + 2 : at + 3] == "/" else 2
            parts.append("(?:.*/)?" if at < len(pattern) else ".*")
            continue
        at += 1
        if character == "\\" and at < len(pattern):
            parts.append(re.escape(pattern[at]))
            at += 1
        elif in_set or character == "[":
            parts.append("\\[" if in_set and character == "[" else character)
            in_set = character != "]"
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character))
    return "".join(parts)
