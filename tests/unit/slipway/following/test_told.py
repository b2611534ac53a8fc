"""Which outcome tells of a push already, so that nobody is told twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.contracts.messages import Commit
from slipway.contracts.table.deployments import DeploymentRow
from slipway.following.told import told_of
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import START, make_request
from tests.unit.slipway.following.test_outcome import result


def ended(status: str) -> DeploymentRow:
    told = result(status)
    return DeploymentRow(
        deployment_id=told.deployment_id, pipeline="web", request_id=told.request_id,
        reason="push", status=status, ended_at=told.ended_at, result=told,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "tells"),
    [
        ("succeeded", True),
        ("unchanged", True),
        ("failed", True),
        ("rolled_back", True),
        ("cancelled", True),
        ("gave_up", False),
        ("superseded", False),
    ],
)
def test_the_push_of_a_tip_that_an_outcome_told_of_is_not_deployed_once_more(
    status: str, tells: bool
) -> None:
    # GIVEN the push of what was the tip when a deployment fetched it, received when that is over
    request = replace(make_request(2), pushed_at=START + 1)
    # WHEN, THEN what an operator cancelled does not begin again by a push that it was of, too
    assert (told_of(request, B, [ended(status)]) is not None) is tells
    assert told_of(request, A, [ended(status)]) is None


def test_a_push_that_came_after_the_cancel_is_deployed() -> None:
    request = replace(make_request(2), pushed_at=START + 60)
    assert result("cancelled").commit == Commit(id=B)
    assert told_of(request, B, [ended("cancelled")]) is None
