"""What a command prints: columns and sentences for people, JSON for programs, colour on terminals.

Colour is left to click, which takes it out where the output is no terminal; `NO_COLOR` turns it off
(https://no-color.org). Texts from outside must have been through `slipway.contracts.wording.tidy`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

GAP = "  "


class Output:
    """Where a command's answer goes; `as_json`: the caller asked for `--json`."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty() and not self.as_json

    def say(self, text: str = "") -> None:
        """A line for people; nothing under `--json`."""
        if not self.as_json:
            click.echo(text)

    def aside(self, text: str) -> None:
        """A line for people that is not the answer: on standard error."""
        click.echo(text, err=True)

    def data(self, value: Any) -> None:
        """The answer for programs; nothing without `--json`."""
        if self.as_json:
            click.echo(json_text(value, indent=1))

    def event(self, value: Any) -> None:
        """One line of JSON of an answer that goes on; nothing without `--json`."""
        if self.as_json:
            click.echo(json_text(value))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Cells under their headings; on a narrower terminal each row stacked on lines that fit."""
        lines = columns([[click.style(h, bold=True) for h in headings], *rows])
        room = terminal_width()
        if room is not None and max(map(width, lines)) > room:
            lines = [line for row in rows for line in stacked(headings, row, room)]
        for line in lines:
            self.say(line)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON for standard output; all in ASCII where its encoding has not every character."""
    encoding = str(getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    return json.dumps(value, indent=indent, ensure_ascii=not encoding.startswith("utf"))


def wants_colour() -> bool | None:
    """False under NO_COLOR, else None: click decides by the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def terminal_width() -> int | None:
    """Cells of a line of the terminal; None where the output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def stacked(headings: Sequence[str], row: Sequence[str], room: int) -> list[str]:
    """One row of a table on lines of at most `room` cells: its name, then its other members.

    Lines break between members, never inside one; a member that is longer than a line is cut.
    """
    lines = [shortened(click.style(row[0], bold=True), room)]
    line = ""
    for heading, cell in zip(headings[1:], row[1:], strict=True):
        if not cell:
            continue
        member = f"{heading.lower()}: {cell}"
        if line and width(line) + len(GAP) + width(member) <= room:
            line += GAP + member
            continue
        if line:
            lines.append(line)
        line = shortened(GAP + member, room)
    return [*lines, line] if line else lines


def shortened(text: str, room: int) -> str:
    """The text where it fits; else its beginning, unstyled, with `…` for the rest."""
    if width(text) <= room:
        return text
    kept = click.unstyle(text)
    while width(kept) >= room:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with their cells under each other; styled cells count by what is seen."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell + " " * (w - width(cell)) for cell, w in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def width(text: str) -> int:
    """Terminal cells that `text` takes: wide characters two, marks none, styling none."""
    import unicodedata

    plain = click.unstyle(text)
    if plain.isascii():
        return len(plain)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in plain
    )


GOOD, BAD, BUSY, DIM = "green", "red", "yellow", "bright_black"

STATUS_COLOURS = {
    "succeeded": GOOD,
    "unchanged": GOOD,
    "failed": BAD,
    "rolled_back": BAD,
    "gave_up": BAD,
    "superseded": DIM,
    "cancelled": DIM,
}


def outcome(status: str | None, *, is_followed: bool = False) -> str:
    """A deployment's status as a coloured word; one without a status is under way."""
    if status is None:
        return click.style("rolling out" if is_followed else "under way", fg=BUSY)
    return click.style(status.replace("_", " "), fg=STATUS_COLOURS.get(status))
