"""A path names a value of a configuration: `pipelines[0].branch`, `$` for the whole."""

from __future__ import annotations

Fault = tuple[str, str]
"""The path of what is wrong, and what is wrong with it."""


def joined(path: str, part: str | int) -> str:
    """The path of a member: a key, or a number in a list."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    key = printable(part) or '""'
    return f"{path}.{key}" if path not in ("", "$") else key


def around(path: str) -> str | None:
    """The path of what holds the value at `path`; None for the whole, which nothing holds."""
    if path == "$":
        return None
    return path[: max(path.rfind("."), path.rfind("["), 0)] or "$"


def below(outer: str, path: str) -> str:
    """`path` as it is told inside of `outer`; what is outside of it keeps its path, after `$.`."""
    if path == outer:
        return "$"
    inner = path.removeprefix(f"{outer}.")
    return inner if inner != path else f"$.{path}"


def given_twice(path: str, first: int, second: int) -> Fault:
    """A key that stands on two lines. A reader would take the last value and say nothing."""
    return path, f"is given twice, on lines {first} and {second}"


def printable(text: str) -> str:
    """`text` as a terminal shows it: what is no character to be seen is written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
