"""What a service may do after the update, and what must come of it: word, live revision, calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.rollout import RolloutPlan, RolloutResult, Timeouts, roll_out
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, PREFIX, ScriptedEcs, denied

Prepare = Callable[[ScriptedEcs], None]


def plan(**members: Any) -> RolloutPlan:
    given = {"cluster": "prod", "service": "web", "image": f"{IMAGE}:v8"} | members
    return RolloutPlan(**{"timeouts": Timeouts(healthy=90, rollback=300), **given})


def run(scripted: ScriptedEcs, wanted: RolloutPlan, **means: Any) -> RolloutResult:
    return roll_out(wanted, ecs=scripted.client(), clock=scripted.clock, **means)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One scenario and everything that must be so afterwards."""

    name: str
    state: dict[str, Any]
    outcome: str
    live: str
    updates: int = 1
    stops: int = 0
    deregistered: tuple[str, ...] = ()
    says: str = ""
    restored: bool | None = None
    within: float = 9.0
    plan: dict[str, Any] = field(default_factory=dict)


KEEP_2 = {"max_definitions": 2}
CRASH = "Essential container in task exited; container web exit code 1"

ROWS = [
    Row(
        name="healthy at once",
        state={"behaviour": ecs.becomes_healthy(0.0)},
        outcome="succeeded",
        live="web:8",
        deregistered=("web:5", "web:6"),
        within=0.0,
        plan=KEEP_2,
    ),
    Row(
        name="healthy after 8 s",
        state={"behaviour": ecs.becomes_healthy(8.0)},
        outcome="succeeded",
        live="web:8",
    ),
    Row(
        name="drains for five minutes",
        state={"behaviour": ecs.becomes_healthy(8.0, drained=308.0)},
        outcome="succeeded",
        live="web:8",
        within=314.0,
    ),
    Row(
        name="rolled back by the breaker after having run",
        state={"behaviour": ecs.breaker_rolls_back(having_run=True)},
        outcome="rolled_back",
        live="web:7",
        says="tasks failed to start: " + CRASH,
        restored=True,
        within=17.0,
        plan=KEEP_2,
    ),
    Row(
        name="rolled back by the breaker without ever running",
        state={"behaviour": ecs.breaker_rolls_back(having_run=False)},
        outcome="rolled_back",
        live="web:7",
        says="tasks failed to start: " + CRASH,
        restored=True,
        within=17.0,
        plan=KEEP_2,
    ),
    Row(
        name="breaker failed without rollback",
        state={"behaviour": ecs.breaker_fails},
        outcome="failed",
        live="web:7",
        updates=2,
        says="rolled back: web:7 runs again",
        restored=True,
        within=16.0,
        plan=KEEP_2,
    ),
    Row(
        name="superseded by another deployment",
        state={"behaviour": ecs.superseded},
        outcome="superseded",
        live="web:5",
        says="web:5 runs now",
        plan=KEEP_2,
    ),
    Row(
        name="stale reads for five seconds",
        state={"behaviour": ecs.becomes_healthy(8.0), "stale": 5.0},
        outcome="succeeded",
        live="web:8",
    ),
    Row(
        name="stale reads for longer than the deployment takes",
        state={"behaviour": ecs.becomes_healthy(1.0), "stale": 12.0},
        outcome="succeeded",
        live="web:8",
        within=13.0,
    ),
    Row(
        name="throttling on a third of calls",
        state={"behaviour": ecs.becomes_healthy(8.0), "throttled": lambda n: n % 3 == 0},
        outcome="succeeded",
        live="web:8",
        within=10.0,
    ),
]


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_scenario_ends_right(row: Row, history: bool) -> None:
    # GIVEN a service that behaves like this
    scripted = ScriptedEcs(**row.state, history=history)

    # WHEN it is deployed to
    result = run(scripted, plan(**row.plan))

    # THEN the outcome is the right word, and what runs, was updated and deregistered is right
    check(row, scripted, result)
    assert len(scripted.made("StopServiceDeployment")) == 0


SLOW_FAILURES = [
    ("crash loop until timeout", ecs.crashes, "crash_loop", CRASH),
    ("never steady", ecs.never_steady, "timed_out", "0 of 1 tasks running, 1 pending"),
]


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
@pytest.mark.parametrize(
    ("name", "behaviour", "outcome", "says"),
    SLOW_FAILURES,
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_deployment_that_does_not_get_healthy_in_time_is_taken_back(
    name: str, behaviour: ecs.Behaviour, outcome: str, says: str, history: bool
) -> None:
    # GIVEN a service whose new tasks do not become healthy, and no circuit breaker
    scripted = ScriptedEcs(behaviour=behaviour, history=history)

    # WHEN it is deployed to with 90 s of patience
    result = run(scripted, plan(max_definitions=1))

    # THEN the previous revision runs again: by ECS's own rollback where it can, else by an update
    row = Row(
        name=name,
        state={},
        outcome=outcome,
        live="web:7",
        says=says,
        restored=True,
        within=96.0,
        updates=1 if history else 2,
        stops=1 if history else 0,
    )
    check(row, scripted, result)


def check(row: Row, scripted: ScriptedEcs, result: RolloutResult) -> None:
    took = scripted.clock.now() - 1000.0
    gone = [
        p["taskDefinition"].rpartition("/")[2] for p in scripted.made("DeregisterTaskDefinition")
    ]
    assert result.outcome == row.outcome, result
    assert row.says in result.cause
    assert scripted.live == row.live
    assert result.running == f"{PREFIX}:task-definition/{row.live}"
    assert result.before == f"{PREFIX}:task-definition/web:7"
    assert result.after == f"{PREFIX}:task-definition/web:8"
    assert result.restored is row.restored
    assert len(scripted.made("UpdateService")) == row.updates
    assert len(scripted.made("StopServiceDeployment")) == row.stops
    assert tuple(gone) == row.deregistered
    assert took <= row.within, f"took {took:.1f} s"


def test_a_denied_service_deployment_api_is_skipped_and_said() -> None:
    # GIVEN a caller who may not look at service deployments
    faults = {"ListServiceDeployments": denied("ecs:ListServiceDeployments")}
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(8.0), faults=faults)

    # WHEN it deploys
    result = run(scripted, plan())

    # THEN our deployment's id and rolloutState decide, it asked once, and it says so
    assert (result.outcome, scripted.live) == ("succeeded", "web:8")
    assert len(scripted.made("ListServiceDeployments")) == 1
    assert result.skipped == (
        "ecs:ListServiceDeployments is denied; judged by the deployment's rolloutState",
    )


def test_a_healthy_deployment_without_tasks_takes_six_calls() -> None:
    # GIVEN a service of no tasks
    scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(0.0))

    # WHEN it is deployed to
    run(scripted, plan())

    # THEN that is fewer calls than the eight of fabfuel's ecs-deploy
    assert [name for name, _ in scripted.calls] == [
        "DescribeServices",
        "DescribeTaskDefinition",
        "RegisterTaskDefinition",
        "UpdateService",
        "DescribeServices",
        "ListServiceDeployments",
    ]
