"""Every event of ECS is lost: the next look of the follow queue tells the truth."""

from __future__ import annotations

import pytest

from lambdas.follower.handler import follow
from slipway.following.backoff import look_pause
from tests import scripted_ecs as ecs
from tests.scripted_ecs import Behaviour, Json, ScriptedEcs
from tests.unit.lambdas.test_follower import chain_of, due, from_queue, here
from tests.unit.slipway.following.three_ways import INSTALLATION, Chain

TIMES = [0.5, 5.0, 7.0, 33.0, 100.0, 333.0, 590.0]
"""Seconds from the update until ECS is done."""


def taken_back(after: float) -> Behaviour:
    """ECS takes it back, and is done with that after so many seconds."""

    def behave(scripted: ScriptedEcs, new: Json) -> None:
        reason = "ECS deployment circuit breaker: tasks failed to start."
        ecs.rolls_back(scripted, new, begins=after / 2, ends=after, reason=reason)

    return behave


def followed_by_queue(chain: Chain) -> tuple[float, float]:
    """Follow without any event; when the last look but one was, and when it had set the next."""
    looked = set_for = chain.now
    while chain.row.ended_at is None:
        message = due(chain)
        looked, set_for = chain.now, chain.row.next_look or chain.now
        chain.world.ecs.clock.sleep(max(0.0, set_for - chain.now))
        follow(from_queue(message), here(chain))
    return looked, set_for


@pytest.mark.parametrize("after", TIMES)
@pytest.mark.parametrize(
    ("behaviour", "status"), [(ecs.becomes_healthy, "succeeded"), (taken_back, "rolled_back")]
)  # fmt: skip
def test_what_nobody_told_is_told_within_one_look_of_the_truth(
    behaviour: type[Behaviour], status: str, after: float
) -> None:
    # GIVEN a rollout whose events are lost
    chain = chain_of(behaviour(after))
    truth = chain.now + after
    # WHEN only the follow queue calls for looks
    looked, set_for = followed_by_queue(chain)
    # THEN the first look after the truth tells it, at the time that the look before it had set
    (told,) = chain.said.told
    assert told.status == status
    assert looked <= truth <= told.ended_at == set_for
    # AND that is as soon as looks are apart at that age, a minute at most
    assert told.ended_at - looked <= look_pause(looked - (truth - after), INSTALLATION.limits)
    assert told.ended_at - truth <= INSTALLATION.limits.follow_longest
