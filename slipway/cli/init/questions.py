"""Questions of `slipway init`: an option answers, else a person at a terminal, else a default."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from slipway.contracts.errors import WrongUse

SHOWN = 12
"""How many of the names that there are a question lists."""


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and os.environ.get("TERM") != "dumb"


class Questions:
    """Asks what no option has answered; `missing` are the options that nobody answered."""

    def __init__(self, given: Mapping[str, Any], *, terminal: bool) -> None:
        self._given = given
        self._terminal = terminal
        self.missing: list[str] = []

    def ask(
        self,
        option: str,
        question: str,
        kind: Any,
        *,
        default: str | None = None,
        known: Sequence[str] = (),
    ) -> str:
        """One text that the configuration takes as `kind`; `known`: names that there are."""
        check = _checker(kind)
        value = self._given.get(option.replace("-", "_"))
        if value is not None:
            return self._checked(option, value, check)
        if not self._terminal:
            if default is None:
                self.missing.append(f"--{option}")
            return default or ""
        if known:
            more = ", …" if len(known) > SHOWN else ""
            click.echo(f"  there are: {', '.join(known[:SHOWN])}{more}", err=True)
        return str(click.prompt(question, default=default, value_proc=check, err=True))

    def ask_list(
        self, option: str, question: str, kind: Any, *, default: Sequence[str] = ()
    ) -> list[str]:
        """Texts that the configuration takes as `kind`, with commas between; there may be none."""
        check = _checker(kind)
        values = self._given.get(option.replace("-", "_"))
        if values:
            return [self._checked(option, value, check) for value in values]
        if not self._terminal:
            return list(default)
        shown = ", ".join(default)
        text = click.prompt(question, default=shown, value_proc=_each(check), err=True)
        return _words(str(text))

    def confirm(self, option: str, question: str, *, default: bool) -> bool:
        """Yes or no."""
        value = self._given.get(option.replace("-", "_"))
        if value is not None:
            return bool(value)
        return click.confirm(question, default=default, err=True) if self._terminal else default

    def answered(self, option: str) -> bool:
        """Whether an option has said it."""
        return self._given.get(option.replace("-", "_")) is not None

    def says(self, option: str) -> bool:
        """Whether an option says yes."""
        return bool(self._given.get(option.replace("-", "_")))

    def check_complete(self) -> None:
        """WrongUse for what nobody answered."""
        if self.missing:
            instead = " (or --sample in place of --service)" if "--service" in self.missing else ""
            needed = f"{_and(self.missing)}{instead}"
            raise WrongUse(f"this is no terminal, so nothing is asked: give {needed}")

    @staticmethod
    def _checked(option: str, value: str, check: Any) -> str:
        try:
            return str(check(value))
        except click.UsageError as error:
            raise WrongUse(f"--{option} {value!r}: {error.message}") from None


def _checker(kind: Any) -> Any:
    """A function that gives a value back, or raises click.UsageError, which asks again."""
    adapter = TypeAdapter(kind)

    def check(value: str) -> str:
        try:
            return str(adapter.validate_python(value.strip()))
        except ValidationError as error:
            (first, *_) = error.errors(include_url=False)
            said = first.get("ctx", {}).get("error") or first["msg"]
            raise click.UsageError(str(said)) from None

    return check


def _each(check: Any) -> Any:
    return lambda text: ", ".join(check(word) for word in _words(text))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _and(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
