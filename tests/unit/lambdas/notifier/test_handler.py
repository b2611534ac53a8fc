"""The function as Lambda calls it: SQS event in, failed records out."""

from __future__ import annotations

import copy
import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from lambdas.notifier import handler as deployed
from lambdas.notifier.delivery import Verdict
from lambdas.notifier.handler import LONGEST_PAUSE, notify, pause_of, queue_url
from lambdas.notifier.slack import Answer, SlackClient
from lambdas.shared import clients
from lambdas.shared.observability import logger
from tests.aws.answers import refused
from tests.places import EVENTS, ROOT
from tests.unit.lambdas.notifier.conftest import (
    INSTALLATION,
    PARAMETER,
    SILENCE,
    WEBHOOK,
    Notifier,
    Queue,
    create_table,
    plenty,
)

EVENT: dict[str, Any] = json.loads((EVENTS / "sqs_notices.json").read_text())


def run(notifier: Notifier, event: dict[str, Any], queue: Queue | None = None) -> list[str]:
    """The last characters of the message ids that come back."""
    notifier.sqs = queue or Queue()
    answer = notify(event, notifier.world(), plenty)
    return [failure["itemIdentifier"][-1] for failure in answer["batchItemFailures"]]


def event_with(*bodies: str, receives: int = 1) -> dict[str, Any]:
    event = copy.deepcopy(EVENT)
    event["Records"] = [copy.deepcopy(event["Records"][0]) for _ in bodies]
    for number, (record, body) in enumerate(zip(event["Records"], bodies, strict=True)):
        record["body"] = body
        record["attributes"]["ApproximateReceiveCount"] = str(receives)
        record["messageId"] = record["messageId"][:-1] + str(number)
        record["receiptHandle"] = record["receiptHandle"][:-1] + str(number)
    return event


def test_a_batch_of_notices_and_an_alarm_is_posted(notifier: Notifier) -> None:
    assert run(notifier, EVENT) == []
    headers = [payload["blocks"][0]["text"]["text"] for _, payload in notifier.slack.posts]
    assert headers == [
        ":white_check_mark: shop: commit 3f2a9c41 is live",
        ":x: shop: commit 3f2a9c41 failed in the build",
        ":rotating_light: Alarm slipway-oldest-request",
    ]


@pytest.mark.parametrize(
    "body",
    ["{", "[]", '"x"', "", "[" * 100_000, '{"schema":2}', '{"AlarmName":"a","NewStateValue":"B"}'],
)
def test_a_body_that_nobody_can_read_comes_back_soon_and_blocks_no_other(
    notifier: Notifier, body: str
) -> None:
    good = EVENT["Records"][0]["body"]
    queue = Queue()
    assert run(notifier, event_with(body, good), queue) == ["0"]
    assert len(notifier.slack.posts) == 1
    assert queue.pauses == {"0": 5}


def test_a_failing_slack_fails_only_its_records(notifier: Notifier) -> None:
    notifier.slack.script = [Answer(status=200), SILENCE, Answer(status=200)]
    queue = Queue()
    assert run(notifier, EVENT, queue) == ["2"]
    assert queue.pauses == {"2": 3}


def test_an_error_of_the_notifier_itself_fails_only_its_record(notifier: Notifier) -> None:
    notifier.slack.script = [Answer(status=200), RuntimeError("a bug"), Answer(status=200)]
    assert run(notifier, EVENT) == ["2"]


def test_an_outage_of_slack_of_a_day_delays_and_loses_none(notifier: Notifier) -> None:
    # GIVEN Slack that answers 500 for a day
    bodies = [record["body"] for record in EVENT["Records"]]
    tries, waited = 0, 0.0
    while waited < 86_400:
        tries += 1
        queue = Queue()
        notifier.slack.script = [Answer(status=500)] * 3
        assert run(notifier, event_with(*bodies, receives=tries), queue) == ["0", "1", "2"]
        waited += queue.pauses["0"]
        notifier.clock.now += queue.pauses["0"]
    # WHEN it is back
    notifier.slack.posts.clear()
    assert run(notifier, event_with(*bodies, receives=tries + 1)) == []
    # THEN every notice is posted, long before the queue's maxReceiveCount
    assert len(notifier.slack.posts) == 3
    assert tries < 150


def test_a_visibility_that_cannot_be_changed_still_fails_the_record(notifier: Notifier) -> None:
    denied = refused("sqs", "ChangeMessageVisibility", "AccessDenied")
    notifier.slack.script = [Answer(status=500)]
    assert run(notifier, event_with(EVENT["Records"][0]["body"]), Queue(denied)) == ["0"]


@pytest.mark.parametrize(
    ("verdict", "receives", "seconds"),
    [
        (Verdict(done=False, why=""), 1, 3),
        (Verdict(done=False, why=""), 3, 12),
        (Verdict(done=False, why=""), 500, LONGEST_PAUSE),
        (Verdict(done=False, why="", wait=60), 1, 61),
        (Verdict(done=False, why="", wait=900_000), 1, 42_000),
        (Verdict(done=False, why="", unreadable=True), 9, 5),
    ],
)
def test_pauses(verdict: Verdict, receives: int, seconds: float) -> None:
    assert pause_of(verdict, receives) == seconds


def test_the_queue_is_found_at_any_endpoint() -> None:
    arn = "arn:aws:sqs:us-east-1:222222222222:slipway-notices"
    assert queue_url(arn, "http://127.0.0.1:4566/") == (
        "http://127.0.0.1:4566/222222222222/slipway-notices"
    )


def test_the_webhook_is_in_no_log_line(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    own = logging.StreamHandler(written)
    own.setFormatter(logger.registered_formatter)
    monkeypatch.setattr(logging.getLogger(logger.name), "handlers", [own])
    monkeypatch.setattr(logging.getLogger(logger.name), "disabled", False)
    logger.setLevel("INFO")
    notifier.slack.script = [SILENCE, Answer(status=404, text="no_service"), RuntimeError("bug")]
    run(notifier, EVENT)
    logged = written.getvalue()
    assert logged.count("notice comes back") == 3
    assert "RuntimeError: bug" in logged
    assert "SECRET" not in logged
    assert WEBHOOK not in logged


class Context:
    """What Lambda hands a function, as far as the notifier asks."""

    def get_remaining_time_in_millis(self) -> int:
        return 50_000


def test_the_function_as_deployed_finds_its_settings_table_parameter_and_queue(
    aws: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # GIVEN the installation's file, its table, webhook and queue in an account
    settings = tmp_path / "installation.json"
    settings.write_text(INSTALLATION.to_json())
    monkeypatch.setenv("SLIPWAY_INSTALLATION", str(settings))
    create_table(boto3.client("dynamodb"), INSTALLATION.names.table)
    boto3.client("ssm").put_parameter(Name=PARAMETER, Value=WEBHOOK, Type="SecureString")
    posted: list[tuple[str, str]] = []

    def post(client: SlackClient, url: str, payload: dict[str, Any]) -> Answer:
        posted.append((url, payload["text"]))
        return Answer(status=200 if len(posted) < 3 else 500)

    monkeypatch.setattr(SlackClient, "post", post)
    made = (clients.installation, clients.client, deployed.world)
    for one in made:
        one.cache_clear()
    # WHEN Lambda calls it twice with the same three records, Slack failing for the third
    try:
        answers = [deployed.handler(EVENT, Context()) for _ in range(2)]
    finally:
        for one in made:
            one.cache_clear()
    # THEN two are posted once, and only the third comes back
    third = [{"itemIdentifier": EVENT["Records"][2]["messageId"]}]
    assert [answer["batchItemFailures"] for answer in answers] == [third, third]
    assert [url for url, _ in posted] == [WEBHOOK] * 4
    assert [text for _, text in posted[2:]] == ["Alarm slipway-oldest-request"] * 2


IMPORT = """
import os, sys
before = dict(os.environ)
class Watched(dict):
    def __getitem__(self, name):
        if name.startswith("SLIPWAY"):
            raise SystemExit(f"{name} is read at import")
        return super().__getitem__(name)
    def get(self, name, default=None):
        if str(name).startswith("SLIPWAY"):
            raise SystemExit(f"{name} is read at import")
        return super().get(name, default)
os.environ = Watched(before)
import lambdas.notifier.handler
heavy = {"pydantic", "requests", "aws_xray_sdk", "boto3"} & set(sys.modules)
if heavy:
    raise SystemExit(f"imported: {heavy}")
"""


def test_importing_reads_no_variable_of_ours_and_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
