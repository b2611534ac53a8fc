"""Which files of a container are reports: patterns of paths, and where to begin to look. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

_MAGIC = re.compile(r"[*?\[]")


def absolute(pattern: str, folder: str) -> str:
    """The pattern as a path from the root; a relative one begins at `folder`."""
    return posixpath.normpath(posixpath.join("/", folder or "/", pattern))


def bases(patterns: Iterable[str]) -> dict[str, list[str]]:
    """The files and folders that hold what absolute patterns name, each with its patterns.

    One that lies in another is part of that one.
    """
    wanted: dict[str, list[str]] = {}
    for pattern in patterns:
        wanted.setdefault(_base(pattern), []).append(pattern)
    found: dict[str, list[str]] = {}
    for base in sorted(wanted):
        outer = next((one for one in found if _is_in(base, one)), base)
        found.setdefault(outer, []).extend(wanted[base])
    return found


def is_named(path: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern names the file `path`, both absolute. `**` is any number of folders."""
    parts = path.split("/")
    return any(_fits(parts, pattern.split("/")) for pattern in patterns)


def _base(pattern: str) -> str:
    parts = pattern.split("/")
    plain = next((n for n, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    return "/".join(parts[:plain]) or "/"


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Each `**` takes as little as it can, and more where the rest does not fit: the last one alone
    need be tried again, as in any match with stars.
    """
    at = begin = want = 0
    again: int | None = None
    while at < len(parts):
        if want < len(wanted) and wanted[want] == "**":
            again, begin, want = want, at, want + 1
        elif want < len(wanted) and fnmatchcase(parts[at], wanted[want]):
            at, want = at + 1, want + 1
        elif again is not None:
            begin, want = begin + 1, again + 1
            at = begin
        else:
            return False
    return all(part == "**" for part in wanted[want:])
