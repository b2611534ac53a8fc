"""A structure on the command line: JSON, `file://PATH`, or the AWS CLI's shorthand.

    awsvpcConfiguration={subnets=[subnet-1, subnet-2], securityGroups=sg-1, assignPublicIp=ENABLED}

The grammar is that of the AWS CLI (user guide, 'Using shorthand syntax with the AWS CLI'; its own
parser is the test's yardstick): blanks and line breaks between the parts, lists with and without
brackets, a comma after the last item of a bracketed list or structure, quoted values with `\\`
before a quote, `\\,` in values, `key@=file://PATH` for a value from a file. That parser itself
comes with all of the AWS CLI (a hundred megabytes, a version of everything pinned): too much for
one option.
"""

from __future__ import annotations

import json
import os
import re
import string
from pathlib import Path
from typing import Any

from slipway.contracts.errors import WrongUse

_KEY = re.compile(r"[A-Za-z0-9\-_.#/:]*")
_FIRST = re.compile(r"(?:\\,|[^ \t-\r,\"'=\[{])(?:\\,|[^,\"'\]}])*")
"""A value: up to a comma, a quote, or the end of what it is in."""
_NEXT = re.compile(r"(?:\\,|[^ \t-\r,\"'=\[{])(?:\\,|[^,\"'=])*")
"""A later value of a list without brackets: one with a `=` is the next key."""
_NEXT_IN_BRACES = re.compile(r"(?:\\,|[^ \t-\r,\"'=\[{\]}])(?:\\,|[^,\"'=\]}])*")
_QUOTED = {quote: re.compile(rf"{quote}((?:\\{quote}|[^{quote}])*){quote}") for quote in "'\""}


def parse_structure(text: str, option: str) -> dict[str, Any]:
    """RunTask's networkConfiguration as `text` has it; WrongUse says what `option` cannot be.

    A single value where ECS has a list is a list of one, as with the AWS CLI; what ECS does not
    have is refused here, before anything is registered.
    """
    text = (_read(text, option) if text.startswith("file://") else text).strip()
    is_json = text.startswith(("{", "["))
    value = _json(text, option) if is_json else read_shorthand(text, option)
    if not isinstance(value, dict):
        raise WrongUse(f"{option}: must be a JSON object")
    shape = _network_shape()
    return valid(shaped(value, shape), shape, option)


def read_shorthand(text: str, option: str) -> dict[str, Any]:
    """The structure that the shorthand means, its values texts, lists and structures."""
    return _Shorthand(text, option).whole()


def _network_shape() -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    model = ServiceModel(Loader().load_service_model("ecs", "service-2"), "ecs")  # type: ignore[no-untyped-call]
    return model.operation_model("RunTask").input_shape.members["networkConfiguration"]


def shaped(value: Any, shape: Any) -> Any:
    """`value` with lists where `shape` has lists; what fits nowhere is left for `valid` to say."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = shape.members
        return {k: shaped(v, members[k]) if k in members else v for k, v in value.items()}
    if kind == "list":
        items = value if isinstance(value, list) else [value]
        return [shaped(item, shape.member) for item in items]
    return value


def valid(value: dict[str, Any], shape: Any, option: str) -> dict[str, Any]:
    """`value`, if botocore would send it as `shape`; WrongUse with what is wrong."""
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        problems = "; ".join(report.generate_report().split("\n"))
        raise WrongUse(f"{option}: {problems}")
    return value


class _Shorthand:
    """One pass over the text, from left to right."""

    def __init__(self, text: str, option: str) -> None:
        self._text, self._option, self._at = text, option, 0

    def whole(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while True:
            key, from_file = self._key()
            if key in members:
                raise WrongUse(f"{self._option}: {key!r} is given twice")
            members[key] = self._listed(from_file, _NEXT, "")
            self._blanks()
            if self._ends():
                return members
            self._take(",")

    def _key(self) -> tuple[str, bool]:
        """The key, and whether its value may be a file's (`@=`)."""
        self._blanks()
        key = self._match(_KEY)
        self._blanks()
        from_file = self._is("@")
        if from_file:
            self._take("@")
            self._blanks()
        self._take("=")
        self._blanks()
        return key, from_file

    def _listed(self, from_file: bool, later: re.Pattern[str], end: str) -> Any:
        """A value, or a list without brackets: `a=1,2,b=3`.

        The AWS CLI knows such a list outside of braces only; to take it within them harms nobody.
        """
        if self._is("[") or self._is("{"):
            return self._value(from_file)
        values = [self._word(_FIRST, from_file)]
        while (word := self._later_word(from_file, later, end)) is not None:
            values.append(word)
        return values[0] if len(values) == 1 else values

    def _later_word(self, from_file: bool, later: re.Pattern[str], end: str) -> str | None:
        """The next value after a comma; None, and back at a comma, where that is the next key."""
        self._blanks()
        if not self._is(","):
            return None
        self._take(",")
        self._blanks()
        if self._is("'") or self._is('"') or later.match(self._text, self._at):
            word = self._word(later, from_file)
            self._blanks()
            if self._is(",") or self._text[self._at : self._at + 1] == end:
                return word
        self._at = self._text.rindex(",", 0, self._at + 1)
        return None

    def _value(self, from_file: bool) -> Any:
        if self._is("{"):
            return self._structure()
        if self._is("["):
            return self._list(from_file)
        return self._word(_FIRST, from_file)

    def _structure(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self._take("{")
        self._blanks()
        while not self._is("}"):
            key, from_file = self._key()
            members[key] = self._listed(from_file, _NEXT_IN_BRACES, "}")
            self._separator("}")
        self._take("}")
        return members

    def _list(self, from_file: bool) -> list[Any]:
        items: list[Any] = []
        self._take("[")
        self._blanks()
        while not self._is("]"):
            items.append(self._value(from_file))
            self._separator("]")
        self._take("]")
        return items

    def _separator(self, end: str) -> None:
        """A comma, which may also stand before the end."""
        self._blanks()
        if not self._is(end):
            self._take(",")
            self._blanks()

    def _word(self, unquoted: re.Pattern[str], from_file: bool) -> str:
        quote = self._text[self._at : self._at + 1]
        if quote and quote in _QUOTED:
            match = _QUOTED[quote].match(self._text, self._at)
            if match is None:
                raise self._wrong()
            self._at = match.end()
            word = match[1].replace(f"\\{quote}", quote).replace("\\\\", "\\")
        else:
            word = self._match(unquoted).replace("\\,", ",").rstrip()
        is_file = from_file and word.startswith(("file://", "fileb://"))
        return _read(word, self._option) if is_file else word

    def _match(self, pattern: re.Pattern[str]) -> str:
        """What the pattern finds here, or an empty text."""
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _blanks(self) -> None:
        while not self._ends() and self._text[self._at] in string.whitespace:
            self._at += 1

    def _ends(self) -> bool:
        return self._at >= len(self._text)

    def _is(self, mark: str) -> bool:
        return self._text[self._at : self._at + 1] == mark

    def _take(self, mark: str) -> None:
        if not self._is(mark):
            raise self._wrong()
        self._at += 1

    def _wrong(self) -> WrongUse:
        place = self._text[self._at : self._at + 20] or "the end"
        return WrongUse(
            f"{self._option}: is neither JSON nor key=value shorthand (stopped at {place!r})"
        )


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUse(f"{option}: is not JSON: {error}") from None


def _read(address: str, option: str) -> str:
    """The text of `file://PATH`; a byte order mark is none of it."""
    path = os.path.expandvars(address.partition("://")[2])
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WrongUse(f"{option} {path!r}: {error.strerror}") from None
    except (UnicodeDecodeError, RuntimeError) as error:
        raise WrongUse(f"{option} {path!r}: {error}") from None
