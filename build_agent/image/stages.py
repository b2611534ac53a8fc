"""The stages of a Dockerfile: where each ends, what it begins with, what it copies from. Pure.

A stage by itself is the Dockerfile up to its end: that needs no name, and its steps have the same
keys in BuildKit's cache. What cannot be told for sure (a name made of variables) is left out: then
less is kept than could be, and nothing else is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

_ESCAPE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*$", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*[A-Za-z][\w.-]*\s*=")
_HEREDOC = re.compile(r"<<(-?)(['\"]?)([A-Za-z_]\w*)\2")
_WITH_HEREDOC = ("RUN", "COPY", "ADD")
_MAKES_LAYER = ("RUN", "COPY", "ADD", "WORKDIR")
_FROM = re.compile(r"\bfrom=([^,\s]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Stage:
    """`name`: as BuildKit's progress calls it. `text`: the Dockerfile up to the stage's end.

    `base`: the number of the stage that it begins with, None for an image; `uses`: numbers of
    those that it copies from. `has_steps`: whether it adds a layer of its own.
    """

    number: int
    name: str
    text: str
    base: int | None = None
    uses: frozenset[int] = frozenset()
    has_steps: bool = False


def stages_of(dockerfile: str) -> list[Stage]:
    """Its stages, in their order; empty where it has none."""
    lines = dockerfile.splitlines(keepends=True)
    stages: list[Stage] = []
    names: dict[str, int] = {}
    for words, end in _instructions(lines):
        verb = words[0].upper()
        if verb == "FROM":
            image, name = _of_from(words[1:])
            base = names.get(image.lower())
            number = len(stages)
            stages.append(Stage(number, name or f"stage-{number}", "", base))
            if name:
                names[name] = number
        if not stages:
            continue
        last = stages[-1]
        uses = _copied_from(words, names, last.number) if verb in _WITH_HEREDOC else frozenset()
        stages[-1] = replace(
            last,
            text="".join(lines[:end]),
            uses=last.uses | uses,
            has_steps=last.has_steps or verb in _MAKES_LAYER,
        )
    return stages


def worth_keeping(stages: Sequence[Stage], target: str | None) -> list[Stage]:
    """The stages whose images hold every layer that `target` is made from, the target's among them.

    One that another of them begins with is part of that one. `target` None: the last stage.
    """
    wanted = [s for s in stages if target is None or s.name == target.lower()]
    if not wanted:
        return []
    needed: set[int] = set()
    to_see = [wanted[-1].number]
    while to_see:
        number = to_see.pop()
        if number not in needed:
            needed.add(number)
            to_see += [n for n in (stages[number].base, *stages[number].uses) if n is not None]
    inside = {stages[n].base for n in needed}
    return [
        stages[n]
        for n in sorted(needed)
        if n not in inside and any(s.has_steps for s in lineage(stages, stages[n]))
    ]


def lineage(stages: Sequence[Stage], stage: Stage) -> list[Stage]:
    """The stages that `stage` is built on, from the first to itself."""
    found = [stage]
    while (base := found[0].base) is not None:
        found.insert(0, stages[base])
    return found


def _instructions(lines: Sequence[str]) -> Iterator[tuple[list[str], int]]:
    """The words of each instruction, and the number of lines up to its end, here-documents too."""
    escape = _escape_of(lines)
    at = 0
    while at < len(lines):
        text, at = _logical(lines, at, escape)
        words = text.split()
        if not words:
            continue
        if words[0].upper() in _WITH_HEREDOC:
            for dash, _quote, mark in _HEREDOC.findall(text):
                at = _end_of_heredoc(lines, at, mark, tabs=bool(dash))
        yield words, at


def _logical(lines: Sequence[str], at: int, escape: str) -> tuple[str, int]:
    """One instruction's text from line `at` on, continued lines joined; comments are nothing."""
    parts: list[str] = []
    while at < len(lines):
        line = lines[at].strip()
        at += 1
        if line.startswith("#") or (parts and not line):
            continue
        if not line.endswith(escape):
            parts.append(line)
            break
        parts.append(line[:-1])
    return " ".join(parts), at


def _end_of_heredoc(lines: Sequence[str], at: int, mark: str, *, tabs: bool) -> int:
    while at < len(lines):
        line = lines[at].rstrip("\r\n")
        at += 1
        if (line.lstrip("\t") if tabs else line) == mark:
            break
    return at


def _escape_of(lines: Iterable[str]) -> str:
    """Of the directives at the very top the one that says so; else a backslash."""
    for line in lines:
        if found := _ESCAPE.match(line.strip()):
            return found[1]
        if not _DIRECTIVE.match(line.strip()):
            break
    return "\\"


def _of_from(words: Sequence[str]) -> tuple[str, str]:
    """The image or stage that a stage begins with, and its own name or an empty text."""
    plain = [word for word in words if not word.startswith("--")]
    if len(plain) >= 3 and plain[1].upper() == "AS":
        return plain[0], plain[2].lower()
    return (plain[0] if plain else ""), ""


def _copied_from(words: Sequence[str], names: dict[str, int], here: int) -> frozenset[int]:
    flags = [word for word in words[1:] if word.startswith("--")]
    named = [m.lower() for flag in flags for m in _FROM.findall(flag)]
    by_number = {int(n) for n in named if n.isdecimal() and int(n) < here}
    return frozenset(by_number | {names[n] for n in named if n in names and names[n] != here})
