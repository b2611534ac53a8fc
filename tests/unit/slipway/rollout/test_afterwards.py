"""A deployment that is steady is proved: how each proof ends, and what runs then."""

from __future__ import annotations

import dataclasses

import pytest

from slipway.rollout.beginning import begin
from slipway.rollout.cancelling import cancel, ends_first
from slipway.rollout.means import Means
from slipway.rollout.plan import RolloutResult
from slipway.rollout.roll_out import resumed, see_through
from slipway.rollout.saved import from_json, to_json
from slipway.rollout.state import RolloutState, on
from tests.scripted_ecs import PREFIX
from tests.unit.slipway.rollout.proofs import (
    BAKE,
    PROOFS,
    SMOKE,
    Proof,
    proved,
    through_codedeploy,
    with_task,
)
from tests.unit.slipway.rollout.stepwise import World, _live, rolled_out


@pytest.mark.parametrize("proof", PROOFS.values(), ids=list(PROOFS))
def test_a_proof_says_what_runs(proof: Proof) -> None:
    told = rolled_out(proof.make())
    assert (told.result.outcome, told.live) == (proof.outcome, proof.live)
    assert proof.says in told.result.cause
    assert "secret" not in told.result.cause
    if proof.live == "web:7" and told.result.outcome == "failed":
        assert told.result.restored in (True, None)


def test_an_alarm_that_is_not_there_is_found_before_anything_is_touched() -> None:
    for name in ("there is no such alarm", "the alarms may not be looked at"):
        told = rolled_out(PROOFS[name].make())
        assert [name for name, _ in told.made("UpdateService")] == []
        assert told.result.restored is None


def test_what_ecs_watches_is_not_watched_twice_and_that_is_said() -> None:
    told = rolled_out(PROOFS["ECS watches the alarms itself"].make())
    assert len([line for line in told.result.skipped if "watches it in its own" in line]) == 2


def test_an_alarm_that_was_off_before_is_said() -> None:
    told = rolled_out(PROOFS["an alarm was off before"].make())
    assert any("'errors' was in ALARM before" in line for line in told.result.skipped)


def test_the_bake_takes_its_minutes_and_says_how_far_it_is() -> None:
    world = proved(**BAKE)
    begun = world.ecs.clock.now()
    told = rolled_out(world)
    assert world.ecs.clock.now() - begun >= 60.0
    assert told.steps[-1] == "bake: baking, # of # min"


def test_nothing_to_prove_changes_nothing() -> None:
    """Neither the steps nor the calls, and nothing of it is written down."""
    saved: list[str] = []
    told = rolled_out(proved(), saved=saved)
    assert not any("prov" in text or "alarms" in text or "smoke" in text for text in saved)
    assert {call.step for call in told.calls} <= {
        "read", "base", "register", "survey", "update", "wait",
    }  # fmt: skip


def stopped_in(world: World, step: str) -> tuple[RolloutState, Means]:
    """The state as it is saved when it has come to a step for the second time."""
    saved: list[RolloutState] = []

    class Reached(BaseException): ...

    def save(state: RolloutState) -> None:
        saved.append(state)
        there = [one for one in saved if one.step == step]
        if len(there) == 2:
            raise Reached

    means = world.process(lambda _progress: None)
    with pytest.raises(Reached):
        see_through(begin(world.plan, world.ecs.clock.now(), "0123"), means, save=save)
    return from_json(to_json(saved[-1])), world.process(lambda _progress: None)


def cancelled_in(world: World, step: str) -> tuple[RolloutResult, World]:
    state, means = stopped_in(world, step)
    asked = cancel(state, "bob", world.ecs.clock.now())
    assert asked.state is not state
    assert cancel(asked.state, "eve", world.ecs.clock.now()).state is asked.state
    return see_through(on(asked.state, *asked.actions), means), world


@pytest.mark.parametrize("step", ["smoke", "post_task_wait", "bake"])
def test_a_cancel_takes_back_what_is_being_proved(step: str) -> None:
    # GIVEN a proof that goes on
    smoke = dataclasses.replace(SMOKE, within=100.0)
    world = {
        "smoke": lambda: proved(smoke=smoke, well=lambda _age: False),
        "post_task_wait": lambda: with_task(None),
        "bake": lambda: proved(**BAKE),
    }[step]()
    # WHEN somebody cancels it
    result, world = cancelled_in(world, step)
    # THEN what ran before runs again; a task was stopped first
    assert (result.outcome, world.ecs.live) == ("rolled_back", "web:7")
    assert "cancelled by bob" in result.cause
    assert len(world.ecs.made("StopTask")) == (1 if step == "post_task_wait" else 0)


@pytest.mark.parametrize("step", ["create", "codedeploy_wait"])
def test_a_cancel_leaves_codedeploys_way_back_alone(step: str) -> None:
    # GIVEN a release of CodeDeploy's that was not proved, and the deployment that goes back
    world, saved = through_codedeploy(False), list[RolloutState]()

    class Reached(BaseException): ...

    def save(state: RolloutState) -> None:
        saved.append(state)
        if state.undoes is not None and state.step == step:
            raise Reached

    means = world.process(lambda _progress: None)
    with pytest.raises(Reached):
        see_through(begin(world.plan, world.ecs.clock.now(), "0123"), means, save=save)
    state = from_json(to_json(saved[-1]))
    # WHEN somebody cancels the rollout then, or another service of its pipeline fails
    asked = cancel(state, "bob", world.ecs.clock.now())
    # THEN it goes back all the same
    assert asked.state is state
    result = see_through(resumed(state), world.process(lambda _progress: None))
    assert (result.outcome, _live(world)) == ("rolled_back", "web:7")


def test_what_was_followed_in_codedeploy_goes_back_through_its_group() -> None:
    # GIVEN a service whose new task set serves, while the one before it is still going
    world = through_codedeploy(False)
    world.plan = dataclasses.replace(
        world.plan, image=None, target=f"{PREFIX}:task-definition/web:7"
    )
    old = {
        "id": "ecs-svc/0",
        "status": "ACTIVE",
        "taskDefinition": f"{PREFIX}:task-definition/web:6",
    }
    sets = world.ecs.service["taskSets"]
    sets[0]["stabilityStatus"] = "STEADY_STATE"
    sets.append(old)
    world.ecs.at(10.0, lambda: sets.remove(old))
    # WHEN it is followed, and is not proved
    # THEN its group, which was not asked before, takes it back
    told = rolled_out(world)
    assert (told.result.outcome, told.live) == ("rolled_back", "web:6")


def test_a_task_that_goes_on_is_ended_before_a_newer_rollout_begins() -> None:
    state, _ = stopped_in(with_task(None), "post_task_wait")
    assert ends_first(state)


def test_the_task_after_has_a_token_of_its_own() -> None:
    from tests.unit.slipway.rollout.proofs import PROOFS as proofs  # noqa: PLC0415

    world = proofs["tasks before and afterwards"].make()
    rolled_out(world)
    tokens = [asked["clientToken"] for asked in world.ecs.made("RunTask")]
    assert len(set(tokens)) == 2
