"""A path of the repository that a page names in code is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.unit.docs.pages import PAGES, Page, read

FOLDERS = ("slipway", "lambdas", "build_agent", "infra", "local", "bench", "tests", "docs", ".ci")
PATH = re.compile(rf"({'|'.join(map(re.escape, FOLDERS))})/[\w./*-]*")
FILE = re.compile(r"[\w-]+\.(py|sh|service|timer)")
NOT_OURS = {"slipway/sample", "slipway-packages.service"}
"""An image repository of the example, a unit that exists for the time of an update."""


def named(page: Page) -> Iterator[str]:
    """Inline code that is a path from the root, or a file's name alone."""
    for code in page.code:
        if (PATH.fullmatch(code) or FILE.fullmatch(code)) and code not in NOT_OURS:
            yield code


def is_there(name: str) -> bool:
    if "/" not in name:
        return (
            any(next((ROOT / folder).rglob(name), None) for folder in FOLDERS)
            or (ROOT / name).exists()
        )
    return next(ROOT.glob(name.rstrip("/")), None) is not None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: read(path).name)
def test_a_named_path_is_there(path: Path) -> None:
    assert [name for name in named(read(path)) if not is_there(name)] == []


def test_the_pages_name_paths() -> None:
    assert len(set(named(read(ROOT / "docs" / "architecture.md")))) > 15
    assert not is_there("slipway/gone.py")
    assert not is_there("gone.py")
