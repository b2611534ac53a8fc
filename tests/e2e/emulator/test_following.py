"""What calls the follower of rollouts: a filtered topic, a delayed queue, ECS's events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.waiting import wait_for
from tests.e2e.emulator.world import (
    PROD,
    REGION,
    World,
    allow,
    error_code,
    function_resource,
    role_resource,
)

HEAR = """
import json

def handler(event, context):
    print("heard " + json.dumps(event))
    if event.get("Records") and event["Records"][0]["body"] == "poison":
        raise RuntimeError("asked to fail")
"""
LOGS = allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
READ = allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
MAX_DELAY = 900
"""Seconds: SQS's longest delay of a message."""
LIVES = 4
"""Seconds that a run may take, and that its message is not seen by others."""


def queue(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name, **properties}}


def filtered(name: str, *values: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::SNS::Subscription",
        "Properties": {
            "TopicArn": {"Ref": "Topic"},
            "Protocol": "sqs",
            "Endpoint": {"Fn::GetAtt": [name, "Arn"]},
            "RawMessageDelivery": True,
            "FilterPolicy": {"builder": list(values)},
        },
    }


@pytest.fixture(scope="module")
def stack(world: World) -> dict[str, str]:
    """A topic with two filtered queues; a function behind a queue and behind ECS's events."""
    taken_from_sns = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    follower = function_resource("follower", "Role", HEAR)
    follower["Properties"]["Timeout"] = LIVES
    dead = {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 2}
    return world.deploy(
        "following",
        {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "requests"}},
            "Build": queue("with-builder"),
            "Alone": queue("without-builder"),
            "Takes": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [{"Ref": "Build"}, {"Ref": "Alone"}],
                    "PolicyDocument": {"Version": "2012-10-17", "Statement": [taken_from_sns]},
                },
            },
            "ForBuild": filtered("Build", {"exists": False}, "yes"),
            "ForAlone": filtered("Alone", "no"),
            "Dead": queue("follow-dead"),
            "Follow": queue("follow", VisibilityTimeout=LIVES, RedrivePolicy=dead),
            "Role": role_resource("follower", "lambda.amazonaws.com", LOGS, READ),
            "Follower": follower,
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "FunctionName": {"Ref": "Follower"},
                    "EventSourceArn": {"Fn::GetAtt": ["Follow", "Arn"]},
                    "BatchSize": 1,
                },
            },
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "EventPattern": {
                        "source": ["aws.ecs"],
                        "detail-type": ["ECS Deployment State Change", "ECS Hook State Change"],
                    },
                    "Targets": [{"Id": "f", "Arn": {"Fn::GetAtt": ["Follower", "Arn"]}}],
                },
            },
            "Lets": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "Action": "lambda:InvokeFunction",
                    "FunctionName": {"Ref": "Follower"},
                    "Principal": "events.amazonaws.com",
                    "SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]},
                },
            },
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "followed"}},
        },
    )


def publish(world: World, text: str, **attributes: str) -> None:
    world.root("sns").publish(
        TopicArn=f"arn:aws:sns:{REGION}:{PROD}:requests",
        Message=text,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )


def heard(world: World) -> list[dict[str, Any]]:
    """Every event that the function was run with, in order."""
    try:
        lines = world.root("logs").filter_log_events(logGroupName="/aws/lambda/follower")["events"]
    except ClientError:
        return []
    said = [line["message"].partition("heard ")[2] for line in lines]
    return [json.loads(text) for text in said if text]


def records(world: World, body: str) -> list[dict[str, Any]]:
    """The messages with this body that the function was run with."""
    batches = [event["Records"] for event in heard(world) if "Records" in event]
    return [record for batch in batches for record in batch if record["body"] == body]


def test_a_topic_sends_each_queue_what_its_filter_asks_for(world, stack):
    # GIVEN requests that need a builder, that need none, and one of somebody who does not say
    publish(world, "of an old stack", kind="request")
    publish(world, "a push", kind="request", builder="yes")
    publish(world, "a rollback", kind="request", builder="no")
    # WHEN / THEN each comes raw to the queue that is for it, and only there
    asked = sorted(world.receive(stack["Build"]) for _ in range(2))
    assert asked == ["a push", "of an old stack"]
    assert world.receive(stack["Alone"]) == "a rollback"
    # AND a message without any attribute passes no filter, `exists: false` included, as in AWS
    publish(world, "without attributes")
    publish(world, "the last", kind="request")
    assert world.receive(stack["Build"]) == "the last"
    nothing = world.root("sqs").receive_message(QueueUrl=stack["Alone"])
    assert "Messages" not in nothing


def test_a_message_is_read_after_its_delay_alone(world, stack):
    # GIVEN two messages that are to be looked at later
    sqs = world.root("sqs")
    for body in ("first look", "second look"):
        sqs.send_message(QueueUrl=stack["Follow"], MessageBody=body, DelaySeconds=2)

    # WHEN both were read
    def read() -> list[dict[str, Any]]:
        return records(world, "first look") + records(world, "second look")

    first, second = wait_for("both", lambda: read() if len(read()) == 2 else None, seconds=30)
    # THEN neither was before its time, and each had a run of its own
    for record in (first, second):
        times = record["attributes"]
        late = int(times["ApproximateFirstReceiveTimestamp"]) - int(times["SentTimestamp"])
        assert late >= 2000
        assert times["ApproximateReceiveCount"] == "1"
    batches = [len(event["Records"]) for event in heard(world) if "Records" in event]
    assert set(batches) == {1}


def test_a_message_waits_fifteen_minutes_at_most(world):
    # GIVEN a message with the longest delay
    sqs = world.root("sqs")
    url = sqs.create_queue(QueueName="later")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=MAX_DELAY)
    # WHEN the queue is read / THEN it is there, and nobody gets it
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    counted = "ApproximateNumberOfMessagesDelayed"
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[counted])["Attributes"]
    assert counts == {counted: "1"}
    # AND a longer one is refused, one by one and in a batch
    with pytest.raises(ClientError) as refused:
        sqs.send_message(QueueUrl=url, MessageBody="too late", DelaySeconds=MAX_DELAY + 1)
    assert error_code(refused.value) == "InvalidParameterValue"
    entry = {"Id": "a", "MessageBody": "too late", "DelaySeconds": MAX_DELAY + 1}
    answer = sqs.send_message_batch(QueueUrl=url, Entries=[entry])
    assert [one["Code"] for one in answer["Failed"]] == ["InvalidParameterValue"]


def test_what_the_function_cannot_do_is_a_dead_letter_in_the_end(world, stack):
    # GIVEN a message that no run survives / WHEN
    world.root("sqs").send_message(QueueUrl=stack["Follow"], MessageBody="poison")
    # THEN it was read again when it was visible again, as often as the queue allows, then put away
    assert world.receive(stack["Dead"], seconds=30) == "poison"

    def counts() -> list[str]:
        read = records(world, "poison")
        return sorted(one["attributes"]["ApproximateReceiveCount"] for one in read)

    wait_for("both runs", lambda: counts() == ["1", "2"], seconds=10)


def test_a_queue_is_not_read_where_its_messages_come_back_too_early(world, stack):
    # GIVEN a queue whose messages come back before a run must have ended
    resources = {
        "Early": queue("early", VisibilityTimeout=LIVES - 1),
        "Mapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "FunctionName": "follower",
                "EventSourceArn": {"Fn::GetAtt": ["Early", "Arn"]},
            },
        },
    }
    # WHEN a stack maps it / THEN CloudFormation takes it back and says why, as in AWS
    assert world.try_to_deploy("early", resources) == "ROLLBACK_COMPLETE"
    events = world.root("cloudformation").describe_stack_events(StackName="early")["StackEvents"]
    said = " ".join(event.get("ResourceStatusReason", "") for event in events)
    why = f"visibility timeout: {LIVES - 1} seconds is less than Function timeout: {LIVES} seconds"
    assert why in said
    # AND so does the API
    arn = f"arn:aws:sqs:{REGION}:{PROD}:early"
    sqs = world.root("sqs")
    sqs.create_queue(QueueName="early", Attributes={"VisibilityTimeout": str(LIVES - 1)})
    with pytest.raises(ClientError, match="is less than Function timeout") as refused:
        world.root("lambda").create_event_source_mapping(
            FunctionName="follower", EventSourceArn=arn
        )
    assert error_code(refused.value) == "InvalidParameterValueException"


def test_the_function_hears_of_a_services_deployments(world, stack):
    # GIVEN a service (without Docker, a deployment ends at once)
    ecs = world.root("ecs")
    container = {"name": "app", "image": "none:1", "essential": True}
    for _ in range(2):
        ecs.register_task_definition(family="followed", containerDefinitions=[container])
    created = ecs.create_service(
        cluster="followed", serviceName="shop", taskDefinition="followed:1", desiredCount=1
    )
    # WHEN it is updated
    updated = ecs.update_service(cluster="followed", service="shop", taskDefinition="followed:2")

    # THEN the function hears of both deployments, of each its begin and its end
    def told(service: dict[str, Any]) -> list[str]:
        new = service["deployments"][0]["id"]
        details = [event["detail"] for event in heard(world) if "detail" in event]
        return sorted(one["eventName"] for one in details if one["deploymentId"] == new)

    both = ["SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_IN_PROGRESS"]
    for service in (created["service"], updated["service"]):
        wait_for("the events", lambda service=service: told(service) == both, seconds=15)
    last = next(event for event in reversed(heard(world)) if "detail" in event)
    assert last["resources"] == [created["service"]["serviceArn"]]
    assert (last["source"], last["account"], last["region"]) == ("aws.ecs", PROD, REGION)
