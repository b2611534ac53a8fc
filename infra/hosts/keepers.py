"""The functions that wake and stop the hosts: starter, stopper, and the reconciler as the net."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.following.follow_queue import FollowQueue
from infra.function import SlipwayFunction
from infra.permissions.arns import Arns
from infra.permissions.statements import (
    Allow,
    assume,
    count_messages,
    publish,
    see_hosts,
    send_to,
    start_hosts,
    stop_hosts,
    use_table,
)
from infra.requests.request_queue import Requests
from infra.requests.topics import Topic
from infra.shared import Shared

STOPPER_TIMEOUT = cdk.Duration.seconds(50)
"""Of whoever may claim a stop: shorter than limits.stopClaim, which must outlive the claimer."""


class HostKeepers:
    """Made in the stack's own scope.

    Attributes: `starter`, `stopper`, `reconciler`.
    """

    def __init__(
        self,
        stack: Construct,
        *,
        shared: Shared,
        arns: Arns,
        instances: Sequence[ec2.CfnInstance],
        requests: Requests,
        follow: FollowQueue,
        close_topic: Topic,
    ) -> None:
        self._stack, self._shared, self._arns = stack, shared, arns
        self._host_ids = [instance.ref for instance in instances]
        self._host_arns = [arns.prod("ec2", f"instance/{i}") for i in self._host_ids]
        self._environment = {
            "SLIPWAY_HOSTS": cdk.Fn.join(",", self._host_ids),
            "SLIPWAY_BUILD_QUEUE_URL": requests.queue.queue_url,
        }
        self._starter(requests.topic)
        self._stopper(close_topic)
        self._reconciler(follow)
        self._events()

    def _starter(self, request_topic: Topic) -> None:
        self.starter = SlipwayFunction(
            self._stack,
            "Starter",
            name="starter",
            shared=self._shared,
            description="Slipway: a build request wakes a host.",
            statements=[
                *self._decide("ConditionCheckItem", "PutItem", "UpdateItem", counts=False),
                *self._start_hosts(),
            ],
            environment=self._environment,
            timeout=cdk.Duration.seconds(60),
        )
        request_topic.to_function(self.starter.function)

    def _stopper(self, close_topic: Topic) -> None:
        self.stopper = SlipwayFunction(
            self._stack,
            "Stopper",
            name="stopper",
            shared=self._shared,
            description="Slipway: a host without work is stopped.",
            statements=[
                *self._decide("UpdateItem"),
                stop_hosts(self._host_arns),
            ],
            environment=self._environment,
            timeout=STOPPER_TIMEOUT,
        )
        close_topic.to_function(self.stopper.function, only={"kind": ["idle"]})

    def _reconciler(self, follow: FollowQueue) -> None:
        names = self._shared.names
        topics = [self._arns.topic(names.request_topic), self._arns.topic(names.close_topic)]
        self.reconciler = SlipwayFunction(
            self._stack,
            "Reconciler",
            name="reconciler",
            shared=self._shared,
            description="Slipway: mends what a lost event left behind.",
            statements=[
                *self._decide(
                    "BatchGetItem", "ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"
                ),
                *self._start_hosts(),
                stop_hosts(self._host_arns),
                publish("PublishRequestsAndAlerts", topics),
                send_to(self._arns.queue(names.follow_queue), "LookAtRollouts"),
                assume("ReadTips", self._arns.tip_role),
            ],
            environment={
                **self._environment,
                "SLIPWAY_FOLLOW_QUEUE_URL": follow.queue.queue_url,
            },
            timeout=STOPPER_TIMEOUT,
        )

    def _events(self) -> None:
        """When the reconciler looks: every few minutes, and when a host has stopped."""
        shared = self._shared
        target = targets.LambdaFunction(
            self.reconciler.function, dead_letter_queue=shared.undelivered
        )
        minutes = shared.configuration.lambdas.reconcile_every_minutes
        events.Rule(
            self._stack,
            "Every",
            description="Slipway: look whether anything was lost.",
            schedule=events.Schedule.rate(cdk.Duration.minutes(minutes)),
            targets=[target],
        )
        events.Rule(
            self._stack,
            "HostStopped",
            description="Slipway: a host has stopped; is there work by now?",
            event_pattern=events.EventPattern(
                source=["aws.ec2"],
                detail_type=["EC2 Instance State-change Notification"],
                detail={"state": ["stopped"], "instance-id": self._host_ids},
            ),
            targets=[target],
        )

    def _decide(self, *table_actions: str, counts: bool = True) -> list[Allow]:
        """What whoever decides about hosts has to see, and which rows it moves.

        `counts`: the queue's, too; the starter has a request in its hand already.
        """
        queue = self._arns.queue(self._shared.names.build_queue)
        return [
            use_table(self._arns.table, ("Query", *table_actions)),
            *([count_messages(queue)] if counts else []),
            see_hosts(),
        ]

    def _start_hosts(self) -> list[Allow]:
        configuration = self._shared.configuration
        key = configuration.build_host.volume_key
        return start_hosts(self._host_arns, key, configuration.prod_region)
