"""What the troubleshooting page quotes is what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

from slipway.contracts.notice_text import plain_text
from tests.places import ROOT
from tests.unit.lambdas.notifier.samples import NOTICES

PAGE = ROOT / "docs" / "troubleshooting.md"
SPEAKING = ("slipway", "lambdas", "build_agent")
HOLE = "\x00"
"""What stands in an f-string for a value."""


def quoted() -> Iterator[str]:
    """The code in the column `You see`, but names of commands, options and alarms."""
    column = 0
    for token in MarkdownIt("commonmark").enable("table").parse(PAGE.read_text(encoding="utf-8")):
        if token.type == "tr_open":
            column = 0
        elif token.type in ("th_close", "td_close"):
            column += 1
        elif token.type == "inline" and column == 0:
            for child in token.children or []:
                if child.type == "code_inline" and " " in child.content:
                    yield child.content


def said() -> str:
    """Every text in the code, one a line; values in them are holes."""
    texts = []
    for folder in SPEAKING:
        for source in (ROOT / folder).rglob("*"):
            if source.suffix == ".sh":
                texts.append(re.sub(r'" \\\n\s*"', " ", source.read_text(encoding="utf-8")))
            if source.suffix == ".py":
                for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
                    texts += [_text(node)] if isinstance(node, ast.Constant | ast.JoinedStr) else []
    return "\n".join(texts)


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(v) if isinstance(v, ast.Constant) else HOLE for v in node.values)
    return node.value if isinstance(node.value, str) else ""


def test_what_is_quoted_is_said() -> None:
    everything = said() + "".join(map(plain_text, NOTICES.values()))
    lost = [
        whole
        for whole in quoted()
        if not whole.startswith(("slipway ", "make ", "git ", "aws "))
        for piece in re.split(r"\s*…\s*", whole)
        if piece.strip() and piece.strip(" ,") not in everything
    ]
    assert lost == []


def test_there_is_something_to_hold() -> None:
    assert len(list(quoted())) > 40
    assert "it was never said anywhere" not in said()
