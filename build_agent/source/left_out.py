"""What of a commit is not in the tree that is built: submodules, and files of Git LFS.

The agent's git fetches neither (CodeCommit serves no LFS). A build goes on without them, often
without an error, so that it is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from slipway.contracts.wording import tidy

NAMED = 3
"""So many paths are named, the others counted."""
TEXT_LIMIT = 600
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_LIMIT = 1024
"""Bytes; a pointer is shorter (git-lfs, docs/spec.md)."""
_ATTRIBUTES = ".gitattributes"
_LFS_ATTRIBUTE = b"filter=lfs"


def left_out(tree: Path, contexts: Iterable[str]) -> str | None:
    """One sentence on what builds in `contexts` lack of the commit laid out in `tree`, or None."""
    wanted = [PurePath(context).parts for context in contexts]

    def told(paths: Iterable[str]) -> list[str]:
        return sorted(p for p in paths if any(PurePath(p).parts[: len(c)] == c for c in wanted))

    submodules, files, has_lfs = _look_through(tree)
    pointers = told(_pointers(tree, files)) if has_lfs else []
    parts = [
        *_part("submodules are empty folders in the build", told(submodules)),
        *_part("files of Git LFS are built as their pointers", pointers),
    ]
    return tidy("; ".join(parts), TEXT_LIMIT) or None


def _look_through(tree: Path) -> tuple[list[str], list[str], bool]:
    """(submodules, files, whether an attribute gives a file to LFS), as paths in `tree`.

    git lays out a submodule as an empty folder, and no other folder is empty.
    """
    submodules: list[str] = []
    files: list[str] = []
    has_lfs = False
    for folder, folders, names in os.walk(tree):
        inside = os.path.relpath(folder, tree)
        if inside != "." and not folders and not names:
            submodules.append(inside)
        files += [os.path.normpath(f"{inside}/{name}") for name in names]
        if _ATTRIBUTES in names:
            has_lfs |= _LFS_ATTRIBUTE in _beginning(Path(folder, _ATTRIBUTES), 1 << 20)
    return submodules, files, has_lfs


def _pointers(tree: Path, files: Iterable[str]) -> Iterator[str]:
    for file in files:
        at = tree / file
        size = os.lstat(at).st_size
        if len(_POINTER) < size < _POINTER_LIMIT and _beginning(at, len(_POINTER)) == _POINTER:
            yield file


def _beginning(file: Path, size: int) -> bytes:
    """The first bytes of a file, none of a link's target, which may be anywhere."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return b""
    with open(handle, "rb") as opened:  # noqa: PTH123 - a descriptor has no path
        return opened.read(size)


def _part(what: str, paths: list[str]) -> list[str]:
    if not paths:
        return []
    named = ", ".join(paths[:NAMED])
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return [f"{what}: {named}{more}"]
