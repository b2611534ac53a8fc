"""A notifier whose table and parameters are moto's, and whose Slack and clock are scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from moto import mock_aws

from contracts.errors import WorldFailed
from contracts.installation import Installation
from contracts.table import Table
from lambdas.notifier.delivery import Delivery
from lambdas.notifier.handler import World
from lambdas.notifier.slack import Answer
from lambdas.notifier.webhooks import Webhooks
from tests.unit.notifier.samples import AT
from tests.unit.notifier.test_blocks import PIPELINE

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


class Notifier:
    """The parts together; `delivery()` makes a fresh process with the same table and Slack."""

    def __init__(self, installation: Installation = INSTALLATION) -> None:
        self.clock, self.slack, self.installation = Clock(), Slack(), installation
        dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        self.ssm = boto3.client("ssm", region_name="us-east-1")
        self.sqs = boto3.client("sqs", region_name="us-east-1")
        create_table(dynamodb, installation.names.table)
        self.table = Table(dynamodb, installation.names.table)
        self.ssm.put_parameter(Name=PARAMETER, Value=WEBHOOK, Type="SecureString")

    def delivery(self) -> Delivery:
        local = self.installation.mode == "local"
        return Delivery(
            installation=self.installation,
            notices=self.table.notices,
            webhooks=Webhooks(self.ssm, self.clock, allow_local=local),
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
def notifier(aws: None) -> Notifier:
    return Notifier()


def plenty() -> float:
    """Seconds left of an invocation: all of them."""
    return 50.0
