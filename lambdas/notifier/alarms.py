"""A CloudWatch alarm's SNS message as a close notice, so that both are told in one way.

Members: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-notification-format
(`AlarmName`, `AlarmArn`, `NewStateValue`, `OldStateValue`, `NewStateReason`, `StateChangeTime` …).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import Alert, CloseNotice

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")

BIRTH = 3600.0
"""Seconds after an alarm was made within which it may have its first data."""


def is_alarm(body: Mapping[str, Any]) -> bool:
    """Whether it is an alarm's message."""
    return "AlarmName" in body and "NewStateValue" in body


def alarm_notice(body: Mapping[str, Any]) -> CloseNotice | None:
    """The notice of an alarm's change of state, or None for one that is not worth a notice.

    An alarm that is told of missing data (`InsufficientDataActions`) watches a heartbeat: no data
    is its trouble. A new alarm goes from INSUFFICIENT_DATA to OK, which ends no trouble.
    InvalidMessage for a body that lacks what CloudWatch always sends.
    """
    name, state = _text(body, "AlarmName"), _text(body, "NewStateValue")
    changed = _text(body, "StateChangeTime")
    if state not in STATES:
        raise InvalidMessage("NewStateValue", f"must be one of {', '.join(STATES)}, not {state!r}")
    trouble = {"ALARM", "INSUFFICIENT_DATA"} if body.get("InsufficientDataActions") else {"ALARM"}
    if state not in trouble and (
        state != "OK" or body.get("OldStateValue") not in trouble or _is_born(body)
    ):
        return None
    alarm_arn = str(body.get("AlarmArn") or name)
    return CloseNotice(
        kind="alert",
        notice_id="alarm/" + _digest(alarm_arn, changed, state),
        alert=Alert(
            kind="alarm",
            subject=name,
            text=_said(body, state),
            at=_seconds(body, "StateChangeTime"),
            recovered=state == "OK",
        ),
    )


def _is_born(body: Mapping[str, Any]) -> bool:
    """Whether the alarm has left INSUFFICIENT_DATA for the first time."""
    made = "AlarmConfigurationUpdatedTimestamp"
    if body.get("OldStateValue") != "INSUFFICIENT_DATA" or made not in body:
        return False
    return _seconds(body, "StateChangeTime") - _seconds(body, made) < BIRTH


def _said(body: Mapping[str, Any], state: str) -> str:
    """What the alarm is for (as its author described it), and why it changed."""
    described = str(body.get("AlarmDescription") or "").strip() if state != "OK" else ""
    reason = str(body.get("NewStateReason") or "").strip()
    return " — ".join(text for text in (described, reason) if text)


def _seconds(body: Mapping[str, Any], name: str) -> float:
    """CloudWatch writes `2026-11-21T09:40:00.123+0000`; other writers of ISO 8601 are read, too."""
    text = _text(body, name)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise InvalidMessage(name, f"{text!r} is not a time") from None


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidMessage(name, "must be a text that is not empty")
    return value


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
