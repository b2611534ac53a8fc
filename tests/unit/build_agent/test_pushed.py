"""What a deployment tells the source of its push: whether a fetch of before may do."""

from __future__ import annotations

from typing import Any

import pytest

from build_agent.source.known import Pushed
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import START, World, make_request


@pytest.mark.parametrize(
    ("request_of", "pushed"),
    [
        ({"commit_id": A}, Pushed(A, handled_tip=B, handled_at=START - 60)),
        ({"commit_id": A, "reason": "redeploy"}, None),
        ({"commit_id": A, "reason": "drift"}, None),
        ({}, None),
    ],
)
def test_only_a_push_that_names_its_commit_may_do_without_a_fetch(
    world: World, request_of: dict[str, Any], pushed: Pushed | None
) -> None:
    world.table.pipelines.change("web", handled_tip=B, handled_at=START - 60)
    world.send(make_request(1, **request_of))
    assert world.worker().step() == "worked"
    assert world.source.pushed == [pushed]
