"""The events that tests are made of have the form that AWS sends them in, by others than us."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import EventBridgeModel, SnsModel, SqsModel

from tests.aws.events import details, deviations, interfaces
from tests.places import EVENTS

LAMBDA = {
    "aws:codecommit": ("codecommit", "CodeCommitTriggerEvent"),
    "aws:sns": ("sns", "SNSEvent"),
    "aws:sqs": ("sqs", "SQSEvent"),
}
POWERTOOLS = {"aws:sns": SnsModel, "aws:sqs": SqsModel}
WITHOUT = {"cloudwatch_alarm"}
"""No package brings the text that an alarm publishes."""
WITHOUT_DETAIL = {"Scheduled Event"}
ONLY_DOCUMENTED = {"ECS Deployment State Change", "ECS Hook State Change"}
"""AWS's developer guide shows these events; the schemas that AWS publishes leave them out."""


def event(name: str) -> dict[str, Any]:
    return json.loads((EVENTS / f"{name}.json").read_text())  # type: ignore[no-any-return]


def found(value: dict[str, Any]) -> list[str]:
    """How an event differs from what others say of its kind."""
    if "Records" in value:
        record = value["Records"][0]
        source = record.get("eventSource") or record["EventSource"]
        trigger, name = LAMBDA[source]
        return list(deviations(value, name, interfaces(trigger)))
    kind = value["detail-type"]
    seen = list(deviations(value, "EventBridgeEvent", interfaces("eventbridge")))
    if kind in WITHOUT_DETAIL:
        return seen + [f"detail {value['detail']}"] * bool(value["detail"])
    if kind in ONLY_DOCUMENTED:
        return seen + [f"there is a schema of {kind!r} now"] * (kind in details())
    return seen + list(deviations(value["detail"], details()[kind], {}, "detail"))


NAMES = sorted({path.stem for path in EVENTS.glob("*.json")} - WITHOUT)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_has_the_form_in_which_aws_sends_it(name: str) -> None:
    value = event(name)
    assert found(value) == []
    if "Records" in value:
        record = value["Records"][0]
        model = POWERTOOLS.get(record.get("eventSource") or record["EventSource"])
    else:
        model = EventBridgeModel
    if model is not None:
        model.model_validate(value)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("ec2_stopped", lambda e: e.pop("version"), "'version' is missing"),
        ("ec2_stopped", lambda e: e["detail"].update(status="x"), "there is no 'status'"),
        ("ec2_stopped", lambda e: e["detail"].update(state=1), "detail.state: a string"),
        ("ec2_stopped", lambda e: e.update(resources="x"), "resources: a list"),
        ("ecs_deployment_failed", lambda e: e.pop("detail"), "'detail' is missing"),
        ("codedeploy_deployment", lambda e: e["detail"].pop("state"), "'state' is missing"),
        ("eventbridge_updated", lambda e: e["detail"].pop("event"), "'event' is missing"),
        ("sns_lambda", lambda e: e["Records"][0]["Sns"].update(SigningCertURL="x"),
         "there is no 'SigningCertURL'"),
        ("sns_lambda", lambda e: e["Records"][0]["Sns"]["MessageAttributes"]["kind"].pop("Type"),
         "MessageAttributes.kind: 'Type' is missing"),
        ("codecommit_push", lambda e: e["Records"][0].update(eventPartNumber="1"), "a number"),
        ("codecommit_push",
         lambda e: e["Records"][0]["codecommit"]["references"][0].update(created="yes"),
         ".Records.0.codecommit.references.0.created: a boolean"),
        ("sqs_notices", lambda e: e["Records"][0]["attributes"].pop("SenderId"), "'SenderId' is"),
        ("schedule", lambda e: e["detail"].update(a=1), "detail {'a': 1}"),
    ],
)  # fmt: skip
def test_what_differs_is_found(name: str, change: Any, says: str) -> None:
    value = event(name)
    change(value)
    (said,) = found(value)
    assert says in said
