"""`slipway redrive`: each dead letter takes its own way back, or stays and is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.contracts.messages import Alert, BuildRequest, CloseNotice, FollowMessage
from slipway.contracts.table.requests import Settled
from tests.unit.slipway.cli.aws.agents import published
from tests.unit.slipway.cli.world import NOW, World

REQUEST = BuildRequest(
    request_id="a" * 32, pipeline="shop", pushed_by="ada", pushed_at=NOW, reason="push"
)


def put(world: World, queue: str, body: str) -> None:
    world.client("sqs").send_message(QueueUrl=world.queues[queue], MessageBody=body)


def held(world: World, queue: str) -> list[str]:
    """Bodies that can be received from the queue now."""
    answer = world.client("sqs").receive_message(
        QueueUrl=world.queues[queue], MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [m["Body"] for m in answer.get("Messages", [])]


def count(world: World, queue: str) -> int:
    """Messages of the queue, received ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = world.client("sqs").get_queue_attributes(
        QueueUrl=world.queues[queue], AttributeNames=names
    )
    return sum(int(answer["Attributes"][name]) for name in names)


def _failure(function: str, event: Any) -> str:
    """The record of an on-failure destination, as AWS documents it."""
    context = {
        "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
        "functionArn": f"arn:aws:lambda:us-east-1:222222222222:function:{function}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }
    return json.dumps({"version": "1.0", "requestContext": context, "requestPayload": event})


def _notice(kind: str) -> str:
    if kind == "idle":
        return CloseNotice(
            kind="idle", notice_id="idle:1", host_id="i-0123456789abcdef0", boot="b", idle_number=1
        ).to_json()
    alert = Alert(kind="awake_long", subject="i-0123456789abcdef0", text="awake", at=NOW)
    return CloseNotice(kind="alert", notice_id="alert:1", alert=alert).to_json()


@pytest.fixture
def invoked(world: World) -> list[tuple[str, Any]]:
    """Lambda invocations, by function and payload."""
    calls: list[tuple[str, Any]] = []

    def invoke(request: dict[str, Any]) -> Any:
        assert request["InvocationType"] == "Event"
        calls.append((request["FunctionName"], json.loads(request["Payload"])))
        return {"StatusCode": 202}

    world.answers["Invoke"] = invoke
    return calls


def test_a_request_is_published_again_and_leaves_the_dead_letters(world: World) -> None:
    # GIVEN a request that was received too often, and never settled
    put(world, "slipway-build-dead-letters", REQUEST.to_json())

    # WHEN
    result = world.run("redrive")

    # THEN it is asked for under its own id
    assert result.exit_code == 0, result.output
    assert published(world) == [REQUEST]
    assert count(world, "slipway-build-dead-letters") == 0


def test_what_could_not_be_sent_on_is_not_deleted(world: World) -> None:
    # GIVEN a request topic that takes nothing
    def refuse(request: dict[str, Any]) -> Any:
        raise ClientError({"Error": {"Code": "InternalError", "Message": "down"}}, "Publish")

    world.answers["Publish"] = refuse
    put(world, "slipway-build-dead-letters", REQUEST.to_json())

    # WHEN, THEN
    assert world.run("redrive").exit_code == 3
    assert count(world, "slipway-build-dead-letters") == 1


def test_a_request_that_was_given_up_on_is_asked_for_anew(world: World) -> None:
    # GIVEN a dead letter whose request is settled: under its id nobody would look at it
    settled = Settled(request_id="a" * 32, outcome="gave_up", pipeline="shop", settled_at=NOW)
    world.table.requests.settle([settled], kept=86400)
    put(world, "slipway-build-dead-letters", REQUEST.to_json())

    # WHEN
    world.run("redrive")

    # THEN
    (request,) = published(world)
    assert request.request_id != REQUEST.request_id
    assert (request.pipeline, request.target) == (REQUEST.pipeline, REQUEST.target)


def test_a_dry_run_lists_and_changes_nothing(world: World) -> None:
    put(world, "slipway-build-dead-letters", REQUEST.to_json())

    result = world.run("redrive", "--dry-run", "--json")

    (told,) = json.loads(result.stdout)["dead_letters"]
    assert (told["queue"], told["what"]) == ("slipway-build-dead-letters", "request")
    assert published(world) == []
    assert held(world, "slipway-build-dead-letters") == [REQUEST.to_json()]


def test_an_undelivered_request_is_read_from_its_sns_envelope(world: World) -> None:
    envelope = {"Type": "Notification", "Message": REQUEST.to_json()}
    put(world, "slipway-undelivered", json.dumps(envelope))

    assert world.run("redrive").exit_code == 0
    assert published(world) == [REQUEST]


def test_an_undelivered_notice_goes_back_to_the_notices_queue(world: World) -> None:
    # GIVEN a close notice and an alarm of CloudWatch's, as the queue should have had them
    bodies = [_notice("alert"), '{"AlarmName": "slipway-failures", "NewStateValue": "ALARM"}']
    for body in bodies:
        put(world, "slipway-undelivered", body)

    assert world.run("redrive").exit_code == 0
    assert sorted(held(world, "slipway-notices")) == sorted(bodies)


def test_an_undelivered_e_mail_stays_and_is_told(world: World) -> None:
    # GIVEN a notice that an address did not get: nothing can send it there again
    put(
        world,
        "slipway-undelivered",
        json.dumps({"Type": "Notification", "Message": "shop is live"}),
    )

    result = world.run("redrive")

    assert result.exit_code == 1
    assert "is an e-mail" in result.output
    assert held(world, "slipway-notices") == []


@pytest.mark.parametrize(
    "body",
    [
        FollowMessage(deployment_id="shop-20261118110640-0a1b2c", step=3).to_json(),
        replace(REQUEST, reason="rollback").to_json(),
    ],
)
def test_what_the_follower_was_to_look_at_goes_back_to_its_queue(world: World, body: str) -> None:
    put(world, "slipway-follow-dead-letters", body)

    assert world.run("redrive").exit_code == 0
    assert held(world, "slipway-follow") == [body]
    assert count(world, "slipway-follow-dead-letters") == 0


def test_what_reached_neither_the_follow_queue_nor_the_follower_is_told_apart(
    world: World, invoked: list[tuple[str, Any]]
) -> None:
    # GIVEN, in one queue, a request that SNS had, and an event that EventBridge had
    event = {"detail-type": "ECS Deployment State Change", "source": "aws.ecs", "detail": {}}
    put(world, "slipway-undelivered", json.dumps(event))
    put(world, "slipway-undelivered", REQUEST.to_json())

    assert world.run("redrive").exit_code == 0
    assert invoked == [("slipway-follower", event)]
    assert published(world) == [REQUEST]


@pytest.mark.parametrize(
    "event",
    [
        {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}},
        {
            "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2",
            "detail": {},
        },
    ],
)
def test_what_the_reconciler_did_not_hear_it_hears_again(
    world: World, invoked: list[tuple[str, Any]], event: dict[str, Any]
) -> None:
    put(world, "slipway-undelivered", json.dumps(event))

    assert world.run("redrive").exit_code == 0
    assert invoked == [("slipway-reconciler", event)]


def test_a_notice_goes_back_to_the_notices_queue(world: World) -> None:
    put(world, "slipway-notices-dead-letters", '{"any": "notice"}')

    assert world.run("redrive").exit_code == 0
    assert held(world, "slipway-notices") == ['{"any": "notice"}']


def test_an_event_that_a_lambda_failed_on_invokes_it_again(
    world: World, invoked: list[tuple[str, Any]]
) -> None:
    # GIVEN the record of an on-failure destination, and an undelivered idle notice
    event = {"Records": [{"Sns": {"Message": "{}"}}]}
    put(world, "slipway-failures", _failure("slipway-starter", event))
    idle = {"Type": "Notification", "Message": _notice("idle")}
    put(world, "slipway-undelivered", json.dumps(idle))

    # WHEN
    result = world.run("redrive")

    # THEN each goes to its function, in the shape that it expects
    assert result.exit_code == 0, result.output
    payloads = dict(invoked)
    assert payloads["slipway-starter"] == event
    assert payloads["slipway-stopper"]["Records"][0]["Sns"] == idle


@pytest.mark.parametrize("function", ["slipway-stage-starter", "slipway-notifier", ""])
def test_an_event_of_another_function_stays_and_is_told(
    world: World, invoked: list[tuple[str, Any]], function: str
) -> None:
    put(world, "slipway-failures", _failure(function, {"any": "event"}))

    result = world.run("redrive")

    assert result.exit_code == 1
    assert "requestContext.functionArn" in result.output
    assert invoked == []


def test_a_record_of_another_shape_stays_and_is_told(world: World) -> None:
    put(world, "slipway-failures", json.dumps({"requestContext": "x", "requestPayload": {}}))

    result = world.run("redrive")

    assert result.exit_code == 1
    assert "cannot be read, invalid message: requestContext.functionArn" in result.output
    assert count(world, "slipway-failures") == 1


@pytest.mark.parametrize("body", ["not json", "[]", '{"schema": 99}'])
def test_what_cannot_be_read_stays_and_is_told(world: World, body: str) -> None:
    put(world, "slipway-build-dead-letters", body)

    result = world.run("redrive")

    assert result.exit_code == 1
    assert "cannot be read, invalid message" in result.output
    assert held(world, "slipway-build-dead-letters") == [body]


def test_only_the_named_queue_is_redriven(world: World) -> None:
    put(world, "slipway-build-dead-letters", REQUEST.to_json())

    assert world.run("redrive", "--queue", "slipway-notices-dead-letters").exit_code == 0
    assert published(world) == []
    unknown = world.run("redrive", "--queue", "slipway-build")
    assert unknown.exit_code == 2
    assert "must be one of slipway-build-dead-letters" in unknown.output


def test_discard_removes_what_cannot_be_read_and_nothing_else(world: World) -> None:
    # GIVEN one that can be read and one that cannot
    queue = "slipway-build-dead-letters"
    put(world, queue, REQUEST.to_json())
    put(world, queue, "not json")

    # WHEN nobody can be asked, THEN all stays
    refused = world.run("redrive", "--discard")
    assert refused.exit_code == 2
    assert "give --yes" in refused.output
    assert count(world, queue) == 2

    # WHEN it was said beforehand
    result = world.run("redrive", "--discard", "--yes")

    # THEN what it held was shown, and only the readable one is left, for the next redrive
    assert result.exit_code == 0, result.output
    assert "not json" in result.output
    assert "1 removed" in result.output
    assert held(world, queue) == [REQUEST.to_json()]
    assert published(world) == []


def test_discard_with_a_dry_run_removes_nothing(world: World) -> None:
    put(world, "slipway-build-dead-letters", "not json")

    result = world.run("redrive", "--discard", "--yes", "--dry-run")

    assert "0 removed, 1 left" in result.output
    assert held(world, "slipway-build-dead-letters") == ["not json"]
