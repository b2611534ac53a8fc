"""The functions that wake and end whoever builds: starter, stopper, the reconciler as the net."""

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
    allow,
    assume,
    count_messages,
    publish,
    run_builders,
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


FINAL = ("FAILED", "FAULT", "STOPPED", "SUCCEEDED", "TIMED_OUT")
"""What a build of CodeBuild ends as (botocore's model: `StatusType` without IN_PROGRESS)."""


class Keepers:
    """Made in the stack's own scope.

    Without `instances` nothing of EC2, and no stopper: a builder of CodeBuild ends by itself.
    The reconciler then drains the build queue.
    Attributes: `starter`, `stopper` (None without hosts), `reconciler`.
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
        self._uses_code_build = shared.configuration.builders.uses_code_build
        self._environment = {
            "SLIPWAY_HOSTS": cdk.Fn.join(",", self._host_ids) if self._host_ids else "",
            "SLIPWAY_BUILD_QUEUE_URL": requests.queue.queue_url,
        }
        if self._uses_code_build:
            self._environment["SLIPWAY_BUILDER_PROJECT"] = shared.names.builder_project
        self._starter(requests.topic)
        self.stopper = self._stopper(close_topic) if self._host_ids else None
        self._reconciler(follow, requests)
        self._events()

    def _starter(self, request_topic: Topic) -> None:
        self.starter = SlipwayFunction(
            self._stack,
            "Starter",
            name="starter",
            shared=self._shared,
            description=self._of_starter,
            statements=[
                *self._decide(
                    *(("BatchGetItem",) if self._drains else ()),
                    *("ConditionCheckItem", "PutItem", "UpdateItem"),
                    counts=False,
                ),
                *self._start_hosts(),
                *self._run_builders(),
            ],
            environment=self._environment,
            timeout=cdk.Duration.seconds(60),
        )
        request_topic.to_function(self.starter.function)

    @property
    def _of_starter(self) -> str:
        wakes = "wakes a host" if self._host_ids else "starts a builder"
        return f"Slipway: a build request {wakes}."

    def _stopper(self, close_topic: Topic) -> SlipwayFunction:
        stopper = SlipwayFunction(
            self._stack,
            "Stopper",
            name="stopper",
            shared=self._shared,
            description="Slipway: a host without work is stopped.",
            statements=[
                *self._decide("UpdateItem", asks=False),
                stop_hosts(self._host_arns),
            ],
            environment=self._environment,
            timeout=STOPPER_TIMEOUT,
        )
        close_topic.to_function(stopper.function, only={"kind": ["idle"]})
        return stopper

    def _reconciler(self, follow: FollowQueue, requests: Requests) -> None:
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
                *([stop_hosts(self._host_arns)] if self._host_arns else []),
                *self._run_builders("StopBuild"),
                *self._drain(),
                publish("PublishRequestsAndAlerts", topics),
                send_to(self._arns.queue(names.follow_queue), "LookAtRollouts"),
                assume("ReadTips", self._arns.tip_role),
            ],
            environment={
                **self._environment,
                "SLIPWAY_FOLLOW_QUEUE_URL": follow.queue.queue_url,
                **self._given_up(requests),
            },
            timeout=STOPPER_TIMEOUT,
        )

    def _events(self) -> None:
        """When the reconciler looks: every few minutes, and when a host or a builder has ended."""
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
        if self._host_ids:
            self._host_stopped(target)
        if self._uses_code_build:
            self._builder_ended(target)

    def _host_stopped(self, target: targets.LambdaFunction) -> None:
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

    def _builder_ended(self, target: targets.LambdaFunction) -> None:
        events.Rule(
            self._stack,
            "BuilderEnded",
            description="Slipway: a builder has ended; is its work done, and does other work wait?",
            event_pattern=events.EventPattern(
                source=["aws.codebuild"],
                detail_type=["CodeBuild Build State Change"],
                detail={
                    "project-name": [self._shared.names.builder_project],
                    "build-status": list(FINAL),
                },
            ),
            targets=[target],
        )

    def _decide(self, *table_actions: str, counts: bool = True, asks: bool = True) -> list[Allow]:
        """What whoever decides has to see, and which rows it moves.

        `counts`: the queue's, too; the starter has a request in its hand already. `asks`: for
        builders; who is late then reads the row that another has moved.
        """
        builders = ("GetItem",) if asks and self._uses_code_build else ()
        queue = self._arns.queue(self._shared.names.build_queue)
        return [
            use_table(self._arns.table, ("Query", *builders, *table_actions)),
            *([count_messages(queue)] if counts else []),
            *([see_hosts()] if self._host_ids else []),
        ]

    def _start_hosts(self) -> list[Allow]:
        hosts = self._shared.configuration.hosts
        if hosts is None:
            return []
        region = self._shared.configuration.prod_region
        return start_hosts(self._host_arns, hosts.volume_key, region)

    def _run_builders(self, *others: str) -> list[Allow]:
        if not self._uses_code_build:
            return []
        return [run_builders(self._arns.builder_project, *others)]

    @property
    def _drains(self) -> bool:
        """Whether no host takes requests off the build queue: then the reconciler does."""
        return not self._host_ids

    def _given_up(self, requests: Requests) -> dict[str, str]:
        url = requests.dead_letters.queue_url
        return {"SLIPWAY_DEAD_LETTERS_URL": url} if self._uses_code_build else {}

    def _drain(self) -> list[Allow]:
        """Take requests off the queue where no host does, and keep those that are given up on."""
        if not self._uses_code_build:
            return []
        names = self._shared.names
        queue = self._arns.queue(names.build_queue)
        drained = ("sqs:ReceiveMessage", "sqs:DeleteMessage")
        return [
            *([allow("DrainRequests", drained, [queue])] if self._drains else []),
            send_to(self._arns.queue(names.build_dead_letters), "GiveUpRequests"),
        ]
