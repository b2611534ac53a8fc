"""What runs on this machine, inside containers and builds as well."""

from __future__ import annotations

from pathlib import Path


def running(*words: str) -> list[str]:
    """The ids of the processes in whose command these words come one after the other."""
    wanted = b"".join(b"\0" + word.encode() for word in words) + b"\0"
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes()
        except OSError:
            continue
        if wanted in b"\0" + command:
            found.append(place.parent.name)
    return found
