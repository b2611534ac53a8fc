"""What AWS wraps around our messages: SNS invocations of a Lambda."""

from __future__ import annotations

from typing import Any

from slipway.contracts.errors import InvalidMessage


def sns_messages(event: Any) -> list[str]:
    """The message texts of an SNS event, in order; InvalidMessage if it is not one."""
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records:
        raise InvalidMessage("Records", "must be a list of SNS records")
    return [_message(record, f"Records[{index}]") for index, record in enumerate(records)]


def _message(record: Any, path: str) -> str:
    sns = record.get("Sns") if isinstance(record, dict) else None
    message = sns.get("Message") if isinstance(sns, dict) else None
    if not isinstance(message, str):
        raise InvalidMessage(f"{path}.Sns.Message", "must be a string")
    return message
