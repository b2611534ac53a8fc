"""Times as people give and read them: `--since 7d`, `28 min ago`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from slipway.contracts.errors import WrongUse
from slipway.contracts.wording import duration

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LENGTH = re.compile(r"(\d{1,5})\s*([mhdw])")


def since(text: str, now: float) -> float:
    """Seconds since the epoch that `text` means: `90m`, `24h`, `7d`, `2w`, or an ISO 8601 time.

    A date or time without an offset is UTC. WrongUse for anything else.
    """
    if match := _LENGTH.fullmatch(text.strip()):
        return now - int(match[1]) * _SECONDS[match[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise WrongUse(
            f"--since {text!r}: must be a length (90m, 24h, 7d, 2w) or a date (2026-11-21,"
            " 2026-11-21T10:30)"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def stamp(at: float) -> str:
    """`YYYYMMDDHHMMSS` in UTC, as in a deployment's id."""
    return datetime.fromtimestamp(max(at, 0.0), UTC).strftime("%Y%m%d%H%M%S")


def short_moment(at: float) -> str:
    """`2026-11-21 10:29` (UTC)."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def ago(at: float, now: float) -> str:
    """`28 min ago`: the larger unit is enough."""
    words = duration(now - at).split()
    return f"{words[0].partition('.')[0]} {words[1]} ago"
