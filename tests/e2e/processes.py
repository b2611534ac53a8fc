"""What runs on this machine, inside containers and builds as well."""

from __future__ import annotations

import psutil


def running(*words: str) -> list[int]:
    """The ids of the processes in whose command these words come one after the other."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if _holds(process.info["cmdline"] or [], words)
    ]


def _holds(command: list[str], words: tuple[str, ...]) -> bool:
    starts = range(len(command) - len(words) + 1)
    return any(tuple(command[start : start + len(words)]) == words for start in starts)
