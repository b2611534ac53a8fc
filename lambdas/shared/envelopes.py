"""What AWS wraps around our messages: SNS invocations of a Lambda."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.contracts.errors import InvalidMessage


@dataclass(frozen=True)
class SnsMessage:
    """A message's text, and its attributes that are strings."""

    text: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def sns_messages(event: Any) -> list[SnsMessage]:
    """The messages of an SNS event, in order; InvalidMessage if it is not one."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records:
        raise InvalidMessage("Records", "must be a list of SNS records")
    return [_message(record, f"Records[{index}]") for index, record in enumerate(records)]


def _message(record: Any, path: str) -> SnsMessage:
    sns = record.get("Sns") if isinstance(record, dict) else None
    text = sns.get("Message") if isinstance(sns, dict) else None
    if sns is None or not isinstance(text, str):
        raise InvalidMessage(f"{path}.Sns.Message", "must be a string")
    return SnsMessage(text, _attributes(sns.get("MessageAttributes")))


def _attributes(given: Any) -> dict[str, str]:
    values = given.items() if isinstance(given, dict) else ()
    found = {name: each.get("Value") for name, each in values if isinstance(each, dict)}
    return {name: value for name, value in found.items() if isinstance(value, str)}
