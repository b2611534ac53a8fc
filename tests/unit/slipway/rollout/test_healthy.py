"""Never a success that is not one: what ECS counts as healthy, and what runs at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.following.service import plan_of
from slipway.rollout import RolloutResult, Timeouts
from tests import scripted_ecs as ecs
from tests.scripted_ecs import IMAGE, PREFIX, ScriptedEcs, denied
from tests.scripted_scheduler import (
    behind_balancer,
    breaker,
    clients,
    percents,
    rolling,
    with_health_check,
)
from tests.unit.build_agent.world import make_pipeline
from tests.unit.slipway.rollout.running import run

Prepare = Callable[[ScriptedEcs], None]
SHORT = Timeouts(healthy=10, drain=10, rollback=300)
LONG = Timeouts(healthy=90, drain=600, rollback=300)
OF_AGENT = plan_of(make_pipeline(), images={"web": "x"}).timeouts
"""1800 and 900 seconds."""


def checked(state: str) -> dict[str, Any]:
    return {"health": lambda _task: state}


def target(state: str | None) -> dict[str, Any]:
    return {"targets": lambda _task: state}


def after(ecs_: ScriptedEcs, seconds: float, early: str, late: str) -> Callable[[Any], str]:
    """`late` once a task has run for so many seconds."""
    return lambda task: late if ecs_.clock.now() - task["startedAt"] >= seconds else early


@dataclass(frozen=True, kw_only=True)
class Row:
    """A service, how it is deployed to, and everything that must be so afterwards."""

    behaviour: ecs.Behaviour
    prepare: tuple[Prepare, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)
    skip: bool = False
    timeouts: Timeouts = LONG
    outcome: str
    live: str
    says: str = ""
    restored: bool | None = None
    within: tuple[float, float]
    asks_balancer: bool = True


def min_zero(scripted: ScriptedEcs) -> None:
    percents(scripted, 0, 100)


def two_at_half(scripted: ScriptedEcs) -> None:
    percents(scripted, 50, 200)
    scripted.service["desiredCount"] = 2
    scripted.primary.update(desiredCount=2, runningCount=2)


ROWS = {
    # row 1: --skip-deployments-check
    "skip, a task dies after a second, again and again": Row(
        behaviour=rolling(dies=1.0), skip=True,
        outcome="timed_out", live="web:7", restored=True, within=(90, 110),
        says="Essential container in task exited; container web exit code 1",
    ),
    "skip, the breaker takes it back meanwhile": Row(
        behaviour=rolling(dies=1.0), skip=True, prepare=(breaker,),
        outcome="rolled_back", live="web:7", restored=True, within=(5, 30),
        says="circuit breaker: tasks failed to start",
    ),
    "skip, a task lives for 30 s, again and again": Row(
        behaviour=rolling(dies=30.0), skip=True,
        outcome="timed_out", live="web:7", restored=True, within=(90, 110),
    ),
    "skip, no health check": Row(
        behaviour=rolling(drains=300.0), skip=True,
        outcome="succeeded", live="web:8", within=(42, 45), says="ECS goes on with the deployment, "
        "unwatched",
    ),
    "skip, no health check and no percentage to keep": Row(
        behaviour=rolling(drains=300.0), skip=True, prepare=(min_zero,),
        outcome="succeeded", live="web:8", within=(42, 45), says="unwatched",
    ),
    "skip, the health check passes": Row(
        behaviour=rolling(drains=300.0), skip=True, prepare=(with_health_check,),
        state=checked("HEALTHY"), outcome="succeeded", live="web:8", within=(2, 5),
    ),
    "skip, the health check is undecided": Row(
        behaviour=rolling(drains=300.0), skip=True, prepare=(with_health_check,),
        state=checked("UNKNOWN"), outcome="timed_out", live="web:7", restored=True,
        within=(90, 110), says="the health check of container web is UNKNOWN",
    ),
    "skip, the target is healthy": Row(
        behaviour=rolling(drains=300.0), skip=True, prepare=(behind_balancer,),
        state=target("healthy"), outcome="succeeded", live="web:8", within=(2, 5),
    ),
    "skip, the target is not healthy": Row(
        behaviour=rolling(drains=300.0), skip=True, prepare=(behind_balancer, min_zero),
        state=target("unhealthy"), outcome="timed_out", live="web:7", restored=True,
        within=(90, 110), says=":8080 of web-tg is unhealthy",
    ),
    "skip, the target is not registered": Row(
        behaviour=rolling(drains=300.0), skip=True, prepare=(behind_balancer, min_zero),
        state=target(None), outcome="timed_out", live="web:7", restored=True,
        within=(90, 110), says="of web-tg is not registered",
    ),
    "skip, the balancer may not be asked: until ECS itself is done": Row(
        behaviour=rolling(drains=300.0), skip=True, prepare=(behind_balancer,),
        state={**target("healthy"),
               "faults": {"DescribeTargetHealth": denied("elasticloadbalancing:…")}},
        outcome="succeeded", live="web:8", within=(300, 310),
    ),
    "skip, tasks may not be listed: until ECS itself is done": Row(
        behaviour=rolling(drains=300.0), skip=True,
        state={"faults": {"ListTasks": denied("ecs:ListTasks")}},
        outcome="succeeded", live="web:8", within=(340, 350),
    ),
    # row 2: what is not decided is no success, whatever the limits
    "a health check undecided for minutes": Row(
        behaviour=rolling(), prepare=(with_health_check, min_zero), state=checked("UNKNOWN"),
        timeouts=SHORT, outcome="timed_out", live="web:7", restored=True, within=(10, 30),
        says="waits for task",
    ),
    "a health check undecided for longer than the agent waits": Row(
        behaviour=rolling(), prepare=(with_health_check, min_zero), state=checked("UNKNOWN"),
        timeouts=OF_AGENT, outcome="timed_out", live="web:7", restored=True, within=(1800, 1830),
        says="the health check of container web is UNKNOWN",
    ),
    "a target that is never healthy": Row(
        behaviour=rolling(), prepare=(behind_balancer, min_zero), state=target("unhealthy"),
        timeouts=SHORT, outcome="timed_out", live="web:7", restored=True, within=(10, 30),
        says="is unhealthy",
    ),
    "a target that is never healthy, with the agent's limits": Row(
        behaviour=rolling(), prepare=(behind_balancer, min_zero), state=target("initial"),
        timeouts=OF_AGENT, outcome="timed_out", live="web:7", restored=True, within=(1800, 1830),
        says="is initial",
    ),
    "a target that is never healthy, and nobody to ask": Row(
        behaviour=rolling(), prepare=(behind_balancer, min_zero), state=target("unhealthy"),
        timeouts=SHORT, outcome="timed_out", live="web:7", restored=True, within=(10, 30),
        says="the balancer is not asked", asks_balancer=False,
    ),
    "targets that are never healthy, at half the tasks": Row(
        behaviour=rolling(), prepare=(behind_balancer, two_at_half), state=target("unhealthy"),
        timeouts=OF_AGENT, outcome="timed_out", live="web:7", restored=True, within=(1800, 1830),
    ),
    # draining is never a reason to go back
    "healthy, and the old tasks drain for longer than the limit": Row(
        behaviour=rolling(drains=5000.0), timeouts=OF_AGENT,
        outcome="succeeded", live="web:8", within=(940, 960), says="the old ones were not gone",
    ),
    "healthy targets, and the old tasks drain for longer than the limit": Row(
        behaviour=rolling(drains=5000.0), prepare=(behind_balancer, two_at_half),
        state=target("healthy"), outcome="succeeded", live="web:8", within=(600, 615),
    ),
    "ECS has given the old tasks up, and nobody can prove the new ones": Row(
        behaviour=rolling(drains=5000.0), prepare=(behind_balancer,), state=target("healthy"),
        outcome="timed_out", live="web:8", restored=None, within=(600, 615), asks_balancer=False,
        says="nothing proves that the new tasks are healthy",
    ),
    "draining for five minutes behind a balancer that is not asked": Row(
        behaviour=rolling(drains=300.0), prepare=(behind_balancer,), state=target("healthy"),
        outcome="succeeded", live="web:8", within=(300, 310), asks_balancer=False,
    ),
}  # fmt: skip


def deployed(row: Row, *, history: bool) -> tuple[ScriptedEcs, RolloutResult]:
    scripted = ScriptedEcs(
        behaviour=row.behaviour, history=history, older_behaviour=rolling(), **row.state
    )
    scripted.older_behaviour = ecs.becomes_healthy(2.0)
    for prepare in row.prepare:
        prepare(scripted)
    result = run(
        scripted,
        image=f"{IMAGE}:v8",
        wait_drain=not row.skip,
        timeouts=row.timeouts,
        **(clients(scripted) if row.asks_balancer else {}),
    )
    return scripted, result


@pytest.mark.parametrize("history", [True, False], ids=["service deployments", "rolloutState"])
@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_it_is_a_success_only_when_ecs_counts_the_tasks(row: Row, history: bool) -> None:
    # GIVEN a service that is scheduled as ECS does, WHEN it is deployed to
    scripted, result = deployed(row, history=history)

    # THEN the word, what runs and how long it took are right
    took = scripted.clock.now() - 1000.0
    assert (result.outcome, scripted.live) == (row.outcome, row.live), result
    assert result.restored is row.restored
    assert result.running == f"{PREFIX}:task-definition/{row.live}"
    assert row.says in " ".join([result.cause, *result.warnings])
    assert row.within[0] <= took <= row.within[1], f"took {took:.1f} s: {result.cause}"
