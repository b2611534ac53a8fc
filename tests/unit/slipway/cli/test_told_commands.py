"""Every `slipway` command that the pages tell a reader to run is there, with those options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from slipway.cli.main import main
from tests.places import ROOT

PAGES = sorted(
    path
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    if path.name not in ("cli.md", "ecs-deploy.md")  # made from the code, and about another tool
)
TOLD = re.compile(r"(?:^|`|\| |\.venv/bin/)slipway (?P<rest>[a-z][^`\n#|]*)", re.MULTILINE)


def commands(page: Path) -> list[str]:
    """What follows `slipway` in code, inline or in a block."""
    text = page.read_text(encoding="utf-8")
    inline = re.findall(r"`([^`\n]+)`", text)
    blocks = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
              for line in block.splitlines()]  # fmt: skip
    return [match["rest"].strip() for line in (*inline, *blocks) for match in TOLD.finditer(line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_told_command_is_one(page: Path) -> None:
    for told in commands(page):
        words = shlex.split(told)
        command: click.Command = main
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            name = words.pop(0)
            found = command.get_command(click.Context(command), name)
            assert found is not None, f"{page.name}: slipway {told}: no {name!r}"
            command = found
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        options = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert options <= known, f"{page.name}: slipway {told}"


def test_the_pages_tell_of_commands() -> None:
    told = {page.name: len(commands(page)) for page in PAGES}
    assert told["operating.md"] > 25
    assert told["README.md"] >= 8
