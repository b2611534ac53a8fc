"""A rollout's state as JSON and back: what is written down between two steps."""

from __future__ import annotations

import json
from typing import Any

from slipway.contracts.codec import compact, decode
from slipway.contracts.errors import InvalidMessage
from slipway.rollout.state import VERSION, RolloutState


def to_json(state: RolloutState) -> str:
    """The state as JSON, without blanks."""
    return compact(state)


def from_json(text: str) -> RolloutState:
    """The state of which `to_json` made `text`.

    Raises InvalidMessage for what is none, and for a version that this code does not know: then it
    must be left as it is, for the code that knows it.
    """
    try:
        data: Any = json.loads(text)
    except ValueError:
        raise InvalidMessage("$", "must be JSON") from None
    version = data.get("version") if isinstance(data, dict) else None
    if version != VERSION:
        raise InvalidMessage("version", f"must be {VERSION}, not {version!r}")
    return decode(RolloutState, data)
