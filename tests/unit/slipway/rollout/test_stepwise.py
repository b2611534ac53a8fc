"""Every kind of rollout, killed in a call and taken up from its saved state by another process.

By default one run of each scenario has a death at every kind of call of every step. With
`EVERY_MOMENT` in the environment (`make chaos`) each moment also has a run of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from slipway.rollout import OneOffTask, RolloutPlan, Timeouts
from tests import scripted_ecs as ecs
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import IMAGE, Json, ScriptedEcs, digest_of
from tests.scripted_scheduler import behind_balancer, pauses, rolling, with_health_check
from tests.unit.slipway.rollout import test_codedeploy, test_scenarios
from tests.unit.slipway.rollout.proofs import PROOFS
from tests.unit.slipway.rollout.running import V6, V7
from tests.unit.slipway.rollout.stepwise import (
    CHANGES,
    Call,
    KillsAt,
    KillsEach,
    Told,
    World,
    rolled_out,
)
from tests.unit.slipway.rollout.test_registering import exits
from tests.unit.slipway.rollout.test_updates import blue_green

TIMES = Timeouts(healthy=60, drain=60, rollback=60, task=30)
MIGRATE = OneOffTask(command=("migrate",))
ALL = {"desired_count": 4, "min_percent": 50, "max_percent": 150}


def world(scripted: ScriptedEcs, means: dict[str, Any] | None = None, **members: Any) -> World:
    given = {"cluster": "prod", "service": "web", "timeouts": TIMES, **members}
    if not {"target", "force", "base"} & set(members):
        given["image"] = f"{IMAGE}:v8"
    return World(RolloutPlan(**given), scripted, means or {})


def of_scenario(row: Any, history: bool) -> World:
    scripted = ScriptedEcs(**row.state, history=history)
    return world(scripted, **row.plan)


def under_way(behaviour: ecs.Behaviour, **members: Any) -> World:
    """A deployment that somebody else has begun is followed."""
    scripted = ScriptedEcs(behaviour=behaviour, **members)
    container = {"name": "web", "image": f"{IMAGE}:v8"}
    new = scripted.add_definition({"family": "web", "containerDefinitions": [container]})
    scripted.client().update_service(cluster="prod", service="web", taskDefinition=new)
    scripted.clock.sleep(3.0)
    scripted.calls.clear()
    return world(scripted, target=new, previous=V7)


def forced(*, history: bool, digest: bool = True) -> World:
    scripted = ScriptedEcs(behaviour=ecs.crashes, history=history, number_matches=False)
    container = {"name": "web", "image": f"{IMAGE}:v7", "imageDigest": digest_of("41")}
    if digest:
        scripted.add_task(V7, "RUNNING", containers=[container])
    return world(scripted, force=True)


def balanced(state: str) -> World:
    scripted = ScriptedEcs(behaviour=rolling(drains=5.0), targets=lambda _task: state)
    behind_balancer(scripted)
    balancing = {"balancing": lambda of: lambda: of.client("elbv2")}
    scripted.older_behaviour = ecs.becomes_healthy(2.0)
    return world(scripted, balancing)


def checked(state: str) -> World:
    scripted = ScriptedEcs(behaviour=rolling(drains=5.0), health=lambda _task: state)
    with_health_check(scripted)
    scripted.older_behaviour = ecs.becomes_healthy(2.0)
    return world(scripted, wait_drain=False)


def sick_again(scripted: ScriptedEcs, new: Json) -> None:
    """The previous revision does not get healthy either."""
    scripted.older_behaviour = ecs.never_steady
    ecs.breaker_fails(scripted, new)


def codedeploy(row: Any, **members: Any) -> World:
    return codedeploy_world(
        ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=list(row.plays), **members)
    )


def codedeploy_world(deploy: ScriptedCodeDeploy) -> World:
    made = world(deploy.ecs)
    made.codedeploy = deploy
    return made


def in_ecr() -> World:
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(2.0))
    return world(scripted, {"ecr": lambda of: lambda: of.client("ecr")}, max_definitions=1)


Make = Callable[[], World]


def of_rows(*, throttled: bool) -> dict[str, Make]:
    return {
        f"{row.name}, {'service deployments' if history else 'rolloutState'}": (
            lambda r=row, h=history: of_scenario(r, h)
        )
        for row in test_scenarios.ROWS
        for history in (True, False)
        if ("throttling" in row.name) == throttled
    }


THROTTLED = of_rows(throttled=True)
"""Which calls are throttled depends on how many there were: so each death changes the rest."""

SCENARIOS: dict[str, Make] = {
    **of_rows(throttled=False),
    "crashes, ECS itself goes back": lambda: world(ScriptedEcs(behaviour=ecs.crashes), **ALL),
    "crashes, set back": lambda: world(ScriptedEcs(behaviour=ecs.crashes, history=False), **ALL),
    "rolled back, and counts put back": lambda: world(
        ScriptedEcs(behaviour=ecs.breaker_rolls_back(having_run=True)), **ALL
    ),
    "never steady": lambda: world(ScriptedEcs(behaviour=ecs.never_steady)),
    "left as it is": lambda: world(ScriptedEcs(behaviour=ecs.crashes), rollback=False),
    "the previous one is sick too": lambda: world(
        ScriptedEcs(behaviour=sick_again, history=False)
    ),
    "draining too long": lambda: world(
        ScriptedEcs(behaviour=ecs.becomes_healthy(5.0, drained=5000.0))
    ),
    "blue/green, well": lambda: world(ScriptedEcs(behaviour=blue_green(ends="well"))),
    "blue/green, badly": lambda: world(ScriptedEcs(behaviour=blue_green(ends="badly"))),
    "a pause that is continued": lambda: world(
        ScriptedEcs(behaviour=pauses("POST_SCALE_UP", until=90.0, then="CONTINUE"))
    ),
    "a pause that is rolled back": lambda: world(
        ScriptedEcs(behaviour=pauses("POST_SCALE_UP", until=90.0, then="ROLLBACK"))
    ),
    "to an earlier revision": lambda: world(ScriptedEcs(), target=V6),
    "to an earlier revision by its name, which crashes": lambda: world(
        ScriptedEcs(behaviour=ecs.crashes), target="web:6"
    ),
    "what runs already": lambda: world(ScriptedEcs(), target=V7),
    "followed, well": lambda: under_way(ecs.becomes_healthy(8.0)),
    "followed, crashes": lambda: under_way(ecs.crashes, history=False),
    "forced, well": lambda: world(ScriptedEcs(behaviour=ecs.becomes_healthy(3.0)), force=True),
    "forced, crashes, ECS itself goes back": lambda: forced(history=True),
    "forced, crashes, pinned": lambda: forced(history=False),
    "forced, crashes, nothing to pin": lambda: forced(history=False, digest=False),
    "a task before, well": lambda: world(
        ScriptedEcs(behaviour=ecs.becomes_healthy(2.0), one_off=exits(web=0)), task=MIGRATE
    ),
    "a task before, well, and then a crash": lambda: world(
        ScriptedEcs(behaviour=ecs.crashes, one_off=exits(web=0)), task=MIGRATE
    ),
    "a crash, and its revision is discarded": lambda: world(
        ScriptedEcs(behaviour=ecs.crashes), discard_failed=True
    ),
    "set back, and its revision is discarded": lambda: world(
        ScriptedEcs(behaviour=ecs.breaker_fails, history=False), discard_failed=True
    ),
    "a task before, badly": lambda: world(ScriptedEcs(one_off=exits(web=1)), task=MIGRATE),
    "a task before, too long": lambda: world(
        ScriptedEcs(one_off=lambda _ecs, task: task), task=MIGRATE
    ),
    "registered only": lambda: world(
        ScriptedEcs(), service=None, base="definition:web", image=f"{IMAGE}:v8"
    ),
    "registered only, and its task": lambda: world(
        ScriptedEcs(one_off=exits(web=0)), service=None, base="definition:web",
        image=f"{IMAGE}:v8", task=MIGRATE,
    ),
    "the image is in ECR, and pruned": in_ecr,
    "the target is healthy": lambda: balanced("healthy"),
    "the target is not healthy": lambda: balanced("unhealthy"),
    "the health check passes": lambda: checked("HEALTHY"),
    **{
        f"CodeDeploy: {name}": lambda r=row: codedeploy(r, error="too many unhealthy")
        for name, row in test_codedeploy.ROWS.items()
    },
    **{name: proof.make for name, proof in PROOFS.items()},
}  # fmt: skip

CHANGING = sorted(CHANGES - {"RegisterTaskDefinition"})


@pytest.mark.parametrize("make", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_rollout_that_is_killed_in_each_kind_of_call_ends_as_one_that_is_not(make: Make) -> None:
    """A process dies before each kind of call of each step; then the same after each change."""
    # GIVEN how it goes where nothing is killed
    whole = rolled_out(make())

    for answered in (False, True):
        # WHEN every process is killed at the next kind of call, and another one has only the state
        kills = KillsEach(answered=answered)
        told = rolled_out(make(), kills=kills)

        # THEN it ends the same
        same(told, whole, f"{'after' if answered else 'before'} each of {sorted(kills.kinds)}")
        # AND so it does where it is killed in what that run did not come to
        for number, call in enumerate(whole.calls):
            if (not answered or call.operation in CHANGES) and kills.spared(call):
                alone = rolled_out(make(), kills=KillsAt(number, answered=answered))
                same(alone, whole, f"in {call.operation} of {call.step}")


@pytest.mark.skipif("EVERY_MOMENT" not in os.environ, reason="some minutes; `make chaos` has it")
@pytest.mark.parametrize("make", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_rollout_that_is_killed_once_at_any_moment_ends_as_one_that_is_not(make: Make) -> None:
    """One death in a run, in hundreds of runs."""
    whole = rolled_out(make())
    for number, answered in moments(whole.calls):
        told = rolled_out(make(), kills=KillsAt(number, answered=answered))
        call = whole.calls[number]
        same(told, whole, f"{'after' if answered else 'before'} {call.operation} in {call.step}")


@pytest.mark.parametrize("make", THROTTLED.values(), ids=list(THROTTLED))
def test_a_throttled_rollout_that_is_killed_ends_with_the_same_word_and_revision(
    make: Make,
) -> None:
    # GIVEN how it goes where nothing is killed, and a third of all calls is throttled
    whole = rolled_out(make())
    for answered in (False, True):
        # WHEN every process is killed at the next kind of call
        kills = KillsEach(answered=answered)
        told = rolled_out(make(), kills=kills)
        # THEN the word is the same, and what runs
        assert kills.kinds
        weakly_same(told, whole, f"{'after' if answered else 'before'} each of {kills.kinds}")
    # AND so it is where one process is killed, at any call
    chosen = moments(whole.calls) if "EVERY_MOMENT" in os.environ else moments(whole.calls)[::5]
    for number, answered in chosen:
        told = rolled_out(make(), kills=KillsAt(number, answered=answered))
        weakly_same(told, whole, f"{'after' if answered else 'before'} call {number}")


def weakly_same(told: Told, whole: Told, when: str) -> None:
    """The word and the live revision."""
    ended, expected = told.result, whole.result
    assert (ended.outcome, told.live) == (expected.outcome, whole.live), when
    assert (ended.running, ended.after) == (expected.running, expected.after), when


def same(told: Told, whole: Told, when: str) -> None:
    """The word, what runs and what was changed are the same, and nothing was done twice."""
    assert summary(told) == summary(whole), when
    assert told.steps == whole.steps, when
    assert set(told.result.skipped) <= set(whole.result.skipped), when


def summary(told: Told) -> dict[str, Any]:
    """All that must not depend on how the rollout was taken apart."""
    result = told.result
    return {
        "outcome": result.outcome,
        "live": told.live,
        "running": result.running,
        "restored": result.restored,
        "drained": result.drained,
        "before": result.before,
        "after": result.after,
        "deregistered": result.deregistered,
        "changes": result.changes,
        "made": told.made(*CHANGING),
        "registered": told.made("RegisterTaskDefinition"),
    }


def moments(calls: list[Call]) -> list[tuple[int, bool]]:
    """Where to kill: at every change, before and after; of the looks of a step, first and last."""
    found: dict[int, None] = {}
    kinds: dict[tuple[str, str], list[int]] = {}
    for number, call in enumerate(calls):
        kinds.setdefault((call.step, call.operation), []).append(number)
    for (_step, operation), numbers in kinds.items():
        chosen = numbers if operation in CHANGES else [numbers[0], numbers[-1]]
        found |= dict.fromkeys(chosen)
    return [
        (number, answered)
        for number in found
        for answered in ((False, True) if calls[number].operation in CHANGES else (False,))
    ]
