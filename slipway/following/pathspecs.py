"""The paths that concern a pipeline, as git's pathspecs, and which paths those match. Pure.

`!` before a pattern excludes what it matches. A pattern with `**` is git's `:(glob)`: a `*` stops
at `/` there. Any other is a plain pathspec of git's: its `*` goes past `/`. A pattern that names a
folder means all that is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slipway.following.wildmatch import SPECIAL, Wildmatch

EXCLUDED = "!"
_FOLDERS = "**"


def git_arguments(paths: Iterable[str]) -> list[str]:
    """The patterns as git takes them after `--`. The magic is said, so that no text is taken for
    magic.
    """
    return [f":({','.join(_magic(path))}){path.removeprefix(EXCLUDED)}" for path in paths]


def _magic(path: str) -> list[str]:
    excluded = ["exclude"] if path.startswith(EXCLUDED) else []
    return ["top", *excluded, *(["glob"] if _FOLDERS in path else [])]


class Pathspecs:
    """The patterns of one pipeline."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._wanted = [_Pattern(p) for p in paths if not p.startswith(EXCLUDED)]
        self._excluded = [
            _Pattern(p.removeprefix(EXCLUDED)) for p in paths if p.startswith(EXCLUDED)
        ]

    def match(self, path: str) -> bool:
        """Whether a file's path is one of those that the patterns name, as git decides it."""
        raw = _raw(path)
        return any(p.matches(raw) for p in self._wanted) and not any(
            p.matches(raw) for p in self._excluded
        )


class _Pattern:
    """One pattern, matched as git does while it walks a tree (`tree-walk.c`, `dir.c`).

    In a folder whose path is the very text of the pattern's beginning only what is left of the
    pattern counts, against the name alone: `pages/[id]/**` means the folder `[id]`, too.
    """

    def __init__(self, pattern: str) -> None:
        self._text = _raw(pattern)
        specials = [at for at, byte in enumerate(self._text) if byte in SPECIAL]
        self._plain = specials[0] if specials else len(self._text)
        self._globs = _FOLDERS in pattern
        self._one_star = (
            not self._globs and len(specials) == 1 and self._text[self._plain :][:1] == b"*"
        )
        self._compiled: dict[bytes, Wildmatch] = {}

    def matches(self, path: bytes) -> bool:
        text = self._text
        if path == text or path.startswith(text if text.endswith(b"/") else text + b"/"):
            return True
        if self._plain == len(text):
            return False
        folder = path[: path.rfind(b"/") + 1]
        within = len(folder) if text.startswith(folder) else 0
        return self._rest_matches(text[within:], path[within:], self._plain - within)

    def _rest_matches(self, pattern: bytes, text: bytes, plain: int) -> bool:
        """What stands before the first special character is compared as it is. What comes after
        that is a pattern of its own: a `**` that it begins with counts as one after a `/`.
        """
        if plain > 0:
            if not text.startswith(pattern[:plain]):
                return False
            pattern, text = pattern[plain:], text[plain:]
        if self._one_star:
            return text.endswith(pattern[1:])
        if pattern not in self._compiled:
            self._compiled[pattern] = Wildmatch(pattern, stops_at_slash=self._globs)
        return self._compiled[pattern].matches(text)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
