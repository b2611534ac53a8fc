"""A structure on the command line: JSON, `file://PATH` of JSON, or the AWS CLI's shorthand.

    awsvpcConfiguration={subnets=[subnet-1,subnet-2],securityGroups=[sg-1],assignPublicIp=ENABLED}

Grammar of the shorthand: AWS CLI user guide, 'Using shorthand syntax with the AWS CLI'. Of it are
taken: nested structures, bracketed lists, lists without brackets, and quoted values.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from contracts.errors import WrongUse

_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_]*)=")
_WORD = re.compile(r"[^,{}\[\]\"'=]+")


def parse_structure(text: str, option: str) -> dict[str, Any]:
    """The structure that `text` is; WrongUse says what `option` cannot be."""
    text = text.strip()
    if text.startswith("file://"):
        text = _read(text.removeprefix("file://"), option)
    if text.startswith("{"):
        return _json(text, option)
    parser = _Shorthand(text, option)
    return parser.whole()


class _Shorthand:
    """One pass over the text, from left to right."""

    def __init__(self, text: str, option: str) -> None:
        self._text = text
        self._option = option
        self._at = 0

    def whole(self) -> dict[str, Any]:
        value = self._members("")
        if self._at != len(self._text):
            raise self._wrong()
        return value

    def _members(self, end: str) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while True:
            match = _KEY.match(self._text, self._at)
            if match is None:
                raise self._wrong()
            self._at = match.end()
            members[match[1]] = self._value()
            if self._next_is(end):
                return members
            self._take(",")

    def _value(self) -> Any:
        if self._next_is("{"):
            self._take("{")
            members = self._members("}")
            self._take("}")
            return members
        if self._next_is("["):
            return self._bracketed()
        first = self._word()
        words = [first]
        while self._next_is(",") and not _KEY.match(self._text, self._at + 1):
            self._take(",")
            words.append(self._word())
        return first if len(words) == 1 else words

    def _bracketed(self) -> list[str]:
        self._take("[")
        items: list[str] = []
        while not self._next_is("]"):
            items.append(self._word())
            if not self._next_is("]"):
                self._take(",")
        self._take("]")
        return items

    def _word(self) -> str:
        quote = self._text[self._at : self._at + 1]
        if quote and quote in "\"'":
            end = self._text.find(quote, self._at + 1)
            if end < 0:
                raise self._wrong()
            word, self._at = self._text[self._at + 1 : end], end + 1
            return word
        match = _WORD.match(self._text, self._at)
        if match is None:
            raise self._wrong()
        self._at = match.end()
        return match[0].strip()

    def _next_is(self, mark: str) -> bool:
        rest = self._text[self._at : self._at + 1]
        return rest == mark

    def _take(self, mark: str) -> None:
        if not self._next_is(mark):
            raise self._wrong()
        self._at += 1

    def _wrong(self) -> WrongUse:
        place = self._text[self._at : self._at + 20] or "the end"
        return WrongUse(
            f"{self._option}: is neither JSON nor key=value shorthand (stopped at {place!r})"
        )


def _json(text: str, option: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise WrongUse(f"{option}: is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WrongUse(f"{option}: must be a JSON object")
    return value


def _read(path: str, option: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise WrongUse(f"{option} {path!r}: {error.strerror}") from None
