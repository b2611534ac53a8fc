"""What `docs/` says of IAM: the policies that its pages print, the actions that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.infra.reference.policies import Statement, of_page
from tests.infra.reference.reference import GLOBAL_KEYS, actions, is_key
from tests.places import ROOT

_NAMED = re.compile(r"`([a-z][a-z0-9-]*:[A-Z][A-Za-z]+)`")
"""`service:Action`, alone between two back-ticks; condition keys of services begin small."""


def pages(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Name and text of every page: the README and all of docs/."""
    for path in sorted([root / "README.md", *(root / "docs").rglob("*.md")]):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def printed_statements(root: Path = ROOT) -> Iterator[Statement]:
    for name, page in pages(root):
        yield from of_page(name, page)


def unknown_names(page: str) -> list[str]:
    """The actions and condition keys that a page names and AWS does not have."""
    return [
        name
        for name in sorted(set(_NAMED.findall(page)))
        if name not in GLOBAL_KEYS and not actions(name) and not is_key(name)
    ]
