"""The hops of a push, read from what Lambdas and the table say."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from local.hops import (
    Hop,
    Sight,
    deployment_hops,
    host_hops,
    log_lines,
    request_hop,
    table_rows,
    trigger_hop,
)
from slipway.contracts.messages import DeploymentResult
from slipway.contracts.table.deployments import DeploymentRow

COMMIT = "a" * 40
REQUEST = "b" * 32


def line(message: str, at: str, **members: str) -> dict[str, str]:
    return {"message": json.dumps({"message": message, "timestamp": at, **members})}


def row(status: str, cause: str | None = None) -> DeploymentRow:
    result = DeploymentResult(
        deployment_id="sample-20261121104957-abcdef",
        pipeline="sample",
        status=status,  # type: ignore[arg-type]
        stage="wait",
        reason="push",
        request_id=REQUEST,
        started_at=10.0,
        ended_at=20.0,
        task_definition_after="arn:aws:ecs:r:1:task-definition/sample:2",
        cause=cause,
    )
    return DeploymentRow(
        deployment_id=result.deployment_id,
        pipeline="sample",
        request_id=REQUEST,
        reason="push",
        stages={"received": 10.0, "fetch": 11.0, "build": 12.0, "push": 15.0, "update": 16.0},
        status=status,
        ended_at=20.0,
        result=result,
        announced_at=20.5,
    )


def test_the_lambdas_lines_give_trigger_and_request() -> None:
    # GIVEN what the two Lambdas logged, among lines of the runtime and of other pushes
    events = [
        {"message": "START RequestId: 1 Version: $LATEST"},
        line("push", "2026-11-21 10:49:57,100+0000", commit="c" * 40, correlation_id="x"),
        line("push", "2026-11-21 10:49:57,522+0000", commit=COMMIT, correlation_id=REQUEST),
        line("request", "2026-11-21 10:49:57,928+0000", correlation_id=REQUEST),
    ]

    # WHEN they are read
    lines = log_lines(events)
    seen = trigger_hop(lines, COMMIT)

    # THEN each hop has the time that its source wrote
    assert seen is not None
    trigger, request_id = seen
    request = request_hop([line for line in lines if line["message"] == "request"], request_id)
    assert request is not None
    assert round(request.at - trigger.at, 3) == 0.406


def test_another_pushs_lines_are_no_hop() -> None:
    lines = log_lines([line("push", "2026-11-21 10:49:57,100+0000", commit="c" * 40)])
    assert trigger_hop(lines, COMMIT) is None
    assert request_hop(lines, REQUEST) is None


def test_a_deployment_that_succeeded_is_steady() -> None:
    hops = {hop.name: hop for hop in deployment_hops(row("succeeded"))}
    assert hops["steady"].detail == "sample:2"
    assert (hops["image push"].at, hops["close"].at) == (15.0, 20.5)
    assert "failed" not in hops


def test_a_deployment_that_failed_says_why() -> None:
    hops = {hop.name: hop for hop in deployment_hops(row("failed", "the build failed"))}
    assert hops["failed"].detail == "the build failed"
    assert "steady" not in hops


def test_a_hop_is_seen_once_and_the_table_counts_from_the_push() -> None:
    sight = Sight()
    assert sight.add(Hop("push", 100.0, "git"))
    assert sight.add(Hop("trigger", 100.5, "log"))
    assert not sight.add(Hop("trigger", 109.0, "log"))

    rows = table_rows(sight.ordered)

    assert [(r["hop"], r["since_push"]) for r in rows] == [("push", 0.0), ("trigger", 0.5)]


@pytest.mark.parametrize(
    ("launched", "state", "closed", "seen"),
    [
        (101, "pending", False, ["starting"]),
        (101, "running", False, ["starting", "running"]),
        (101, "stopping", False, ["stopping"]),
        (101, "stopped", False, ["stopped"]),
        (90, "running", False, []),
        (90, "stopped", False, []),
        (90, "stopping", True, ["stopping"]),
        (101, "stopped", True, ["stopped"]),
    ],
)
def test_a_host_that_was_started_for_a_push_may_sleep_before_its_end(
    launched: int, state: str, closed: bool, seen: list[str]
) -> None:
    # GIVEN a push at 100, and a host
    host = {
        "InstanceId": "i-1",
        "State": {"Name": state},
        "LaunchTime": datetime.fromtimestamp(launched, UTC),
    }
    # WHEN / THEN
    hops = host_hops(host, 100.0, 105.0, closed=closed)
    assert [hop.name for hop in hops] == [f"host {each}" for each in seen]
    assert {hop.at for hop in hops} <= {105.0}
