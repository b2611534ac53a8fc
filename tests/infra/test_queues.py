"""Subscriptions, queues and rules: who hears what, and where it is kept if nobody does."""

from __future__ import annotations

import json
from typing import Any

from lambdas.notifier.delivery import Verdict
from lambdas.notifier.handler import pause_of
from slipway.following.backoff import LOCKED_DELAY
from tests.infra.templates import Stacks, Template, resource_statements, resources, text


def test_what_a_subscription_does_not_get_is_kept(full: Stacks) -> None:
    # GIVEN all subscriptions: to build, follow and notices queue, to two functions, to one address
    subscriptions = resources(full.prod, "AWS::SNS::Subscription").values()
    assert len(subscriptions) == 8
    # THEN none is without the queue for it
    queues = {text(s["RedrivePolicy"]["deadLetterTargetArn"]) for s in subscriptions}
    assert queues == {"${Undelivered.Arn}"}
    # AND each topic may send to it, and each rule
    senders = {
        text(s.raw["Condition"]["ArnEquals"]["aws:SourceArn"])
        for s in resource_statements(full.prod)
        if s.owner == "${Undelivered}" and s.raw["Effect"] == "Allow"
    }
    rules = ("DeploymentMoved", "Every", "HostStopped")
    topics = ("RequestTopic", "CloseTopic", "AlarmTopic")
    assert senders == {*(f"${{{r}.Arn}}" for r in rules), *(f"${{{t}}}" for t in topics)}


def test_subscriptions_hear_what_is_for_them(full: Stacks) -> None:
    heard = {
        (s["Protocol"], text(s["TopicArn"]), text(s["Endpoint"])): (
            s.get("FilterPolicy"),
            s.get("RawMessageDelivery", False),
        )
        for s in resources(full.prod, "AWS::SNS::Subscription").values()
    }
    people = {"kind": ["deployment", "alert"]}
    told = {**people, "silent": [{"exists": False}]}  # some pipelines have paths
    may_build = {"builder": [{"exists": False}, "yes"]}
    assert heard == {
        ("sqs", "${RequestTopic}", "${Build.Arn}"): (may_build, True),
        ("sqs", "${RequestTopic}", "${Follow.Arn}"): ({"builder": ["no"]}, True),
        ("lambda", "${RequestTopic}", "${StarterFunction.Arn}"): (None, False),
        ("lambda", "${CloseTopic}", "${StopperFunction.Arn}"): ({"kind": ["idle"]}, False),
        ("sqs", "${CloseTopic}", "${Notices.Arn}"): (people, True),
        ("email", "${CloseTopic}", "ops@example.com"): (told, False),
        ("sqs", "${AlarmTopic}", "${Notices.Arn}"): (None, True),
        ("email", "${AlarmTopic}", "ops@example.com"): (None, False),
    }


def test_every_rule_keeps_what_it_cannot_deliver(full: Stacks) -> None:
    for template in full.both:
        for rule in resources(template, "AWS::Events::Rule").values():
            assert all("DeadLetterConfig" in target for target in rule["Targets"])


def test_a_day_without_slack_loses_no_notice(full: Stacks) -> None:
    # GIVEN the notifier's pauses: from 10 s, doubled, up to 15 minutes
    queue = _queue(full.prod, "slipway-stage-notices")
    receives = queue["RedrivePolicy"]["maxReceiveCount"]
    outage = sum(pause_of(Verdict(done=False, why=""), n) for n in range(1, receives))
    # THEN all receives together outlast a day, and the queue keeps messages longer than that
    assert outage > 86400
    assert queue["MessageRetentionPeriod"] > outage


def test_what_follows_is_called_by_the_queue_one_message_at_a_time(full: Stacks) -> None:
    queue = _queue(full.prod, "slipway-stage-follow")
    (function,) = [
        f
        for f in resources(full.prod, "AWS::Lambda::Function").values()
        if f["FunctionName"] == "slipway-stage-follower"
    ]
    (mapping,) = [
        m
        for m in resources(full.prod, "AWS::Lambda::EventSourceMapping").values()
        if text(m["EventSourceArn"]) == "${Follow.Arn}"
    ]
    assert mapping["BatchSize"] == 1
    assert text(mapping["FunctionName"]) == "${FollowerFunction}"
    # AND as AWS advises: six runs fit into the time that a message is hidden
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    # AND the row gives up before the queue does
    patience = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]
    assert patience > full.configuration.limits.give_up_after
    assert queue["MessageRetentionPeriod"] > patience
    dead = full.prod["Resources"][queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
    assert dead["Properties"]["QueueName"] == "slipway-stage-follow-dead-letters"


PATTERN_LIMIT = 2048
"""EventBridge: characters of an event pattern."""


def test_the_follower_hears_of_every_deployment_of_ecs_and_codedeploy(full: Stacks) -> None:
    (rule,) = [
        r
        for r in resources(full.prod, "AWS::Events::Rule").values()
        if text(r["Targets"][0]["Arn"]) == "${FollowerFunction.Arn}"
    ]
    # GIVEN the words of AWS's own event, as its developer guides print them
    assert rule["EventPattern"] == {
        "source": ["aws.codedeploy", "aws.ecs"],
        "detail-type": [
            "CodeDeploy Deployment State-change Notification",
            "ECS Deployment State Change",
            "ECS Hook State Change",
        ],
    }
    # THEN no number of pipelines makes it too long
    assert len(json.dumps(rule["EventPattern"])) < PATTERN_LIMIT
    # AND EventBridge may put what it cannot deliver where its rule says
    dead = text(rule["Targets"][0]["DeadLetterConfig"]["Arn"])
    assert dead == "${Undelivered.Arn}"


def test_the_build_queue_outlasts_a_long_night(full: Stacks) -> None:
    queue = _queue(full.prod, "slipway-stage-build")
    assert queue["VisibilityTimeout"] == full.configuration.limits.visibility
    assert queue["MessageRetentionPeriod"] == 14 * 86400
    # AND a run that hangs with the pipeline's lock wears out less than half of the receives
    receives = full.configuration.limits.no_progress / LOCKED_DELAY
    assert queue["RedrivePolicy"]["maxReceiveCount"] > 2 * receives


def test_the_reconciler_hears_of_our_hosts_alone(full: Stacks) -> None:
    rules = resources(full.prod, "AWS::Events::Rule").values()
    (schedule,) = [r["ScheduleExpression"] for r in rules if "ScheduleExpression" in r]
    assert schedule == "rate(5 minutes)"
    (pattern,) = [
        r["EventPattern"]
        for r in rules
        if "EventPattern" in r and text(r["Targets"][0]["Arn"]) == "${ReconcilerFunction.Arn}"
    ]
    assert pattern["detail"]["state"] == ["stopped"]
    assert len(pattern["detail"]["instance-id"]) == 3


def _queue(template: Template, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        q for q in resources(template, "AWS::SQS::Queue").values() if q["QueueName"] == name
    ]
    (queue,) = found
    return queue
