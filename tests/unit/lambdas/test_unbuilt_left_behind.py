"""What an older push left behind ends with the follower's request that has taken its want."""

from __future__ import annotations

import pytest

from slipway.contracts.errors import WorldFailed
from slipway.contracts.messages import Commit
from slipway.contracts.table.deployments import DeploymentRow
from tests.unit.lambdas.test_unbuilt import EARLIER, INSTALLATION, V6, A, Here, request_of


def left_behind(here: Here) -> DeploymentRow:
    """The deployment of a push, which nobody takes up again."""
    here.built(A)
    here.ran(V6)
    left = DeploymentRow(
        deployment_id="web-20200101000002-000002", pipeline="web", request_id="d" * 32,
        reason="push", pushed_by="ada", pushed_at=5.0, started_at=5.0, commit=Commit(id=A),
    )  # fmt: skip
    here.table.deployments.start(left, kept=1e9)
    return left


@pytest.mark.parametrize("rolled_back_at", [None, 9.5])
def test_what_an_older_push_left_behind_ends_under_the_lock_of_a_newer_request(
    rolled_back_at: float | None,
) -> None:
    # GIVEN a push whose deployment nobody takes up again, and a drift check that has its want;
    # perhaps an operator's rollback that is newer than both
    here = Here()
    left = left_behind(here)
    if rolled_back_at is not None:
        here.table.pipelines.change("web", rolled_back_to=EARLIER, rolled_back_at=rolled_back_at)
    # WHEN
    here.hears(request_of("drift"))
    here.goes_on()
    # THEN
    ended = here.table.deployments.get(left.deployment_id)
    assert (ended.status, ended.announced_at is not None) == ("superseded", True)
    settled = here.table.requests.settled([left.request_id])
    assert settled[left.request_id].outcome == "superseded"


@pytest.mark.parametrize("reason", ["redeploy", "drift"])
def test_who_is_given_up_on_ends_what_was_left_behind(reason: str) -> None:
    # GIVEN a push whose deployment nobody takes up again
    here = Here()
    left = left_behind(here)
    # WHEN the request that has its want is given up on
    here.ecr.fails = WorldFailed("ECR does not answer")
    for _ in range(INSTALLATION.limits.max_attempts):
        here.hears(request_of(reason))
    # THEN both have their outcome
    assert here.chain.said.told[-1].status == "gave_up"
    ended = here.table.deployments.get(left.deployment_id)
    assert (ended.status, ended.announced_at is not None) == ("superseded", True)
    assert here.table.wants.all() == []
