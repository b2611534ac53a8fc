"""The size of a deployment's row at each write of a long rollout, as DynamoDB counts it."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest

from build_agent.deploy import COMMITS_TOLD
from lambdas.follower.handler import follow
from slipway.contracts.messages import Commit
from slipway.cost import following
from slipway.cost.following import ROW_KB, looks
from slipway.cost.prices import OF_AWS
from slipway.rollout import RolloutPlan, Timeouts
from tests import scripted_ecs as ecs
from tests.places import ROOT
from tests.scripted_ecs import IMAGE, Behaviour, ScriptedEcs
from tests.unit.lambdas.test_follower import due, from_queue, here
from tests.unit.slipway.following.three_ways import COMMIT, Chain
from tests.unit.slipway.rollout.stepwise import World

HOUR = 3600.0
WAYS = {
    "healthy after an hour": ecs.becomes_healthy(HOUR - 100),
    "crashes for an hour, and is taken back": ecs.crashes,
    "never steady, and is taken back": ecs.never_steady,
}
FEW = 10
"""Writes at most of a row that is larger: what failed is told, looked into, and taken back."""
SUBJECT = "Let the basket keep what a guest had put into it"


def bytes_of(attribute: dict[str, Any]) -> int:
    """As the developer guide counts a typed value; numbers are counted a little too long."""
    ((kind, value),) = attribute.items()
    if kind == "S":
        return len(value.encode())
    if kind == "N":
        return math.ceil(len(value) / 2) + 1
    if kind == "M":
        return 3 + sum(len(name.encode()) + bytes_of(one) + 1 for name, one in value.items())
    if kind == "L":
        return 3 + sum(bytes_of(one) + 1 for one in value)
    return 1


def written(behaviour: Behaviour, commits: int) -> list[float]:
    """KB of the row at each write while the row owns the rollout; that many commits are told of."""
    plan = RolloutPlan(
        cluster="prod", service="web", image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=HOUR)
    )
    chain = Chain(World(plan, ScriptedEcs(behaviour=behaviour)))
    commit = Commit(id=COMMIT.id, author="Ada Lovelace", subject=SUBJECT)
    chain.since = (commit,) * commits
    sizes: list[float] = []
    client: Any = chain.table.store.client
    store = client._store

    def stored(item: dict[str, Any]) -> None:
        if "rollout" in item:
            sizes.append(sum(len(n.encode()) + bytes_of(v) for n, v in item.items()) / 1024)
        store(item)

    client._store = stored
    chain.hand_over().let_go()
    while chain.row.ended_at is None:
        message = due(chain)
        chain.world.ecs.clock.sleep(max(0.0, (chain.row.next_look or 0.0) - chain.now))
        follow(from_queue(message), here(chain))
    return sizes


@pytest.mark.parametrize("behaviour", WAYS.values(), ids=WAYS)
def test_the_row_of_a_long_rollout_is_as_large_as_it_is_counted(behaviour: Behaviour) -> None:
    # GIVEN a push of one commit
    sizes = written(behaviour, commits=1)
    # THEN each write of a look costs what is counted; a few, as of a way back, one unit more
    assert len(sizes) > 2 * looks(60)
    assert ROW_KB - 1 < statistics.median(sizes) < ROW_KB
    assert sum(size > ROW_KB for size in sizes) <= FEW
    assert max(sizes) < ROW_KB + 1


@pytest.mark.parametrize("behaviour", WAYS.values(), ids=WAYS)
def test_ten_commits_to_tell_of_make_it_a_unit_dearer(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a push with as many commits as a notice tells of
    sizes = written(behaviour, commits=COMMITS_TOLD)
    # THEN the row is above what is counted, and the page says what that costs
    assert ROW_KB < statistics.median(sizes) < ROW_KB + 1
    assert sum(size > ROW_KB + 1 for size in sizes) <= FEW + 1
    assert max(sizes) < ROW_KB + 2
    monkeypatch.setattr(following, "ROW_KB", ROW_KB + 1)
    assert following.followed(60) + (FEW + 1) * OF_AWS.write_unit < 0.001
    assert f"${following.followed(60):.5f}" in (ROOT / "docs" / "operating.md").read_text("utf-8")
