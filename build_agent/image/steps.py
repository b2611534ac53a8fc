"""Which steps of a Dockerfile ran and which BuildKit had, as its progress tells them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

Step = tuple[int, int]
"""A step of a stage's image: which stage of its lineage, and the step's number in that stage."""

_BEGINS = re.compile(r"#(\d+) \[(?:linux/\S+ )?(?:(\S+) )?(\d+)/\d+\] (?!FROM )")
_CACHED = re.compile(r"#(\d+) CACHED$")


class Steps:
    """Takes the lines of a build. What a step prints has a time before it, and is never taken."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int]] = {}
        self._cached: set[str] = set()

    def hear(self, line: str) -> None:
        """Take one line of the build's output."""
        if begins := _BEGINS.match(line):
            self._seen[begins[1]] = (begins[2] or "", int(begins[3]))
        elif cached := _CACHED.match(line):
            self._cached.add(cached[1])

    def has_seen(self, stages: Sequence[str]) -> bool:
        """Whether any step of these stages was told of."""
        return any(self._place(step, stages) is not None for step in self._seen.values())

    def first_that_ran(self, stages: Sequence[str]) -> Step | None:
        """The first step that ran of an image whose stages have these names, from its base on."""
        ran = (step for number, step in self._seen.items() if number not in self._cached)
        return min((place for step in ran if (place := self._place(step, stages))), default=None)

    @staticmethod
    def _place(step: tuple[str, int], stages: Sequence[str]) -> Step | None:
        """Of a Dockerfile with one stage without a name BuildKit tells none."""
        name, number = step
        if name == "" and len(stages) == 1:
            return (0, number)
        return (list(stages).index(name), number) if name in stages else None
