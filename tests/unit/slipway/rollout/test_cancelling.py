"""A rollout that is cancelled: over where the service is as it was, taken back where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from slipway.rollout.advance import advance
from slipway.rollout.cancelling import cancel
from slipway.rollout.looks import DeploymentSeen
from slipway.rollout.saved import from_json
from slipway.rollout.state import sure
from slipway.rollout.unfinished import NOT_UNDONE
from tests import scripted_ecs as ecs
from tests.aws.wire import Fault
from tests.scripted_ecs import IMAGE, ScriptedEcs, denied
from tests.scripted_scheduler import pauses
from tests.unit.slipway.rollout.cancelling import (
    BY,
    OVER,
    Cancelling,
    Make,
    When,
    at,
    by_code_deploy,
    migrating,
    slow,
)
from tests.unit.slipway.rollout.running import V6, V8
from tests.unit.slipway.rollout.stepwise import (
    KillsEach,
    Told,
    World,
    rolled_out,
)
from tests.unit.slipway.rollout.test_advance import NOW, service_of
from tests.unit.slipway.rollout.test_codedeploy import NEVER_INSTALLED, NEVER_SHIFTS, WELL
from tests.unit.slipway.rollout.test_registering import exits
from tests.unit.slipway.rollout.test_stepwise import (
    MIGRATE,
    forced,
    summary,
    under_way,
    world,
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Where it is cancelled, and what must come of it. `changes`: those that AWS was asked for."""

    make: Make
    when: When
    outcome: str
    restored: bool | None = None
    live: str = "web:7"
    says: str = f"cancelled by {BY}"
    changes: tuple[str, ...] = ()
    warns: str = ""
    within: float = 30.0


REGISTERED = ("RegisterTaskDefinition",)
UPDATED = (*REGISTERED, "UpdateService")
STOPPED = (*UPDATED, "StopServiceDeployment")
SET_BACK = (*UPDATED, "UpdateService")
RAN = (*REGISTERED, "RunTask")
AGAIN = f"cancelled by {BY}; rolled back: web:7 runs again"


def paused() -> World:
    return world(ScriptedEcs(behaviour=pauses("POST_SCALE_UP", until=3000.0, then="CONTINUE")))


def codedeploy_that_ended() -> World:
    """It ends in the moment in which it is told to stop."""
    made = by_code_deploy([(1.0, "InProgress", 3, True), (6.0, "Succeeded", 5, True)])
    deploy = made.codedeploy

    def too_late(_parameters: Any) -> Any:
        deploy.ecs.clock.sleep(5.0)
        raise Fault("DeploymentAlreadyCompletedException", "The deployment is already completed.")

    deploy._on_StopDeployment = too_late
    return made


def with_fault(made: World, operation: str, fault: Fault) -> World:
    made.ecs.faults[operation] = fault
    return made


ROWS = {
    "before anything": Row(make=slow, when=at("read"), outcome="cancelled"),
    "before it is registered": Row(make=slow, when=at("base"), outcome="cancelled"),
    "before the update is sent": Row(
        make=slow, when=at("update"), outcome="cancelled", changes=REGISTERED
    ),
    "while the new tasks start": Row(
        make=slow, when=at("wait", 5.0), outcome="rolled_back", restored=True, says=AGAIN,
        changes=STOPPED,
    ),
    "while they start, and ECS has no service deployments": Row(
        make=lambda: world(ScriptedEcs(behaviour=ecs.never_steady, history=False)),
        when=at("wait", 5.0), outcome="rolled_back", restored=True, says=AGAIN, changes=SET_BACK,
    ),
    "while they start, and the plan says not to go back": Row(
        make=lambda: slow(rollback=False), when=at("wait", 5.0), outcome="rolled_back",
        restored=True, says=AGAIN, changes=STOPPED,
    ),
    "while the old ones drain": Row(
        make=lambda: world(ScriptedEcs(behaviour=ecs.becomes_healthy(2.0, drained=5000.0))),
        when=at("wait", 20.0), outcome="rolled_back", restored=True, says=AGAIN, changes=STOPPED,
        within=40.0,
    ),
    "at a pause hook": Row(
        make=paused, when=at("wait", 40.0), outcome="rolled_back", restored=True, says=AGAIN,
        changes=STOPPED, within=60.0,
    ),
    "of a followed one": Row(
        make=lambda: under_way(ecs.never_steady), when=at("wait", 5.0), outcome="rolled_back",
        restored=True, says=AGAIN, changes=("StopServiceDeployment",),
    ),
    "forced, its image pinned": Row(
        make=lambda: forced(history=False), when=at("wait", 5.0), outcome="rolled_back",
        restored=True, live="web:8", says=f"cancelled by {BY}; rolled back: web:8 runs again",
        changes=("UpdateService", "RegisterTaskDefinition", "UpdateService"),
    ),
    "to an earlier revision": Row(
        make=lambda: world(ScriptedEcs(behaviour=ecs.never_steady), target=V6),
        when=at("wait", 5.0), outcome="rolled_back", restored=True, says=AGAIN,
        changes=("UpdateService", "StopServiceDeployment"),
    ),
    "ECS's own way back is refused": Row(
        make=lambda: with_fault(
            slow(), "StopServiceDeployment", denied("ecs:StopServiceDeployment")
        ),
        when=at("wait", 5.0), outcome="rolled_back", restored=True, says=AGAIN, changes=SET_BACK,
    ),
    "while it goes back by itself": Row(
        make=lambda: world(ScriptedEcs(behaviour=ecs.breaker_fails)), when=at("agree"),
        outcome="failed", restored=True, says="rolled back: web:7 runs again", changes=SET_BACK,
    ),
    "when all is over but old revisions": Row(
        make=lambda: world(ScriptedEcs(behaviour=ecs.becomes_healthy(2.0)), max_definitions=1),
        when=at("prune"), outcome="succeeded", live="web:8", says="web:8 runs",
        changes=(*UPDATED, "DeregisterTaskDefinition", "DeregisterTaskDefinition"),
    ),
    "while its task runs": Row(
        make=migrating, when=at("task_wait", 3.0), outcome="cancelled", changes=(*RAN, "StopTask"),
        says=f"cancelled by {BY}; task",
    ),
    "before its task is started": Row(
        make=migrating, when=at("task"), outcome="cancelled", changes=REGISTERED
    ),
    "once its task is over": Row(
        make=lambda: world(
            ScriptedEcs(behaviour=ecs.never_steady, one_off=exits(web=0)), task=MIGRATE
        ),
        when=at("update"), outcome="cancelled", changes=RAN, warns=NOT_UNDONE,
    ),
    "its task cannot be stopped": Row(
        make=lambda: with_fault(migrating(), "StopTask", denied("ecs:StopTask")),
        when=at("task_wait", 3.0), outcome="cancelled", changes=RAN, says="was not stopped: not",
    ),
    "registered only": Row(
        make=lambda: world(
            ScriptedEcs(one_off=lambda _ecs, task: task), service=None, base="definition:web",
            image=f"{IMAGE}:v8", task=MIGRATE,
        ),
        when=at("task_wait", 3.0), outcome="cancelled", changes=(*RAN, "StopTask"),
    ),
    "CodeDeploy: before it is asked": Row(
        make=lambda: by_code_deploy(WELL), when=at("create"), outcome="cancelled",
        changes=REGISTERED,
    ),
    "CodeDeploy: while it installs": Row(
        make=lambda: by_code_deploy(NEVER_INSTALLED), when=at("codedeploy_wait", 5.0),
        outcome="rolled_back", restored=True, says=f"cancelled by {BY}; web:7 runs now",
        changes=(*REGISTERED, "CreateDeployment", "StopDeployment"),
    ),
    "CodeDeploy: while it waits for a person": Row(
        make=lambda: by_code_deploy(NEVER_SHIFTS), when=at("codedeploy_wait", 5.0),
        outcome="rolled_back", restored=True, says=f"cancelled by {BY}; web:7 runs now",
        changes=(*REGISTERED, "CreateDeployment", "StopDeployment"),
    ),
    "CodeDeploy: it was finished": Row(
        make=codedeploy_that_ended, when=at("codedeploy_wait", 3.0), outcome="succeeded",
        live="web:8", says="CodeDeploy says that it succeeded",
        changes=(*REGISTERED, "CreateDeployment", "StopDeployment"),
        warns=f"cancelled by {BY}, too late: CodeDeploy had finished",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_cancel_ends_it_where_it_stands(row: Row) -> None:
    # GIVEN a rollout under way
    made = row.make()
    begun = made.ecs.clock.now()

    # WHEN it is cancelled (and, as long as it goes on, again before every step)
    whole = rolled_out(made, drive=Cancelling(row.when))

    # THEN the word, what runs, and what was changed are right
    result = whole.result
    assert (result.outcome, result.restored, whole.live) == (row.outcome, row.restored, row.live)
    assert row.says in result.cause
    assert [call.operation for call in whole.calls if call.changed] == list(row.changes)
    assert (row.warns,) == (result.warnings or ("",))
    service = made.plan.service
    live = f"{ecs.PREFIX}:task-definition/{row.live}" if service and result.before else None
    assert result.running == live
    assert made.ecs.clock.now() - begun <= row.within
    goes_on = [t for t in made.ecs.tasks if t.get("startedBy", "").startswith("slipway/")]
    stays = row.outcome != "cancelled" or "was not stopped" in row.says
    assert stays or [t for t in goes_on if t["lastStatus"] == "RUNNING"] == []

    # AND so they are where processes die before each kind of call, and after each change
    for answered in (False, True):
        kills = KillsEach(answered=answered)
        told = rolled_out(row.make(), kills=kills, drive=Cancelling(row.when))
        assert compared(told) == compared(whole), f"{answered} {sorted(kills.kinds)}"


def compared(told: Told) -> Any:
    """All that must be the same. What is taken back at once is not said to be waited for."""
    return summary(told), [step for step in told.steps if not step.startswith("wait:")]


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_second_cancel_changes_nothing(row: Row) -> None:
    # GIVEN all states of a cancelled rollout
    saved: list[str] = []
    rolled_out(row.make(), drive=Cancelling(row.when), saved=saved)
    states = [from_json(text) for text in saved]
    after = [s for s in states if s.cancelled is not None] + [
        s for s in states if s.step in ("over", *OVER)
    ]
    assert after
    # WHEN somebody else cancels it, THEN nothing changes
    for state in after:
        assert cancel(state, "bob", 9000.0) == (state, (), (state.step, state.look_at))


def test_what_somebody_else_has_deployed_meanwhile_is_left_alone() -> None:
    # GIVEN a rollout under way, cancelled
    saved: list[str] = []
    rolled_out(slow(), saved=saved)
    state = [s for s in map(from_json, saved) if s.step == "wait"][5]
    asked = cancel(state, BY, NOW)
    assert asked.state.step == "agree"
    # WHEN another revision is the primary one, again and again
    other = DeploymentSeen(
        service=service_of(V6, V8, number=110),
        ours=None,
        finding=sure(asked.state.following).finding,
    )
    for look in range(3):
        asked = advance(asked.state, other, NOW + look)
    # THEN it is left alone, and that is said
    assert asked.state.result is not None
    assert asked.state.result.outcome == "superseded"
    assert asked.state.result.cause.startswith(
        f"cancelled by {BY}; another deployment has taken over and was left alone; web:6 runs"
    )
