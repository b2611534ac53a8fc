"""Build secrets in lines that people read: what a command of the commit's printed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from build_agent.host.process import Sink

LEAST = 4
"""Characters of a line of a secret that is looked for."""


def hiding(sink: Sink, values: Sequence[str]) -> Sink:
    """`sink`, which is told no secret."""
    return (lambda line: sink(hidden(line, values))) if values else sink


def hidden(line: str, values: Collection[str]) -> str:
    """`line` without the secrets, which may have several lines."""
    for value in values:
        for part in value.splitlines():
            if len(part) >= LEAST:
                line = line.replace(part, "***")
    return line
