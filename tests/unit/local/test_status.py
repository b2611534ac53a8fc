"""`slipway local status`: who follows a rollout."""

from __future__ import annotations

import pytest

from local.status import rollout_line
from slipway.contracts.table.deployments import DeploymentRow

ROW: dict[str, object] = {
    "deployment_id": "sample-1",
    "pipeline": "sample",
    "request_id": "r",
    "reason": "push",
}


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({}, None),
        ({"rollout": "{}", "ended_at": 5.0}, None),
        (
            {"rollout": "{}", "next_look": 107.2},
            "sample-1: followed by the follower, next look in 7 s",
        ),
        (
            {"rollout": "{}", "next_look": 99.0, "claimed_by": "host i-1", "claimed_until": 120.0},
            "sample-1: followed by host i-1, next look in 0 s",
        ),
    ],
)
def test_a_rollout_is_told_with_its_follower(members: dict[str, object], line: str | None) -> None:
    assert rollout_line(DeploymentRow(**{**ROW, **members}), 100.0) == line  # type: ignore[arg-type]
