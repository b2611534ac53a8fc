"""One POST to a Slack incoming webhook, and what Slack answered.

The webhook's URL is a secret: it is in no text that leaves this module, not even inside an error
of the HTTP library (which likes to quote it).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3

from slipway.contracts.errors import WorldFailed

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 7.0
DEFAULT_RETRY_AFTER = 30.0
"""Seconds to wait after a 429 without (or with an unreadable) Retry-After."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Slack's answer; `retry_after` in seconds, of a 429 only."""

    status: int
    text: str = ""
    retry_after: float = 0.0


Post = Callable[[str, Mapping[str, Any]], Answer]
"""Posts a payload to a webhook URL; WorldFailed if no answer came."""


class SlackClient:
    """Posts over a connection that is kept between invocations."""

    def __init__(self) -> None:
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False)

    def post(self, url: str, payload: Mapping[str, Any]) -> Answer:
        """Redirects are not followed: they would carry the notice somewhere else."""
        body = json.dumps(payload, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            response = self._pool.request("POST", url, body=body, headers=headers, redirect=False)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise WorldFailed(f"Slack did not answer ({type(error).__name__})") from None
        return Answer(
            status=response.status,
            text=response.data[:80].decode(errors="replace"),
            retry_after=retry_after(response.status, response.headers.get("Retry-After")),
        )


def retry_after(status: int, value: str | None) -> float:
    """Seconds to wait, of a 429's header: Slack sends whole seconds."""
    if status != 429:
        return 0.0
    text = (value or "").strip()
    return float(text) if text.isdecimal() and len(text) < 7 else DEFAULT_RETRY_AFTER


def check_webhook(url: str, *, allow_local: bool) -> str | None:
    """What is wrong with a webhook's URL, without a word of it; None if nothing is.

    `allow_local`: http to 127.0.0.1, as the local run's Slack page has it, is allowed too.
    """
    try:
        parts = urlsplit(url)
        port_is_wrong = parts.port == 0
    except ValueError:
        return "is not a URL"
    if any(c.isspace() or not c.isprintable() for c in url) or port_is_wrong:
        return "is not a URL"
    if parts.username is not None or not parts.hostname:
        return "is not a URL of a webhook"
    if parts.scheme == "https":
        return None
    if parts.scheme == "http" and parts.hostname == "127.0.0.1" and allow_local:
        return None
    return "must begin with https://"
