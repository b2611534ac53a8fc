"""The follow queue: who looks at a rollout next, and when."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from slipway.contracts.messages import BuildRequest, FollowMessage
from slipway.contracts.names import Names

LONGEST_DELAY = 900
"""Seconds that SQS holds a message back at most (SQS API reference, SendMessage)."""


def follow_queue(sqs: Any, names: Names) -> Callable[[FollowMessage | BuildRequest, float], None]:
    """Sends a message to the installation's follow queue, to come after so many seconds.

    A request among them is one that may need no builder.
    """

    @functools.cache
    def url() -> str:
        return str(sqs.get_queue_url(QueueName=names.follow_queue)["QueueUrl"])

    def send(message: FollowMessage | BuildRequest, delay: float) -> None:
        seconds = max(0, min(LONGEST_DELAY, round(delay)))
        sqs.send_message(QueueUrl=url(), MessageBody=message.to_json(), DelaySeconds=seconds)

    return send
