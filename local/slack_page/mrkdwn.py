"""Slack's mrkdwn as HTML: bold, italic, struck, code, quotes, links, mentions, dates, emoji.

Rules: https://docs.slack.dev/messaging/formatting-message-text. Code and `<…>` are taken out first
and put back last, so that nothing inside them is taken for markup; everything else is escaped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import datetime, timedelta

from local.slack_page.emoji import CHARACTERS

_TOKEN = re.compile(
    r"```\n?(?P<fence>.*?)\n?```|`(?P<code>[^`\n]+)`|<(?P<angle>[^<>\n]+)>|:(?P<emoji>[a-z0-9_+-]+):",
    re.DOTALL,
)
_PLACE = re.compile("\ue000(\\d+)\ue001")
_MARKS = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), r"<b>\1</b>"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])"), r"<i>\1</i>"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), r"<s>\1</s>"),
)
_QUOTE = re.compile(r"^(?:&gt; ?)(.*)$", re.MULTILINE)
_URL = re.compile(r"(?:https?://|mailto:)\S+", re.IGNORECASE)
_DATE = re.compile(r"!date\^(\d{1,12})\^([^^|]*)(?:\^[^|]*)?(?:\|(.*))?")

Tokens = Callable[[datetime], str]


def mrkdwn_html(text: str, now: datetime) -> str:
    """The HTML of a mrkdwn text. `now` (aware): dates are said relative to it, in its zone."""
    kept: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        kept.append(_token_html(match, now))
        return f"\ue000{len(kept) - 1}\ue001"

    clean = text.replace("\ue000", "").replace("\ue001", "")
    shown = html.escape(_entities(_TOKEN.sub(put_aside, clean)), quote=True)
    for mark, replacement in _MARKS:
        shown = mark.sub(replacement, shown)
    shown = _QUOTE.sub(r"<q>\1</q>", shown).replace("</q>\n", "</q>").replace("\n", "<br>")
    return _PLACE.sub(lambda match: kept[int(match[1])], shown)


def plain_html(text: str, *, emoji: bool) -> str:
    """The HTML of a plain_text object."""
    shown = html.escape(_entities(text), quote=True).replace("\n", "<br>")
    return re.sub(r":([a-z0-9_+-]+):", lambda m: _emoji(m[1]), shown) if emoji else shown


def _token_html(match: re.Match[str], now: datetime) -> str:
    if match["fence"] is not None:
        return f"<pre>{_escaped(match['fence'])}</pre>"
    if match["code"] is not None:
        return f"<code>{_escaped(match['code'])}</code>"
    if match["emoji"] is not None:
        return _emoji(match["emoji"])
    return _angle_html(match["angle"], now)


def _angle_html(inside: str, now: datetime) -> str:
    date = _DATE.fullmatch(inside)
    if date:
        return f"<time>{_escaped(_date(int(date[1]), date[2], date[3] or '', now))}</time>"
    target, _, label = inside.partition("|")
    if target.startswith(("!", "@", "#")):
        return f'<span class="mention">{_escaped(_mention(target, label))}</span>'
    if not _URL.fullmatch(target):
        return _escaped(f"<{inside}>")
    return f'<a href="{_escaped(target)}" rel="noreferrer">{_escaped(label or target)}</a>'


def _mention(target: str, label: str) -> str:
    name = label or target[1:].removeprefix("subteam^")
    return ("#" if target[0] == "#" else "@") + name.lstrip("@#")


def _date(seconds: int, form: str, fallback: str, now: datetime) -> str:
    """Slack's date tokens, as far as they are used here; the fallback for any other form."""
    try:
        at = datetime.fromtimestamp(seconds, now.tzinfo)
    except (OverflowError, OSError, ValueError):
        return fallback
    tokens = {
        "{date_short_pretty}": _day(at, now),
        "{date_num}": at.strftime("%Y-%m-%d"),
        "{time}": at.strftime("%H:%M"),
        "{time_secs}": at.strftime("%H:%M:%S"),
    }
    for token, value in tokens.items():
        form = form.replace(token, value)
    return fallback if "{" in form else form


def _day(at: datetime, now: datetime) -> str:
    if at.date() == now.date():
        return "Today"
    if at.date() == (now - timedelta(days=1)).date():
        return "Yesterday"
    return f"{at:%b} {at.day}, {at.year}"


def _emoji(name: str) -> str:
    character = CHARACTERS.get(name)
    if character is None:
        return f":{html.escape(name)}:"
    return f'<span class="emoji" title=":{name}:">{character}</span>'


def _escaped(text: str) -> str:
    return html.escape(_entities(text), quote=True)


def _entities(text: str) -> str:
    """Slack knows three entities; what looks like another is text."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
