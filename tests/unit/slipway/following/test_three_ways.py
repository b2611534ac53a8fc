"""Every scenario of a rollout: by the command, by an agent, by the follower; the same end."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.following.outcome import of_rollout
from tests.unit.slipway.following.three_ways import Chain
from tests.unit.slipway.rollout.stepwise import Told, World, _live, rolled_out
from tests.unit.slipway.rollout.test_stepwise import SCENARIOS, Make


def summary_of(chain: Chain) -> dict[str, Any]:
    """Word, what runs, and what was changed."""
    row = chain.row
    assert row.result is not None
    return {
        "status": row.result.status,
        "live": _live(chain.world),
        "now": row.result.now_running,
        "made": chain.made(),
    }


def summary(told: Told, world: World) -> dict[str, Any]:
    """The same of the command's rollout."""
    ended = of_rollout(told.result, stage="wait", resumed=False)
    return {
        "status": ended.status,
        "live": _live(world),
        "now": ended.now_running,
        "made": [call.operation for call in told.calls if call.changed],
    }


@pytest.mark.parametrize("make", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_rollout_ends_the_same_whoever_follows_it(make: Make) -> None:
    # GIVEN how the command ends it
    world = make()
    expected = summary(rolled_out(world), world)
    # WHEN an agent follows it, or the follower, or the follower whose messages come twice
    agent, follower, doubled = Chain(make()), Chain(make()), Chain(make())
    agent.by_agent()
    follower.by_follower()
    doubled.by_follower(doubled=True)
    # THEN
    for chain in (agent, follower, doubled):
        assert summary_of(chain) == expected
        assert len(chain.said.told) == 1
        lock = chain.table.locks.get("web")
        assert (lock.holder, lock.untold) == ("", None)
        assert chain.table.wants.all() == []
        assert chain.row.rollout is None


@pytest.mark.parametrize("make", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_follower_that_dies_in_a_change_is_followed_by_another_one(make: Make) -> None:
    # GIVEN how it goes where nobody dies
    whole = Chain(make())
    whole.by_follower()
    expected = summary_of(whole)
    for change in whole.changes:
        for answered in (False, True):
            # WHEN the process dies in a call that changes AWS, and SQS gives its message again
            chain = Chain(make(), kill_at=change.number, answered=answered)
            chain.by_follower()
            # THEN the word, what runs and what was changed are the same
            when = f"{'after' if answered else 'before'} {change.operation}"
            assert summary_of(chain) == expected, when
            assert len(chain.said.told) == 1, when
