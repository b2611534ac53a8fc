"""A webhook's payload as the HTML of one message, block by block, as Slack lays it out."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.slack_page.mrkdwn import mrkdwn_html, plain_html


def message_html(payload: Mapping[str, Any], received_at: float, now: datetime) -> str:
    """One message. Without blocks the text is shown; with blocks it is only the notification's."""
    blocks = payload.get("blocks")
    body = (
        "".join(_block(block, now) for block in blocks)
        if blocks
        else f'<div class="section">{mrkdwn_html(str(payload.get("text", "")), now)}</div>'
    )
    at = datetime.fromtimestamp(received_at, UTC).astimezone(now.tzinfo)
    return (
        '<article class="message"><div class="avatar" aria-hidden="true">S</div><div class="body">'
        '<div class="by"><b>Slipway</b><span class="app">APP</span>'
        f'<time datetime="{at.isoformat()}">{at:%H:%M:%S}</time></div>{body}</div></article>'
    )


def _block(block: Mapping[str, Any], now: datetime) -> str:
    match block["type"]:
        case "header":
            return f"<h2>{_text(block['text'], now)}</h2>"
        case "section":
            return f'<div class="section">{_section(block, now)}</div>'
        case "context":
            parts = "".join(f"<span>{_text(e, now)}</span>" for e in block["elements"])
            return f'<div class="context">{parts}</div>'
        case "divider":
            return "<hr>"
    return f'<div class="section">(a block of type {html.escape(str(block["type"]))})</div>'


def _section(block: Mapping[str, Any], now: datetime) -> str:
    text = f"<div>{_text(block['text'], now)}</div>" if "text" in block else ""
    fields = "".join(f"<div>{_text(field, now)}</div>" for field in block.get("fields", []))
    return text + (f'<div class="fields">{fields}</div>' if fields else "")


def _text(text: Mapping[str, Any], now: datetime) -> str:
    if text["type"] == "mrkdwn":
        return mrkdwn_html(text["text"], now)
    return plain_html(text["text"], emoji=text.get("emoji", True))
