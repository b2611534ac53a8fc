"""Moments as they stand in names: deployment ids, image tags, labels. Always UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_stamp(now: float) -> str:
    """`YYYYMMDDHHMMSS`. `now`: seconds since the epoch."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%d%H%M%S")


def utc_text(now: float) -> str:
    """RFC 3339 to the second."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
