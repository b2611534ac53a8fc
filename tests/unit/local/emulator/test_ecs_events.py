"""What EventBridge hears of a service's deployments, held against what AWS sends."""

from __future__ import annotations

import json
import re

import pytest

from local.emulator.extension.ecs_events import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    ROLLING_BACK,
    event,
    told,
)
from tests.places import EVENTS

SERVICE = {
    "serviceArn": "arn:aws:ecs:us-east-1:222222222222:service/slipway-sample/sample",
    "clusterArn": "arn:aws:ecs:us-east-1:222222222222:cluster/slipway-sample",
}


@pytest.mark.parametrize(
    ("before", "after", "by_breaker", "expected"),
    [
        (None, "IN_PROGRESS", True, [IN_PROGRESS]),
        (None, "COMPLETED", True, [IN_PROGRESS, COMPLETED]),
        (None, "FAILED", True, [IN_PROGRESS, FAILED]),
        ("IN_PROGRESS", "IN_PROGRESS", True, []),
        ("IN_PROGRESS", "COMPLETED", True, [COMPLETED]),
        ("IN_PROGRESS", "FAILED", True, [FAILED]),
        ("IN_PROGRESS", "FAILED", False, []),
        ("FAILED", "FAILED", True, []),
        ("COMPLETED", "IN_PROGRESS", True, [ROLLING_BACK]),
        ("COMPLETED", "IN_PROGRESS", False, [IN_PROGRESS]),
        ("COMPLETED", "COMPLETED", True, []),
    ],
)
def test_each_change_is_told_once_and_a_failure_only_by_the_breaker(
    before, after, by_breaker, expected
):
    assert told(before, after, by_breaker=by_breaker) == expected


@pytest.mark.parametrize(
    ("recorded", "say"),
    [
        ("ecs_deployment_in_progress", IN_PROGRESS),
        ("ecs_deployment_completed", COMPLETED),
        ("ecs_deployment_failed", FAILED),
        ("ecs_deployment_rolling_back", ROLLING_BACK),
    ],
)
def test_an_event_is_as_aws_sends_it_but_for_its_names_and_times(recorded, say):
    # GIVEN AWS's event
    known = json.loads((EVENTS / f"{recorded}.json").read_text())
    of_one = re.compile(r"ecs-svc/\d+")
    # WHEN ours is made
    number = of_one.search(known["detail"]["reason"])
    ours = event(SERVICE, number.group() if number else "ecs-svc/1", say, 1_700_000_000.25)
    # THEN
    assert ours["Source"] == known["source"]
    assert ours["DetailType"] == known["detail-type"]
    assert ours["Resources"] == [SERVICE["serviceArn"]]
    detail = json.loads(ours["Detail"])
    assert detail.pop("updatedAt") == "2023-11-14T22:13:20.250Z"
    assert detail.pop("clusterArn") == SERVICE["clusterArn"]
    assert of_one.fullmatch(detail.pop("deploymentId"))
    # a rollback's event has an id of its own, and names what it goes back to
    for other in ("updatedAt", "clusterArn", "deploymentId"):
        known["detail"].pop(other)
    assert detail == known["detail"]
