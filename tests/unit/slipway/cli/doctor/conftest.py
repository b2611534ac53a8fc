"""The installation that `slipway doctor` looks at."""

from __future__ import annotations

import json

import pytest

from slipway.contracts.requesting import FOLLOW_QUEUE_TAKES
from tests.unit.slipway.cli.doctor.installation import (
    ROLE,
    add_services,
    publish_policy,
    takes_requests,
)
from tests.unit.slipway.cli.world import PROD, REGION, World, commit_of


@pytest.fixture
def whole(world: World) -> World:
    """An installation with nothing wrong: one host asleep, `shop` deployed, `api` not yet."""
    world.client("sns").set_topic_attributes(
        TopicArn=world.installation.request_topic_arn,
        AttributeName="Policy",
        AttributeValue=json.dumps(publish_policy(principal={"AWS": ROLE})),
    )
    for topic, ends in (
        ("request", (("lambda", "slipway-starter"),)),
        ("close", (("lambda", "slipway-stopper"), ("sqs", "slipway-notices"))),
    ):
        for protocol, name in ends:
            middle = ":function:" if protocol == "lambda" else ":"
            world.client("sns").subscribe(
                TopicArn=f"arn:aws:sns:{REGION}:{PROD}:slipway-{topic}",
                Protocol=protocol,
                Endpoint=f"arn:aws:{protocol}:{REGION}:{PROD}{middle}{name}",
            )
    world.client("sns").subscribe(
        TopicArn=world.installation.request_topic_arn,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:{PROD}:slipway-follow",
        Attributes={"FilterPolicy": json.dumps(FOLLOW_QUEUE_TAKES)},
    )
    for queue in ("build", "follow"):
        takes_requests(world, f"slipway-{queue}", dead_letters=f"slipway-{queue}-dead-letters")
    world.client("ssm").put_parameter(Name="/slipway/slack-webhook", Value="x", Type="SecureString")
    host = world.add_host()
    world.client("ec2").stop_instances(InstanceIds=[host])
    add_services(world)
    world.tips |= {"shop-repository": commit_of(1).id, "api-repository": commit_of(2).id}
    world.runs("shop", world.deployed("shop", 1))
    world.table.pipelines.change("shop", running_task_definition="shop:7")
    return world
