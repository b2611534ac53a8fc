"""What reaches a Lambda, how often, with whose permission, and where the rest goes."""

from __future__ import annotations

import json

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

# Fails as often as the message says, counted in a file that outlives a worker.
FLAKY = """
import json, os, pathlib, tempfile

def handler(event, context):
    wanted = json.loads(event["Records"][0]["Sns"]["Message"])
    seen = pathlib.Path(tempfile.gettempdir(), wanted["name"])
    runs = len(seen.read_text()) if seen.exists() else 0
    seen.write_text("x" * (runs + 1))
    print("subject", event["Records"][0]["Sns"]["Subject"])
    if runs < wanted["failures"]:
        raise RuntimeError("asked to fail")
    print("done", wanted["name"], "after", runs, "failures")
"""
QUIET = "def handler(event, context):\n    print('ran')\n"
LOGS = allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")


def queue(name: str) -> dict:
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}


def subscription(function: str, dead: str) -> dict:
    return {
        "Type": "AWS::SNS::Subscription",
        "Properties": {
            "TopicArn": {"Ref": "Topic"},
            "Protocol": "lambda",
            "Endpoint": {"Fn::GetAtt": [function, "Arn"]},
            "FilterPolicy": {"to": [function]},
            "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]}},
        },
    }


def permission(function: str, service: str, source: dict) -> dict:
    return {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Ref": function},
            "Principal": service,
            "SourceArn": source,
        },
    }


@pytest.fixture(scope="module")
def stack(world: World) -> dict[str, str]:
    """A topic, a flaky function that it may invoke, another that it may not, and where they end."""
    return world.deploy(
        "delivery",
        {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "delivery"}},
            "Failed": queue("delivery-failed"),
            "Dead": queue("delivery-dead"),
            "DeadTakes": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [{"Ref": "Dead"}],
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "sns.amazonaws.com"},
                                "Action": "sqs:SendMessage",
                                "Resource": "*",
                            }
                        ],
                    },
                },
            },
            "Role": role_resource(
                "flaky",
                "lambda.amazonaws.com",
                LOGS,
                allow("sqs:SendMessage", resource={"Fn::GetAtt": ["Failed", "Arn"]}),
            ),
            "Flaky": function_resource("flaky", "Role", FLAKY),
            "FlakyAllowed": permission("Flaky", "sns.amazonaws.com", {"Ref": "Topic"}),
            "FlakySubscription": subscription("Flaky", "Dead"),
            "Retries": {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {
                    "FunctionName": {"Ref": "Flaky"},
                    "Qualifier": "$LATEST",
                    "DestinationConfig": {
                        "OnFailure": {"Destination": {"Fn::GetAtt": ["Failed", "Arn"]}}
                    },
                },
            },
            "Closed": function_resource("closed", "Role", QUIET),
            "ClosedSubscription": subscription("Closed", "Dead"),
        },
    )


def publish(world: World, to: str, **message: object) -> None:
    world.root("sns").publish(
        TopicArn=f"arn:aws:sns:{REGION}:{PROD}:delivery",
        Message=json.dumps(message),
        MessageAttributes={"to": {"DataType": "String", "StringValue": to}},
    )


def await_line(world: World, group: str, text: str) -> str:
    """A line of a log group that has the text."""

    def found() -> str | None:
        try:
            events = world.root("logs").filter_log_events(logGroupName=group)["events"]
        except ClientError:
            return None
        return next((event["message"] for event in events if text in event["message"]), None)

    return wait_for(f"{text!r} in {group}", found, seconds=15)


def test_a_function_that_fails_is_run_again(world, stack):
    # GIVEN a function that fails twice / WHEN
    publish(world, "Flaky", name="twice", failures=2)
    # THEN its third run is good, and a message without a subject has null
    assert await_line(world, "/aws/lambda/flaky", "done twice after 2 failures")
    assert await_line(world, "/aws/lambda/flaky", "subject None")


def test_what_fails_for_good_goes_to_the_destination(world, stack):
    # GIVEN a function that always fails / WHEN
    publish(world, "Flaky", name="always", failures=9)
    # THEN the destination gets the event and why
    given_up = json.loads(world.receive(stack["Failed"], seconds=20))
    assert given_up["requestContext"]["condition"] == "RetriesExhausted"
    message = given_up["requestPayload"]["Records"][0]["Sns"]["Message"]
    assert json.loads(message)["name"] == "always"


def test_a_killed_run_is_a_failed_run(world, stack):
    # GIVEN the next run of the function is killed / WHEN
    world.internal("POST", "faults", {"service": "lambda-run", "action": "flaky", "times": 1})
    publish(world, "Flaky", name="killed", failures=0)
    # THEN the one after it does the work
    assert await_line(world, "/aws/lambda/flaky", "done killed after 0 failures")


def test_a_function_without_a_permission_is_not_run(world, stack):
    # GIVEN a function that SNS may not invoke / WHEN
    publish(world, "Closed", name="closed", failures=0)
    # THEN the message is in the subscription's dead letters
    dead = json.loads(world.receive(stack["Dead"]))
    assert json.loads(dead["Message"])["name"] == "closed"


def test_a_queue_is_read_only_if_the_functions_role_may(world):
    # GIVEN a mapping of a queue to a function whose role may not read queues
    deployed = world.deploy(
        "mapping",
        {
            "Queue": queue("mapped"),
            "Role": role_resource("mapped", "lambda.amazonaws.com", LOGS),
            "Function": function_resource("mapped", "Role", QUIET),
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                    "FunctionResponseTypes": ["ReportBatchItemFailures"],
                },
            },
        },
    )
    sqs, logs = world.root("sqs"), world.root("logs")
    sqs.send_message(QueueUrl=deployed["Queue"], MessageBody="one")
    # WHEN the mapping has been looked at
    log = world.emulator.settings.log_file
    assert wait_for("a refusal", lambda: "mapped lacks sqs:" in log.read_text(), seconds=10)
    # THEN the function has not run
    with pytest.raises(ClientError) as nothing:
        logs.filter_log_events(logGroupName="/aws/lambda/mapped")
    assert error_code(nothing.value) == "ResourceNotFoundException"
    # WHEN its role may read the queue / THEN it runs
    role_policy = allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    world.root("iam").put_role_policy(
        RoleName="mapped",
        PolicyName="queue",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [role_policy]}),
    )
    assert await_line(world, "/aws/lambda/mapped", "ran")


def test_logs_are_written_only_if_the_functions_role_may(world):
    # GIVEN a function whose role may not write logs
    world.deploy(
        "silent",
        {
            "Role": role_resource("silent", "lambda.amazonaws.com"),
            "Function": function_resource("silent", "Role", QUIET),
        },
    )
    # WHEN it runs
    world.root("lambda").invoke(FunctionName="silent")
    # THEN there is no log
    with pytest.raises(ClientError) as nothing:
        world.root("logs").filter_log_events(logGroupName="/aws/lambda/silent")
    assert error_code(nothing.value) == "ResourceNotFoundException"


def test_an_email_is_kept(world, stack):
    # GIVEN an address that has subscribed, with a text of its own
    sns, topic = world.root("sns"), f"arn:aws:sns:{REGION}:{PROD}:delivery"
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="team@example.com")
    # WHEN
    sns.publish(
        TopicArn=topic,
        Subject="Deployed",
        Message=json.dumps({"default": "{}", "email": "It runs."}),
        MessageStructure="json",
    )
    # THEN
    emails = [mail for mail in world.internal("GET", "emails") if mail["subject"] == "Deployed"]
    assert [(mail["to"], mail["body"]) for mail in emails] == [("team@example.com", "It runs.")]


def test_dead_letters_are_sent_back_and_raise_an_alarm(world):
    # GIVEN a queue whose message was received too often, and an alarm on its dead letters
    dead_arn = f"arn:aws:sqs:{REGION}:{PROD}:work-dead"
    deployed = world.deploy(
        "redrive",
        {
            "Dead": queue("work-dead"),
            "Work": {
                "Type": "AWS::SQS::Queue",
                "Properties": {
                    "QueueName": "work",
                    "RedrivePolicy": {
                        "deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]},
                        "maxReceiveCount": 1,
                    },
                },
            },
            "Other": queue("never-empty"),
            "Alarm": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {
                    "AlarmName": "work-dead",
                    "Namespace": "AWS/SQS",
                    "MetricName": "ApproximateNumberOfMessagesVisible",
                    "Dimensions": [{"Name": "QueueName", "Value": "work-dead"}],
                    "Statistic": "Maximum",
                    "Period": 60,
                    "EvaluationPeriods": 1,
                    "Threshold": 0,
                    "ComparisonOperator": "GreaterThanThreshold",
                },
            },
        },
    )
    sqs = world.root("sqs")
    sqs.send_message(QueueUrl=deployed["Other"], MessageBody="of no concern to the alarm")
    sqs.send_message(QueueUrl=deployed["Work"], MessageBody="poison")
    taken = sqs.receive_message(QueueUrl=deployed["Work"])["Messages"][0]
    sqs.change_message_visibility(
        QueueUrl=deployed["Work"], ReceiptHandle=taken["ReceiptHandle"], VisibilityTimeout=0
    )
    assert "Messages" not in sqs.receive_message(QueueUrl=deployed["Work"])

    # WHEN the queues' metrics are next published / THEN the alarm is raised
    def raised() -> bool:
        alarms = world.root("cloudwatch").describe_alarms(AlarmNames=["work-dead"])
        return bool(alarms["MetricAlarms"][0]["StateValue"] == "ALARM")

    assert wait_for("the alarm", raised, seconds=15)
    # WHEN the dead letters are moved / THEN the message is back where it came from
    sqs.start_message_move_task(SourceArn=dead_arn)
    assert world.receive(deployed["Work"]) == "poison"
    moved = sqs.list_message_move_tasks(SourceArn=dead_arn)["Results"][0]
    assert moved["ApproximateNumberOfMessagesMoved"] == 1


def test_a_services_fault_ends(world):
    # GIVEN a service that fails once
    fault = {"service": "ecs", "action": "ListClusters", "times": 1}
    world.internal("POST", "faults", {**fault, "code": "ThrottlingException", "status": 400})
    # WHEN / THEN
    with pytest.raises(ClientError) as failed:
        world.root("ecs").list_clusters()
    assert error_code(failed.value) == "ThrottlingException"
    assert "clusterArns" in world.root("ecs").list_clusters()
