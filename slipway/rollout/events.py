"""What a service's events say: why ECS does not get on, and that the service is steady."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

SLACK = 1.0
"""Seconds that an event's time may be before its deployment's, which ECS notes separately."""
LONGEST = 600
"""Characters of an event that are told."""

_STEADY = "has reached a steady state"
_TROUBLE = re.compile(
    r"unable|unavailable|unhealthy|fail|insufficient|error|exceed|limit|denied|cannot|could not"
    r"|missing|no container instances",
    re.IGNORECASE,
)
_USUAL = re.compile(
    r"has (started|stopped|begun draining|reached a steady state)|stopped \d+ |registered \d+ "
    r"|deployment (completed|in progress)|rolling back to|updated (computed)?desiredcount",
    re.IGNORECASE,
)
"""How ECS says that all goes its way (ECS developer guide, 'service event messages')."""
_NAMES_SERVICE = re.compile(r"^\(service [^)]*\) ")


def trouble(raw: Mapping[str, Any], *, since: float | None) -> str | None:
    """The newest event of DescribeServices' `raw` service that says why it does not get on.

    `since`: epoch seconds; older events are of what was before. A message that is neither known as
    usual nor has a word of trouble counts: it is what ECS has to say.
    """
    for message in _messages(raw, since):
        text = _NAMES_SERVICE.sub("", " ".join(message.split())).rstrip(". ")
        if text and (_TROUBLE.search(text) or not _USUAL.search(text)):
            return text[:LONGEST]
    return None


def says_steady(raw: Mapping[str, Any], *, since: float | None) -> bool:
    """Whether ECS has said since then that the service reached a steady state."""
    return any(_STEADY in message for message in _messages(raw, since))


def _messages(raw: Mapping[str, Any], since: float | None) -> Iterator[str]:
    """The messages since then, the newest first, as ECS lists them."""
    for event in raw.get("events") or []:
        at: Any = event.get("createdAt")
        at = at.timestamp() if hasattr(at, "timestamp") else at
        if since is None or at is None or float(at) >= since - SLACK:
            yield str(event.get("message") or "")
