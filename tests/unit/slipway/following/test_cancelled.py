"""A rollout that is cancelled while it is followed: ended, or taken back, and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.installation import Limits
from slipway.rollout import RolloutPlan, Timeouts
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, ScriptedEcs, denied
from tests.unit.slipway.following import three_ways
from tests.unit.slipway.following.three_ways import DEPLOYMENT, INSTALLATION, Chain
from tests.unit.slipway.rollout import stepwise


def chain_of(behaviour: Any) -> Chain:
    plan = RolloutPlan(
        cluster="prod", service="web", image=f"{IMAGE}:v8", timeouts=Timeouts(healthy=600)
    )
    return Chain(stepwise.World(plan, ScriptedEcs(behaviour=behaviour)))


def test_what_has_not_touched_the_service_ends_as_cancelled() -> None:
    # GIVEN a rollout that was handed over, and cancelled before its first step
    chain = chain_of(ecs.becomes_healthy(20.0))
    held = chain.hand_over()
    assert chain.table.following.ask_cancel(DEPLOYMENT, "bob")
    # WHEN
    held.go_on()
    # THEN nothing was changed, and it is told who ended it
    row = chain.row
    assert (row.status, chain.made()) == ("cancelled", [])
    (told,) = chain.said.told
    assert (told.cancelled_by, told.status) == ("bob", "cancelled")
    assert chain.table.locks.get("web").holder == ""


@pytest.mark.parametrize("after", [0.0, 8.0])
def test_what_has_touched_it_is_taken_back_and_verified(after: float) -> None:
    # GIVEN a service that is on its way to the new revision
    chain = chain_of(ecs.becomes_healthy(20.0))
    held = chain.hand_over()
    while "UpdateService" not in chain.made():
        held.go_on()
    chain.world.ecs.clock.sleep(after)
    # WHEN it is cancelled, twice, and a follower takes the next steps
    assert chain.table.following.ask_cancel(DEPLOYMENT, "bob")
    assert chain.table.following.ask_cancel(DEPLOYMENT, "eve")
    held.let_go()
    chain.queue[:] = [(chain.now, chain.queue[-1][1])]
    chain.follow_queue()
    # THEN the revision before runs again, and it is told who ended it
    (told,) = chain.said.told
    assert (told.status, told.cancelled_by, told.now_running) == ("rolled_back", "bob", "web:7")
    assert str(chain.world.ecs.live) == "web:7"
    assert not chain.table.following.ask_cancel(DEPLOYMENT, "bob")


def test_a_cancel_does_not_wait_for_the_pause_after_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # GIVEN an agent whose update is denied, and which pauses longer after each try
    monkeypatch.setattr(three_ways, "INSTALLATION", replace(INSTALLATION, limits=Limits()))
    chain = chain_of(ecs.becomes_healthy(20.0))
    chain.world.ecs.faults["UpdateService"] = denied("ecs:UpdateService")
    held = chain.hand_over()
    while not (held.followed.trouble and held.followed.trouble.count == 3):
        held.go_on()
        held.keep()
        chain.world.ecs.clock.sleep(2.0)
    assert held.next_look > chain.now + 30
    # WHEN it is cancelled
    assert chain.table.following.ask_cancel(DEPLOYMENT, "bob")
    asked = chain.now
    while not held.is_over:
        held.go_on()
        held.keep()
        chain.world.ecs.clock.sleep(1.0)
    # THEN it ends as soon as it is certain that the service was not changed
    assert (chain.row.status, chain.made()) == ("cancelled", ["RegisterTaskDefinition"])
    assert chain.now - asked < 30
