"""The queue that calls the follower: the next look at a rollout, and what needs no builder."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.queues import dead_letter_queue, work_queue
from infra.requests.topics import Topic
from infra.shared import Shared
from slipway.contracts.requesting import FOLLOW_QUEUE_TAKES

FOLLOWER_TIMEOUT = cdk.Duration.seconds(30)
"""A step ends within 10 s; the rest is for a slow answer of AWS's."""

VISIBILITY = cdk.Duration.seconds(6 * FOLLOWER_TIMEOUT.to_seconds())
"""Six times the timeout: what AWS advises for a queue that feeds a function."""

MAX_RECEIVES = 200
"""Ten hours at that pace, as patient as the notices queue.

What the world failed is counted in the deployment's row, which gives up after six hours: this is
the backstop for a message that nobody can read, or that kills the function.
"""


class FollowQueue:
    """Made in the stack's own scope. Attributes: `queue`, `dead_letters`."""

    def __init__(self, stack: Construct, *, shared: Shared, request_topic: Topic) -> None:
        names = shared.names
        self.dead_letters = dead_letter_queue(
            stack,
            "FollowDeadLetters",
            name=names.follow_dead_letters,
            differences=shared.differences,
            key=shared.key,
        )
        self.queue = work_queue(
            stack,
            "Follow",
            name=names.follow_queue,
            visibility=VISIBILITY,
            dead_letters=self.dead_letters,
            max_receive_count=MAX_RECEIVES,
            differences=shared.differences,
            key=shared.key,
        )
        request_topic.to_queue(self.queue, only=FOLLOW_QUEUE_TAKES)
