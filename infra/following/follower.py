"""The follower: ECS's and CodeDeploy's events call it, and the follow queue; it takes a step."""

from __future__ import annotations

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as event_sources
from constructs import Construct

from infra.following.follow_queue import FOLLOWER_TIMEOUT, FollowQueue
from infra.function import SlipwayFunction
from infra.permissions.arns import Arns
from infra.permissions.rollouts import PUBLISH, TABLE, Rollouts
from infra.permissions.statements import (
    Allow,
    allow,
    assume,
    find_queues,
    publish,
    send_to,
    use_table,
    work_on_queue,
    write_logs,
)
from infra.shared import Shared

SOURCES = ["aws.codedeploy", "aws.ecs"]
DETAIL_TYPES = [
    "CodeDeploy Deployment State-change Notification",
    "ECS Deployment State Change",
    "ECS Hook State Change",
]
"""AWS: 'Amazon ECS service deployment state change events', '… hook state change events', and
CodeDeploy's 'Monitoring deployments with Amazon CloudWatch Events'.

The function looks whose event it is: a pattern holds 2,048 characters, and many services more.
"""


class Follower:
    """Made in the stack's own scope. Attribute: `function`."""

    def __init__(
        self,
        stack: Construct,
        *,
        shared: Shared,
        arns: Arns,
        rollouts: Rollouts,
        follow: FollowQueue,
    ) -> None:
        self._shared, self._arns = shared, arns
        self.function = SlipwayFunction(
            stack,
            "Follower",
            name="follower",
            shared=shared,
            description="Slipway: a rollout is seen to its end.",
            statements=[*self._statements(), *rollouts.statements],
            shared_policies=rollouts.shared,
            timeout=FOLLOWER_TIMEOUT,
        )
        self.function.function.add_event_source(
            event_sources.SqsEventSource(follow.queue, batch_size=1)
        )
        events.Rule(
            stack,
            "DeploymentMoved",
            description="Slipway: ECS or CodeDeploy got on with a deployment.",
            event_pattern=events.EventPattern(source=SOURCES, detail_type=DETAIL_TYPES),
            targets=[
                targets.LambdaFunction(self.function.function, dead_letter_queue=shared.undelivered)
            ],
        )

    def _statements(self) -> list[Allow]:
        c, arns, names = self._shared.configuration, self._arns, self._shared.names
        topics = [arns.topic(names.close_topic), arns.topic(names.request_topic)]
        repositories = sorted({i.repository.name for p in c.pipelines for i in p.images})
        return [
            work_on_queue("ReadFollowMessages", arns.queue(names.follow_queue)),
            find_queues(arns.queue(names.follow_queue), arns.queue(names.build_dead_letters)),
            send_to(arns.queue(names.follow_queue), "LookAgain"),
            send_to(arns.queue(names.build_dead_letters), "GiveUpRequests"),
            use_table(arns.table, TABLE),
            publish(PUBLISH, topics),
            assume("ReadTips", arns.tip_role),
            # Whether there is the image of a build that was; what runs is tagged.
            allow(
                "TagImages",
                ["ecr:BatchGetImage", "ecr:PutImage"],
                [arns.image_repository(name) for name in repositories],
            ),
            write_logs(arns.log_group(names.build_log_group), "WriteBuildLogs"),
        ]
