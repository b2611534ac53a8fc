"""What the pages tell a reader to run is there: commands, their options, make targets, modules."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from slipway.cli.main import main
from tests.places import ROOT
from tests.unit.docs.pages import PAGES, Page, read

START = r"(?:^\s*|&& |\| |\$ |\.venv/bin/)"
SLIPWAY = re.compile(START + r"slipway (?P<rest>[a-z-][^\n#|;]*)")
MAKE = re.compile(r"(?:^\s*|&& )make (?P<rest>[a-z][^\n#|;&]*)")
MODULE = re.compile(r"python3? -m (?P<module>[a-z_.]+)")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {name for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M) for name in line.split()}
PASSED = set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.M))


def told(page: Page, what: re.Pattern[str]) -> Iterator[str]:
    """What stands behind `slipway` or `make` in the page's code."""
    for line in page.lines_of_code:
        for match in what.finditer(line):
            rest = re.split(r" && | [<>] ", match["rest"])[0].strip()
            yield rest[:-1] if rest.count("'") == 1 and rest.endswith("'") else rest


def refusal(words: str) -> str | None:
    """What the real command line says against these words, or None. Nothing is run.

    Values are not looked at: pages write NAME, FILE and … for them.
    """
    try:
        given = shlex.split(words)
    except ValueError as error:
        return str(error)
    left = [word for word in given if word not in ("…", "...")]
    command: click.Command = main
    context = click.Context(main, info_name="slipway", **main.context_settings)
    while isinstance(command, click.Group) and left and not left[0].startswith("-"):
        name = left.pop(0)
        found = command.get_command(context, name)
        if found is None:
            return f"no verb {name!r}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    try:
        _, over, _ = command.make_parser(context).parse_args(left)
    except click.UsageError as error:
        return error.format_message()
    return f"nothing takes {over}" if over and not isinstance(command, click.Group) else None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: read(path).name)
def test_a_told_command_is_one(path: Path) -> None:
    said = {words: refusal(words) for words in told(read(path), SLIPWAY)}
    assert {words: why for words, why in said.items() if why} == {}


@pytest.mark.parametrize(
    "words", ["stauts", "status --jsn", "deploy -c", "hold one two", "webhook put", "doctor -z"]
)
def test_a_command_that_there_is_not_is_found(words: str) -> None:
    assert refusal(words) is not None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: read(path).name)
def test_a_told_target_is_one(path: Path) -> None:
    for words in told(read(path), MAKE):
        target, *given = words.split()
        assert target in TARGETS, f"{path.name}: make {words}"
        assert {word.partition("=")[0] for word in given if "=" in word} <= PASSED, words


@pytest.mark.parametrize("path", PAGES, ids=lambda path: read(path).name)
def test_a_told_module_is_one(path: Path) -> None:
    for line in read(path).lines_of_code:
        for name in MODULE.findall(line):
            base = ROOT.joinpath(*name.split("."))
            ours = (ROOT / name.partition(".")[0]).is_dir()
            assert not ours or base.with_suffix(".py").exists() or (base / "__main__.py").exists()


def test_the_pages_tell_of_commands() -> None:
    """The patterns find what is there."""
    counts = {read(path).name: len(list(told(read(path), SLIPWAY))) for path in PAGES}
    assert counts["docs/operating.md"] > 25
    assert counts["README.md"] >= 6
    assert len(list(told(read(ROOT / "README.md"), MAKE))) >= 6
