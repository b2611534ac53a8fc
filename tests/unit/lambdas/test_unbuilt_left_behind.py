"""A request that the follower gives up on has taken another's want: it ends what that left."""

from __future__ import annotations

import pytest

from slipway.contracts.errors import WorldFailed
from slipway.contracts.messages import Commit
from slipway.contracts.table.deployments import DeploymentRow
from tests.unit.lambdas.test_unbuilt import INSTALLATION, V6, A, Here, request_of


@pytest.mark.parametrize("reason", ["redeploy", "drift"])
def test_who_is_given_up_on_ends_what_was_left_behind(reason: str) -> None:
    # GIVEN a push whose deployment nobody takes up again
    here = Here()
    here.built(A)
    here.ran(V6)
    left = DeploymentRow(
        deployment_id="web-20200101000002-000002", pipeline="web", request_id="d" * 32,
        reason="push", pushed_by="ada", pushed_at=5.0, started_at=5.0, commit=Commit(id=A),
    )  # fmt: skip
    here.table.deployments.start(left, kept=1e9)
    # WHEN the request that has its want is given up on
    here.ecr.fails = WorldFailed("ECR does not answer")
    for _ in range(INSTALLATION.limits.max_attempts):
        here.hears(request_of(reason))
    # THEN both have their outcome
    assert here.chain.said.told[-1].status == "gave_up"
    ended = here.table.deployments.get(left.deployment_id)
    assert (ended.status, ended.announced_at is not None) == ("superseded", True)
    assert here.table.wants.all() == []
