"""Every relative link of every page leads somewhere, and every page can be reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.unit.docs.pages import PAGES, broken, read


@pytest.mark.parametrize("path", PAGES, ids=lambda path: read(path).name)
def test_every_link_leads_somewhere(path: Path) -> None:
    page = read(path)
    assert [wrong for link in page.links if (wrong := broken(page, link))] == []


def test_every_page_is_in_the_reading_order() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in read(index).links}
    assert {page for page in PAGES if page.parent == index.parent and page != index} <= linked


def test_every_picture_is_shown() -> None:
    shown = {(p.parent / link).resolve() for p in PAGES for link in read(p).links}
    assert set((ROOT / "docs" / "images").iterdir()) - shown == set()


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        "# The `one` title, here!\n\n# Twice\n\n# Twice\n\n[a](#the-one-title-here) [b](#twice-1)"
        " [c](#twice-2) [d](gone.md) [e](https://example.com/gone) ![f](gone.png)\n"
    )
    page = read(path)
    links = {link for link in page.links if _broken_outside(path, link)}
    assert links == {"#twice-2", "gone.md", "gone.png"}


def _broken_outside(path: Path, link: str) -> bool:
    """As `broken`, of a page that is not of the repository."""
    place, _, anchor = link.partition("#")
    if re.match("https?:", link):
        return False
    return anchor not in read(path).anchors if not place else not (path.parent / place).exists()


def test_pages_that_the_code_names_are_there() -> None:
    """`docs/operating.md`, and `docs/operating.md, 'Fitting in …'`: that section."""
    wrong = []
    for folder in ("slipway", "lambdas", "build_agent", "infra", "local", "bench"):
        for source in (ROOT / folder).rglob("*.py"):
            text = re.sub(r"\"\s*\n\s*f?\"", "", source.read_text(encoding="utf-8"))
            for name, title in re.findall(r"(?<!, )\b(docs/[\w./-]+\.md)(?:`?, '([^'{]+)')?", text):
                target = ROOT / name
                if not target.exists() or (title and title not in read(target).headings):
                    wrong.append((str(source.relative_to(ROOT)), name, title))
    assert wrong == []
