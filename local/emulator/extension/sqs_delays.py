"""Gap closed: a message may be delayed for as long as one likes, where SQS ends at 15 minutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import sqs

from local.emulator.extension.private import need, wrap

Data = dict[str, Any]
LONGEST = 900
"""Seconds, for SendMessage, SendMessageBatch and a queue's own DelaySeconds."""


def bounded(send: Callable[[Data, str], Data]) -> Callable[[Data, str], Data]:
    """SendMessage (each entry of a batch goes through it too) that refuses a longer delay."""

    def sent(data: Data, queue_url: str) -> Data:
        delay = data.get("DelaySeconds")
        if delay is not None and not 0 <= int(delay) <= LONGEST:
            raise sqs._Err(
                "InvalidParameterValue",
                f"Value {delay} for parameter DelaySeconds is invalid. "
                f"Reason: DelaySeconds must be >= 0 and <= {LONGEST}.",
            )
        return send(data, queue_url)

    return sent


def install() -> None:
    """Put the bound before both ways to send."""
    need(sqs, "_Err")
    wrap(sqs, "_act_send_message", bounded)
    need(sqs, "_HANDLERS")["SendMessage"] = sqs._act_send_message
