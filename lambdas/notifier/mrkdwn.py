"""Slack's texts and blocks, each held to Slack's limits here and nowhere else.

A text from outside reaches a message only through `literal` (or `code`): `&`, `<` and `>` are
escaped, so that no mention or link can be smuggled in, and what mrkdwn would take for markup is
replaced by its look-alike, because mrkdwn has no escape for it. Lengths are counted in UTF-16
units of the escaped text, the strictest reading of Slack's 'characters'.

Limits: https://docs.slack.dev/reference/block-kit/blocks and .../composition-objects/text-object;
escaping: https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

Block = dict[str, Any]

BLOCKS = 50
HEADER = 150
SECTION = 3000
FIELDS = 10
FIELD = 2000
CONTEXT_ELEMENTS = 10
CONTEXT_TEXT = 2000
FALLBACK = 3000
"""Characters of the message's own text, which Slack would cut at 40,000; a preview needs less."""
URL = 700

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LOOK_ALIKE = {"*": "∗", "_": "ˍ", "~": "∼", "`": "ˋ", ":": "∶"}
_MARKER = re.compile(r"(?<![A-Za-z0-9])[*_~]|[*_~](?![A-Za-z0-9])|`")
_EMOJI = re.compile(r"(?<![0-9]):(?=[A-Za-z0-9_+'-]+:)")  # not the time in 10:20:30
_IN_HEADER = {"&": "+", "<": "‹", ">": "›"}
_MENTION = re.compile(
    r"<?(?:(?P<group>!?(?:here|channel|everyone))|@?(?P<user>[UW][A-Z0-9]{4,20})|"
    r"(?:!subteam\^)?(?P<team>S[A-Z0-9]{4,20})|@(?P<at>here|channel|everyone))>?"
)


def units(text: str) -> int:
    """UTF-16 code units: how Slack's own clients count."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)


def escape(text: str, limit: int = SECTION) -> str:
    """`text` with Slack's three entities, cut (with `…`) so that no entity is cut in half."""
    return _escaped(text, limit, _ENTITIES)


def literal(text: str, limit: int = SECTION) -> str:
    """`text` so that mrkdwn shows it as it is: nothing bold, no code, no emoji, no quote."""
    shown = _MARKER.sub(lambda match: _LOOK_ALIKE[match[0]], text)
    shown = _EMOJI.sub(_LOOK_ALIKE[":"], shown)
    if shown.lstrip().startswith(">"):
        shown = shown.replace(">", "›", 1)
    return escape(shown, limit)


def code(lines: Iterable[str], limit: int = SECTION) -> str:
    """The last of `lines` that fit as a block of code; empty where there are none."""
    frame = units("```\n\n```")
    kept: list[str] = []
    room = limit - frame
    for line in reversed(list(lines)):
        shown = escape(line.replace("`", "'"), room)
        if not shown and line:
            break
        kept.insert(0, shown)
        room -= units(shown) + 1
        if room <= 1:
            break
    body = "\n".join(kept)
    return f"```\n{body}\n```" if body.strip() else ""


def link(url: str | None, label: str) -> str:
    """A link with an escaped label; only the label where `url` is none that Slack would open."""
    if url is None or not (safe := _safe_url(url)):
        return literal(label, 200)
    return f"<{safe}|{literal(label, 200).replace('|', '¦')}>"


def mention(configured: str | None) -> str:
    """Slack's form of a configured mention: `here`, `channel`, `everyone`, a user's or group's id.

    `@here`, `<!here>`, `<@U0123456>` and `<!subteam^S0123456>` are understood as well. Anything
    else is shown as a text that calls nobody.
    """
    if not configured:
        return ""
    match = _MENTION.fullmatch(configured.strip())
    if match is None:
        return literal(configured, 100)
    if match["user"]:
        return f"<@{match['user']}>"
    if match["team"]:
        return f"<!subteam^{match['team']}>"
    return f"<!{(match['group'] or match['at']).lstrip('!')}>"


def date(at: float, fallback: str) -> str:
    """A moment (seconds since the epoch) in the reader's own time zone."""
    if not 0 <= at < 2**33:
        return escape(fallback)
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time_secs}}|{escape(fallback)}>"


def header(text: str, emoji: str) -> Block:
    """`emoji` is a shortcode such as `:x:`. Headers are plain text and cannot be escaped."""
    room = HEADER - units(emoji) - 1
    shown = _escaped(_EMOJI.sub(_LOOK_ALIKE[":"], text), room, _IN_HEADER)
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": f"{emoji} {shown}", "emoji": True},
    }


def section(lines: Iterable[str]) -> Block:
    """Lines of mrkdwn made of the parts above; a line that does not fit any more is left out."""
    return {"type": "section", "text": _mrkdwn("\n".join(fitting(lines, SECTION)))}


def fitting(lines: Iterable[str], limit: int) -> list[str]:
    """Those of `lines` that fit into `limit` together, in order, without empty ones."""
    kept: list[str] = []
    room = limit + 1  # the last line has no line break
    for line in lines:
        if line and units(line) + 1 <= room:
            kept.append(line)
            room -= units(line) + 1
    return kept


def fields(pairs: Iterable[tuple[str, str]]) -> Block:
    """Label and mrkdwn value pairs in two columns; those beyond `FIELDS` are left out."""
    texts = ["\n".join(fitting([f"*{label}*", value], FIELD)) for label, value in pairs]
    return {"type": "section", "fields": [_mrkdwn(text) for text in texts[:FIELDS]]}


def context(texts: Iterable[str]) -> Block:
    """Small print: mrkdwn texts beside each other."""
    shown = [text for text in texts if units(text) <= CONTEXT_TEXT][:CONTEXT_ELEMENTS]
    return {"type": "context", "elements": [_mrkdwn(text) for text in shown]}


def message(fallback: str, blocks: list[Block]) -> dict[str, Any]:
    """The webhook's payload; `fallback` (plain) is what a notification on a phone shows."""
    return {
        "text": literal(fallback, FALLBACK),
        "blocks": blocks[:BLOCKS],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: names such as @here or #general in the text are not made into mentions
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _escaped(text: str, limit: int, table: dict[str, str]) -> str:
    whole = text.translate({ord(character): piece for character, piece in table.items()})
    if units(whole) <= limit:
        return whole
    pieces: list[str] = []
    used = 0
    for character in text:
        piece = table.get(character, character)
        used += units(piece)
        if used > limit:
            return _cut(pieces, limit)
        pieces.append(piece)
    return "".join(pieces)


def _cut(pieces: list[str], limit: int) -> str:
    """`pieces` without the last ones, and `…`, within `limit`; empty where nothing fits."""
    if limit < 1:
        return ""
    used = sum(units(piece) for piece in pieces)
    while pieces and used + 1 > limit:
        used -= units(pieces.pop())
    return "".join(pieces) + "…"


def _safe_url(url: str) -> str:
    """`url` fit for `<url|…>`, or empty if it is no http address or too long."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return ""
    safe = quote(url, safe="%/:?#[]@!$'()*+,;=~&", errors="replace").replace("&", "&amp;")
    return safe if units(safe) <= URL else ""
