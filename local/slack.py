"""What arrived on the Slack page, as a test or the demo asks for it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.http import fetch

_DATE = re.compile(r"<!date\^[^|>]*\|([^>]*)>")


@dataclass(frozen=True)
class SlackMessage:
    """One message. `at`: when it arrived, seconds since the epoch; `lines`: its texts in order."""

    at: float
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def shown(self) -> str:
        """The text as Slack would show it, as far as a terminal can."""
        dated = _DATE.sub(r"\1", self.text)
        return html.unescape(dated).replace(":white_check_mark:", "✅").replace(":x:", "❌")

    def names(self, commit_id: str) -> bool:
        """Whether it is about that commit, which a message may shorten to 7 digits or more."""
        return commit_id[:7] in self.text


def slack_messages(slack_url: str) -> list[SlackMessage]:
    """All that was posted, oldest first; none if the page does not answer."""
    text = fetch(f"{slack_url}/messages.json")
    return [_message(item) for item in json.loads(text)] if text else []


def _message(item: dict[str, Any]) -> SlackMessage:
    payload = item["payload"]
    blocks = payload.get("blocks")
    lines = [*_texts(blocks)] if blocks else [str(payload.get("text", ""))]
    return SlackMessage(at=float(item["received_at"]), lines=tuple(lines))


def _texts(value: Any) -> Iterator[str]:
    """Every text of the blocks, depth first."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        text = value.get("text")
        if isinstance(text, str):
            yield text
        else:
            yield from _texts(text)
        for name in ("fields", "elements"):
            yield from _texts(value.get(name))
