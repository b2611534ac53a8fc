"""A webhook's payload as the HTML of one message, block by block, as Slack lays it out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from local.slack_page.pages import page


def message_html(payload: Mapping[str, Any], received_at: float, now: datetime) -> Markup:
    """One message. Without blocks the text is shown; with blocks it is only the notification's."""
    at = datetime.fromtimestamp(received_at, UTC).astimezone(now.tzinfo)
    return page("message", payload=payload, at=at, now=now)
