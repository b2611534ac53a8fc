"""A notifier whose table and parameters are in memory, and whose Slack and clock are scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from moto import mock_aws

from lambdas.notifier.delivery import Delivery
from lambdas.notifier.handler import World
from lambdas.notifier.slack import Answer
from lambdas.notifier.webhooks import Webhooks
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import Installation
from slipway.contracts.table import Table
from tests.aws.answers import AwsFake, refused
from tests.simulation.dynamodb import FakeDynamoDB
from tests.unit.lambdas.notifier.samples import AT
from tests.unit.lambdas.notifier.test_blocks import PIPELINE

WEBHOOK = "https://hooks.slack.example/services/T000/B000/SECRET"
PARAMETER = "/slipway/slack-webhook"
INSTALLATION = Installation(
    name="slipway",
    region="us-east-1",
    dev_region="us-east-1",
    dev_account="111111111111",
    prod_account="222222222222",
    pipelines=(PIPELINE,),
)


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = AT
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Slack:
    """Answers from a script (then 200); an exception in it is raised. `during` runs in a post."""

    def __init__(self) -> None:
        self.script: list[Answer | Exception] = []
        self.posts: list[tuple[str, Mapping[str, Any]]] = []
        self.during: Callable[[], None] | None = None

    def post(self, url: str, payload: Mapping[str, Any]) -> Answer:
        self.posts.append((url, payload))
        if self.during is not None:
            self.during()
        answer = self.script.pop(0) if self.script else Answer(status=200, text="ok")
        if isinstance(answer, Exception):
            raise answer
        return answer


SILENCE = WorldFailed("Slack did not answer (ReadTimeoutError)")


class Parameters(AwsFake, service="ssm"):
    """SSM as far as the notifier knows it; `values` by name."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:
        assert WithDecryption
        if Name not in self.values:
            raise refused("ssm", "GetParameter", "ParameterNotFound")
        return {"Parameter": {"Value": self.values[Name]}}


class Queue(AwsFake, service="sqs"):
    """SQS that remembers which message (the end of its handle) was given which pause."""

    def __init__(self, error: Exception | None = None) -> None:
        self.pauses: dict[str, int] = {}
        self.error = error
        self.meta = type("Meta", (), {"endpoint_url": "https://sqs.us-east-1.amazonaws.com"})

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> dict[str, Any]:
        assert QueueUrl == "https://sqs.us-east-1.amazonaws.com/222222222222/slipway-notices"
        if self.error:
            raise self.error
        self.pauses[ReceiptHandle[-1]] = VisibilityTimeout
        return {}


class Notifier:
    """The parts together; `delivery()` makes a fresh process with the same table and Slack."""

    def __init__(self, installation: Installation = INSTALLATION) -> None:
        self.clock, self.slack, self.installation = Clock(), Slack(), installation
        self.ssm, self.sqs = Parameters({PARAMETER: WEBHOOK}), Queue()
        self.table = Table(FakeDynamoDB(), installation.names.table)

    def delivery(self) -> Delivery:
        local = self.installation.mode == "local"
        return Delivery(
            installation=self.installation,
            notices=self.table.notices,
            webhooks=Webhooks(self.ssm, allow_local=local),
            post=self.slack.post,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def world(self) -> World:
        return World(self.delivery(), self.sqs)


def create_table(dynamodb: Any, name: str) -> None:
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


@pytest.fixture
def notifier() -> Notifier:
    return Notifier()


def plenty() -> float:
    """Seconds left of an invocation: all of them."""
    return 50.0
