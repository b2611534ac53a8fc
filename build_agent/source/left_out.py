"""What of a commit is not in the tree that is built: submodules, and files of Git LFS.

Submodules are fetched where the configuration names their repository; CodeCommit serves no LFS. A
build would go on without them, often without an error: so the commit has failed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.contracts.wording import tidy

NAMED = 3
"""So many paths are named, the others counted."""
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_LIMIT = 1024
"""Bytes; a pointer is shorter (git-lfs, docs/spec.md)."""
ANYTHING = "x"
"""Stands for whatever a folder would hold."""


@dataclass(frozen=True)
class Context:
    """A build context: a folder in the tree. `ignores`: whether a path in it is left out of it."""

    folder: Path
    ignores: Callable[[str], bool] = lambda _path: False


@dataclass
class LeftOut:
    """Paths in the tree. `folders`: empty ones; git lays out a submodule as one, and no other
    folder is empty.
    """

    folders: set[str] = field(default_factory=set)
    pointers: set[str] = field(default_factory=set)


def left_out(tree: Path, contexts: Iterable[Context]) -> LeftOut:
    """What builds in `contexts` lack of the commit laid out in `tree`."""
    found, root = LeftOut(), tree.resolve()
    for context in contexts:
        for folder, folders, names in os.walk(context.folder):
            inside = os.path.relpath(folder, context.folder)
            if not folders and not names and not _is_ignored(context, inside):
                found.folders.add(os.path.relpath(folder, root))
            for name in names:
                path = os.path.normpath(f"{inside}/{name}")
                if _is_pointer(Path(folder, name)) and not context.ignores(path):
                    found.pointers.add(os.path.relpath(f"{folder}/{name}", root))
    return found


def pointers_told(pointers: Iterable[str]) -> str:
    """One sentence without its full stop."""
    paths = sorted(pointers)
    named = ", ".join(tidy(path) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return (
        f"files of Git LFS are pointers in the build context: {named}{more}. CodeCommit serves no "
        "LFS: commit the files themselves, or name in .dockerignore what the build does not need"
    )


def _is_ignored(context: Context, folder: str) -> bool:
    """Whether nothing of what the folder would hold comes into the build."""
    if folder == ".":
        return context.ignores(ANYTHING)
    return context.ignores(folder) or context.ignores(f"{folder}/{ANYTHING}")


def _is_pointer(file: Path) -> bool:
    size = os.lstat(file).st_size
    return len(_POINTER) < size < _POINTER_LIMIT and _beginning(file, len(_POINTER)) == _POINTER


def _beginning(file: Path, size: int) -> bytes:
    """The first bytes of a file, none of a link's target, which may be anywhere."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return b""
    with open(handle, "rb") as opened:  # noqa: PTH123 - a descriptor has no path
        return opened.read(size)
