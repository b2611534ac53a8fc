"""A fake of AWS that is asked, or answers, what AWS is not and does not fails its test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.validate import ParamValidator

from tests import conftest
from tests.aws.answers import AwsFake, NotAws, Sample, answered, expected, instead, refused
from tests.aws.wire import Fault, client_of

SIMULATE = {"PolicySourceArn": "arn:aws:iam::222222222222:role/host", "ActionNames": ["iam:Pass"]}
RESULT = {"EvalActionName": "iam:Pass", "EvalDecision": "allowed"}
INSTANCE = {"InstanceId": "i-1", "LaunchTime": datetime(2027, 1, 1, tzinfo=UTC)}
CREDENTIALS = {
    "AccessKeyId": "ASIAXXXXXXXXXXXXXXXX",
    "SecretAccessKey": "s",
    "SessionToken": "t",
    "Expiration": datetime(2027, 1, 1, tzinfo=UTC),
}
ASSUME = {"RoleArn": "arn:aws:iam::222222222222:role/x", "RoleSessionName": "me"}


def gives(value: Any) -> Callable[..., Any]:
    def answer(**_request: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return answer


def client_error(code: str, **told: str) -> Exception:
    error = refused("sqs", "ReceiveMessage", code)
    error.response["Error"] = {"Code": code, **told}  # type: ignore[typeddict-item]
    return error


@pytest.mark.parametrize(
    ("service", "operation", "request_", "answer", "says"),
    [
        # the answer that hid a fault of doctor's: no name of the action, no result of the role
        ("iam", "SimulatePrincipalPolicy", SIMULATE,
         {"EvaluationResults": [{"EvalResourceName": "r", "EvalDecision": "allowed"}]},
         "EvaluationResults.0: EvaluationResult needs ['EvalActionName']"),
        ("iam", "SimulatePrincipalPolicy", SIMULATE,
         {"EvaluationResults": [RESULT | {"EvalDecision": "denied"}]},
         "EvaluationResults.0.EvalDecision: 'denied' is none of"),
        ("iam", "SimulatePrincipalPolicy", SIMULATE,
         {"EvaluationResults": [RESULT | {"Decision": "allowed"}]}, "no member 'Decision'"),
        ("iam", "SimulatePrincipalPolicy", SIMULATE, {"EvaluationResults": RESULT},
         "EvaluationResults: a list is expected"),
        ("iam", "SimulatePrincipalPolicy", SIMULATE, None, "is expected, not None"),
        ("ec2", "DescribeInstances", {},
         {"Reservations": [{"Instances": [INSTANCE | {"State": {"Name": "asleep"}}]}]},
         "Reservations.0.Instances.0.State.Name: 'asleep' is none of"),
        ("ec2", "DescribeInstances", {},
         {"Reservations": [{"Instances": [INSTANCE | {"LaunchTime": 1.8e9}]}]},
         "LaunchTime: a timestamp is expected, not 1800000000.0"),
        ("sts", "AssumeRole", ASSUME,
         {"Credentials": {k: v for k, v in CREDENTIALS.items() if k != "Expiration"}},
         "Credentials needs ['Expiration']"),
        ("sqs", "ReceiveMessage", {"QueueUrl": "q"}, {"Messages": [{"Body": b"x"}]},
         "Messages.0.Body: a string is expected, not b'x'"),
        ("dynamodb", "GetItem", {"TableName": "arn", "Key": {"pk": {"S": "a"}}},
         {"Item": {"pk": {"S": "a", "N": "1"}}}, "Item.pk: AttributeValue has one member"),
        ("dynamodb", "GetItem", {"TableName": "arn", "Key": {"pk": {"S": "a"}}},
         {"Item": {"list": {"L": [{"M": {"deep": {"N": 1}}}]}}},
         "Item.list.L.0.M.deep.N: a string"),
        ("sqs", "ChangeMessageVisibility",
         {"QueueUrl": "q", "ReceiptHandle": "r", "VisibilityTimeout": 1}, {"Changed": True},
         "nothing is expected"),
        # errors
        ("sqs", "ReceiveMessage", {"QueueUrl": "q"}, client_error("NoSuchQueue", Message="no"),
         "the error: 'NoSuchQueue' is none of"),
        ("sqs", "ReceiveMessage", {"QueueUrl": "q"}, client_error("RequestThrottled"),
         "Error has Code and Message"),
        ("sqs", "ReceiveMessage", {"QueueUrl": "q"}, RuntimeError("down"),
         "its client does not raise"),
        # requests
        ("sqs", "ReceiveMessage", {"QueueUrl": "q", "Wait": 1}, {}, "the request: "),
        ("sqs", "ReceiveMessage", {}, {}, "needs ['QueueUrl']"),
        ("sqs", "ReceiveMessage", {"QueueUrl": "q", "WaitTimeSeconds": True}, {},
         "a integer is expected, not True"),
        ("sts", "AssumeRole", ASSUME | {"RoleSessionName": "a b"}, {}, "does not fit"),
        ("sts", "AssumeRole", ASSUME | {"DurationSeconds": 60}, {}, "60: at least 900"),
        ("sts", "AssumeRole", ASSUME | {"RoleArn": "arn"}, {}, "3 characters: at least 20"),
        ("ecs", "UpdateService", {"service": "web", "availabilityZoneRebalancing": "ON"}, {},
         "'ON' is none of"),
    ],
)  # fmt: skip
def test_what_aws_cannot_be_asked_or_answer_is_found(
    service: str, operation: str, request_: dict[str, Any], answer: Any, says: str
) -> None:
    with expected() as seen, pytest.raises(NotAws) as raised:
        answered(service, operation, request_, gives(answer))
    assert says in str(raised.value)
    assert seen == [str(raised.value)]


@pytest.mark.parametrize(
    ("service", "operation", "request_", "answer"),
    [
        ("iam", "SimulatePrincipalPolicy", SIMULATE, {"EvaluationResults": [RESULT]}),
        ("ec2", "DescribeInstances", {}, {"Reservations": [{"Instances": [INSTANCE]}]}),
        ("sts", "AssumeRole", ASSUME, {"Credentials": CREDENTIALS, "ResponseMetadata": {}}),
        ("sqs", "ReceiveMessage", {"QueueUrl": "q"}, {}),
        ("ecs", "DescribeServices", {"services": ["a"]}, {"services": [{"quantumMode": 1}]}),
        ("sqs", "ReceiveMessage", {"QueueUrl": "q"}, refused("sqs", "X", "RequestThrottled")),
        ("ec2", "StartInstances", {"InstanceIds": ["i-1"]},
         refused("ec2", "X", "InsufficientInstanceCapacity")),
        ("sqs", "ReceiveMessage", {"QueueUrl": "q"}, ReadTimeoutError(endpoint_url="u")),
    ],
)  # fmt: skip
def test_what_aws_answers_is_given_as_it_is(
    service: str, operation: str, request_: dict[str, Any], answer: Any
) -> None:
    if isinstance(answer, Exception):
        with pytest.raises(type(answer)) as raised:
            answered(service, operation, request_, gives(answer))
        assert raised.value is answer
    else:
        assert answered(service, operation, request_, lambda: answer) is answer


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"TableName": "t"},
        {"TableName": 1, "Key": {}},
        {"TableName": "t", "Key": []},
        {"TableName": "t", "Key": {"pk": "a"}},
        {"TableName": "t", "Key": {"pk": {"S": 1}}},
        {"TableName": "t", "Key": {"pk": {"X": "a"}}},
        {"TableName": "t", "Key": {"pk": {"L": [{"BOOL": "yes"}]}}},
        {"TableName": "t", "Key": {"pk": {"S": "a"}}, "Consistent": True},
        {"TableName": "t", "Key": {"pk": {"S": "a"}}, "ConsistentRead": "yes"},
        {"TableName": "t", "Key": {"pk": {"S": "a"}}, "AttributesToGet": []},
    ],
)
def test_what_botocore_itself_refuses_is_refused(request_: dict[str, Any]) -> None:
    model = botocore.session.Session().get_service_model("dynamodb").operation_model("GetItem")
    assert ParamValidator().validate(request_, model.input_shape).has_errors()
    with expected() as seen, pytest.raises(NotAws):
        answered("dynamodb", "GetItem", request_, dict)
    assert len(seen) == 1


class Queue(AwsFake, service="sqs"):
    """A queue that answers what it is told to."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def receive_message(self, *, QueueUrl: str) -> Any:
        return self.answer

    def _helper(self, *, anything: int) -> int:
        return anything


class BadQueue(Queue):
    def delete_message(self, **_request: Any) -> Any:
        return {"Deleted": True}


def test_a_fakes_operations_are_looked_at_also_in_a_class_below_it() -> None:
    assert Queue({"Messages": []}).receive_message(QueueUrl="q") == {"Messages": []}
    assert Queue()._helper(anything=1) == 1
    with expected():
        for ask in (
            lambda: Queue({"messages": []}).receive_message(QueueUrl="q"),
            lambda: BadQueue({"messages": []}).receive_message(QueueUrl="q"),
            lambda: BadQueue().delete_message(QueueUrl="q", ReceiptHandle="r"),
        ):
            with pytest.raises(NotAws):
                ask()


def test_what_is_put_in_an_operations_place_is_looked_at() -> None:
    queue, wire = Queue({}), client_of("ecs", lambda operation, parameters: {})
    queue.receive_message = gives({"messages": []})  # type: ignore[method-assign]
    instead(wire, "list_clusters", gives({"clusters": []}))
    with expected():
        with pytest.raises(NotAws):
            queue.receive_message(QueueUrl="q")
        with pytest.raises(NotAws):
            wire.list_clusters()
    del wire.list_clusters


def test_a_fake_has_the_exceptions_of_its_client() -> None:
    error = refused("sqs", "ReceiveMessage", "QueueDoesNotExist")
    assert isinstance(error, Queue().exceptions.QueueDoesNotExist)


@pytest.mark.parametrize(
    "answer",
    [{"clusterArns": "all"}, {"clusters": []}, Fault("NoSuchCluster", "none")],
)
def test_the_scripted_wire_is_looked_at(answer: Any) -> None:
    def handle(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        assert operation == "ListClusters"
        return gives(answer)()  # type: ignore[no-any-return]

    with expected() as seen, pytest.raises(NotAws):
        client_of("ecs", handle).list_clusters()
    assert seen


def test_what_the_code_under_test_swallows_fails_the_test_all_the_same() -> None:
    # GIVEN code that goes on whatever its client raises
    hook = conftest.pytest_runtest_call(None)  # type: ignore[arg-type]
    with expected():
        next(hook)
        with pytest.raises(NotAws):
            Queue({"messages": []}).receive_message(QueueUrl="q")
        # THEN the test ends with what was found
        with pytest.raises(NotAws, match="no member 'messages'"):
            hook.send(None)


def test_of_a_million_calls_each_kind_is_looked_at_first_and_now_and_then() -> None:
    sample = Sample()
    taken = [sample.takes({"Key": 1}) for _ in range(200)]
    assert all(taken[: Sample.ALL])
    assert 0 < sum(taken[Sample.ALL :]) < 30
    assert sample.takes({"Key": 1, "ConditionExpression": "a"})
    assert sample.takes({"Key": 1, "UpdateExpression": "SET a = :a"})
