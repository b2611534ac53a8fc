"""Where build requests come in and wait: the request topic, the build queue, its dead letters."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.permissions.arns import Arns
from infra.permissions.statements import trust_roles
from infra.queues import dead_letter_queue, work_queue
from infra.requests.topics import Topic
from infra.shared import Shared
from slipway.contracts.requesting import BUILD_QUEUE_TAKES

MAX_RECEIVES = 200
"""The backstop for a request that kills the agent; what fails is given up long before."""


class Requests:
    """Made in the stack's own scope. Attributes: `topic`, `queue`, `dead_letters`."""

    def __init__(self, stack: Construct, *, shared: Shared, arns: Arns) -> None:
        names, configuration = shared.names, shared.configuration
        self.dead_letters = dead_letter_queue(
            stack,
            "BuildDeadLetters",
            name=names.build_dead_letters,
            differences=shared.differences,
            key=shared.key,
        )
        self.queue = work_queue(
            stack,
            "Build",
            name=names.build_queue,
            visibility=cdk.Duration.seconds(configuration.limits.visibility),
            dead_letters=self.dead_letters,
            max_receive_count=MAX_RECEIVES,
            differences=shared.differences,
            key=shared.key,
        )
        self.topic = Topic(stack, "Request", name=names.request_topic, shared=shared)
        trigger = trust_roles(
            configuration.dev.account, configuration.partition, [arns.trigger_role]
        )
        self.topic.let_role_publish("PushesOfDev", trigger)
        self.topic.to_queue(self.queue, only=BUILD_QUEUE_TAKES)
