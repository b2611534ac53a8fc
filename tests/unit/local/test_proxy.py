"""The proxy: which task a service's address leads to."""

from __future__ import annotations

from typing import Any

import pytest

from local.proxy import Route, preferred
from slipway.contracts.errors import WrongUse


def task(
    address: str, started: str, *, status: str = "RUNNING", health: str = "UNKNOWN"
) -> dict[str, Any]:
    details = [{"name": "privateIPv4Address", "value": address}]
    return {
        "lastStatus": status,
        "healthStatus": health,
        "startedAt": started,
        "attachments": [{"details": details}],
    }


@pytest.mark.parametrize(
    ("tasks", "addresses"),
    [
        ([], []),
        ([task("a", "1"), task("b", "2")], ["b", "a"]),
        ([task("a", "1"), task("b", "2", status="PENDING")], ["a"]),
        ([task("a", "1"), task("b", "2", status="STOPPED")], ["a"]),
        ([task("a", "1", health="HEALTHY"), task("b", "2")], ["a", "b"]),
        ([task("a", "1", health="HEALTHY"), task("b", "2", health="UNHEALTHY")], ["a"]),
        ([task("a", "1", health="HEALTHY"), task("b", "2", health="HEALTHY")], ["b", "a"]),
        ([{"lastStatus": "RUNNING", "attachments": []}], []),
    ],
)
def test_the_newest_healthy_task_comes_first(
    tasks: list[dict[str, Any]], addresses: list[str]
) -> None:
    assert preferred(tasks) == addresses


def test_a_route_is_read() -> None:
    assert Route.parse("18080=c/s:8080") == Route(18080, "c", "s", 8080)


@pytest.mark.parametrize("text", ["", "1", "1=c", "1=c/s", "x=c/s:1", "1=c/s:x", "1=/s:1"])
def test_a_wrong_route_is_told(text: str) -> None:
    with pytest.raises(WrongUse, match="PORT=CLUSTER/SERVICE:CONTAINERPORT"):
        Route.parse(text)
