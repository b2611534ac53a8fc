"""A page as markdown-it reads it (CommonMark with tables): links, anchors, code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.places import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCKS = ("fence", "code_block")
_FOREIGN = re.compile(r"[a-z][a-z0-9+.-]*:|//")


@dataclass(frozen=True)
class Page:
    """`links` as they stand; `code`: inline; `blocks`: language and text of each code block.

    What a table tells of before (its first column, where that is headed so) is no code of today.
    """

    path: Path
    links: tuple[str, ...]
    anchors: frozenset[str]
    headings: frozenset[str]
    code: tuple[str, ...]
    blocks: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def lines_of_code(self) -> Iterator[str]:
        """Each inline code, and each line of each block that a shell could be given."""
        yield from self.code
        for language, text in self.blocks:
            if language in ("", "sh", "bash", "console", "text"):
                yield from text.replace("\\\n", " ").splitlines()


@cache
def read(path: Path) -> Page:
    """The page at `path`."""
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    inner = [child for token in tokens for child in token.children or []]
    titles = [_text(tokens[i + 1]) for i, t in enumerate(tokens) if t.type == "heading_open"]
    return Page(
        path,
        links=tuple(str(v) for t in inner for k, v in t.attrs.items() if k in ("href", "src")),
        anchors=frozenset(_anchors(titles)),
        headings=frozenset(titles),
        code=tuple(_code(tokens)),
        blocks=tuple((t.info.strip(), t.content) for t in tokens if t.type in BLOCKS),
    )


def _code(tokens: list[Token]) -> Iterator[str]:
    """Inline code, but for the first column of a table that is headed `Before`."""
    titles: list[str] = []
    column = 0
    for token, after in pairwise([*tokens, Token("", "", 0)]):
        if token.type == "table_open":
            titles = []
        elif token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            titles.append(_text(after))
        elif token.type in ("td_open", "td_close"):
            column += token.type == "td_close"
        elif token.type == "inline" and not (titles[:1] == ["Before"] and column == 0):
            yield from (t.content for t in token.children or [] if t.type == "code_inline")
        if token.type == "table_close":
            titles = []


def _text(heading: Token) -> str:
    return "".join(t.content for t in heading.children or [] if t.type in ("text", "code_inline"))


def _anchors(titles: list[str]) -> Iterator[str]:
    """As GitHub makes them: lower case, no punctuation, blanks as hyphens, doubles numbered."""
    seen: Counter[str] = Counter()
    for title in titles:
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        yield f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor
        seen[anchor] += 1


def broken(page: Page, link: str) -> str | None:
    """What is wrong with a link of the page, or None. Links to other sites are not looked at."""
    if _FOREIGN.match(link):
        return None
    place, _, anchor = unquote(link).partition("#")
    target = (page.path.parent / place).resolve() if place else page.path
    if not target.exists():
        return f"{page.name}: {link}: no such file"
    if anchor and anchor not in read(target).anchors:
        return f"{page.name}: {link}: no such section"
    return None
