"""Pieces of what people read: one line, a duration, a moment, a person, a count. Pure.

Nothing here is escaped for Slack or coloured for a terminal: who shows a text does that. Texts from
outside (commit subjects, log lines, ARNs) pass through `tidy`, so that each is one readable line of
bounded length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

SHORT_COMMIT = 8
LINE_LIMIT = 300

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_KEPT_FORMAT = {"\u200d", "\u200c"}  # joiners: emoji and some scripts need them
ELLIPSIS = "…"


def tidy(text: str, limit: int = LINE_LIMIT) -> str:
    """`text` as one line of at most `limit` characters.

    Control characters, nulls, lone surrogates and invisible direction marks go (a right-to-left
    override could turn the rest of the notice around); runs of white space become one space.
    """
    read = text[: limit * 8]
    plain = read.isascii() and read.isprintable()
    kept = read if plain else "".join(_visible(c) for c in read)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + ELLIPSIS


def tidy_log_line(line: str, limit: int = LINE_LIMIT) -> str:
    """A line of a log: as `tidy`, but its indentation and inner spaces stay."""
    without_colours = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line[: limit * 8]).expandtabs(4)
    kept = "".join("" if c in "\r\n" else _visible(c) for c in without_colours).rstrip()
    return kept if len(kept) <= limit else kept[: limit - 1] + ELLIPSIS


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) in _INVISIBLE and character not in _KEPT_FORMAT:
        return ""
    return character


def short(commit_id: str) -> str:
    """The first characters of a commit id, enough to tell commits apart."""
    return commit_id[:SHORT_COMMIT]


def short_digest(digest: str) -> str:
    """`sha256:0123456789ab`: enough to tell images apart, as docker shows them."""
    algorithm, colon, value = tidy(digest, 200).partition(":")
    return f"{algorithm}{colon}{value[:12]}"


def task_definition_name(arn: str) -> str:
    """`family:revision` of a task definition's ARN (or of a name that is one already)."""
    return tidy(arn.rpartition("/")[2], 280)


def person(identity: str) -> str:
    """Who an IAM ARN stands for: its last part (user or session name); other texts as they are."""
    name = tidy(identity, 120)
    return name.rpartition("/")[2] or name if name.startswith("arn:") else name


def duration(seconds: float) -> str:
    """`4.2 s`, `42 s`, `3 min 5 s`, `2 h 5 min`, `3 d 4 h`; negative (clocks differ): `0 s`."""
    if not seconds > 0:
        return "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(min(seconds, 1e12))
    for unit, name, part, part_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def moment(at: float) -> str:
    """`2026-11-21 10:29:07 UTC` of seconds since the epoch."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return "at an unknown time"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 commit`, `3 commits`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(things: Sequence[str]) -> str:
    """`shop`, `shop and blog`, `shop, blog and api`."""
    *others, last = things or ("",)
    return f"{', '.join(others)} and {last}" if others else last


def sentence(text: str) -> str:
    """`text` with a full stop, unless it has an end of its own."""
    return text if not text or text[-1] in ".!?…" else text + "."


def capital(text: str) -> str:
    """`text` with a capital letter first; the others stay."""
    return text[:1].upper() + text[1:]
