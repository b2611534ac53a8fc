"""A cancel after a process died in a call: what its lost answer would have said is looked for."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rollout import OneOffTask
from slipway.rollout.cancelling import cancel
from slipway.rollout.judge import STALE
from slipway.rollout.roll_out import resumed
from slipway.rollout.saved import from_json
from tests import scripted_ecs as ecs
from tests.scripted_ecs import ScriptedEcs
from tests.scripted_scheduler import pauses
from tests.unit.slipway.rollout.cancelling import (
    BY,
    OVER,
    Cancelling,
    Make,
    by_code_deploy,
    migrating,
    slow,
)
from tests.unit.slipway.rollout.running import V6, V7
from tests.unit.slipway.rollout.stepwise import CHANGES, KillsAt, rolled_out
from tests.unit.slipway.rollout.test_codedeploy import WELL
from tests.unit.slipway.rollout.test_registering import exits
from tests.unit.slipway.rollout.test_stepwise import MIGRATE, world

KINDS: dict[str, Make] = {
    "rolling": lambda: world(ScriptedEcs(behaviour=ecs.becomes_healthy(3.0)), max_definitions=2),
    "rolling, without service deployments": lambda: world(
        ScriptedEcs(behaviour=ecs.becomes_healthy(3.0), history=False)
    ),
    "rolling, answers are old": lambda: world(
        ScriptedEcs(behaviour=ecs.becomes_healthy(30.0), stale=12.0)
    ),
    "at a pause hook": lambda: world(
        ScriptedEcs(behaviour=pauses("POST_SCALE_UP", until=30.0, then="CONTINUE"))
    ),
    "a task before": lambda: world(
        ScriptedEcs(behaviour=ecs.becomes_healthy(3.0), one_off=exits(web=0)), task=MIGRATE
    ),
    "a task that is only started": lambda: world(
        ScriptedEcs(behaviour=ecs.becomes_healthy(3.0), one_off=exits(web=0)),
        task=OneOffTask(command=("migrate",), wait=False),
    ),
    "to an earlier revision": lambda: world(
        ScriptedEcs(behaviour=ecs.becomes_healthy(3.0)), target=V6
    ),
    "rolled back by the breaker": lambda: world(
        ScriptedEcs(behaviour=ecs.breaker_rolls_back(having_run=True))
    ),
    "CodeDeploy": lambda: by_code_deploy(WELL),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=list(KINDS))
def test_wherever_a_process_dies_a_cancel_leaves_what_ran_before(make: Make) -> None:
    """The answer of a change may be lost, and the cancel is the first thing its successor knows."""
    whole = rolled_out(make())
    met: set[Any] = set()
    for number, call in enumerate(whole.calls):
        for answered in (False, True) if call.operation in CHANGES else (False,):
            kind = (call.step, call.operation, answered)
            if kind in met or call.step in OVER:
                continue
            met.add(kind)

            # WHEN a process dies in a call, and the next one is told to cancel
            made = make()
            drive = Cancelling(lambda _state, _now: drive.processes > 1)  # noqa: B023
            told = rolled_out(made, kills=KillsAt(number, answered=answered), drive=drive)

            # THEN what ran before runs; the word says whether the service was ever touched
            sets_going = [
                c.operation
                for c in told.calls
                if c.changed and c.operation in ("UpdateService", "CreateDeployment")
            ]
            word = "rolled_back" if sets_going else "cancelled"
            assert (told.result.outcome, told.live) == (word, "web:7"), (kind, told.result)
            assert told.result.running in (V7, None), kind
            assert told.result.cause.startswith(f"cancelled by {BY}") or call.step != "wait", kind
            # AND nothing was begun after it: neither the task nor the rollout
            later = told.calls[number + 1 :]
            begins = [c.operation for c in later if c.operation in ("RunTask", "CreateDeployment")]
            assert begins == [], kind
            forwards = [c for c in later if c.parameters.get("taskDefinition", V7) not in (V7,)]
            assert [c for c in forwards if c.operation == "UpdateService"] == [], kind


@pytest.mark.parametrize("history", [True, False])
def test_what_an_old_answer_does_not_show_may_have_been_taken(history: bool) -> None:
    # GIVEN an update whose answer was lost, and answers that are some seconds old
    made = world(ScriptedEcs(behaviour=ecs.never_steady, stale=STALE - 1, history=history))
    number = [c.operation for c in rolled_out(KINDS["rolling"]()).calls].index("UpdateService")
    drive = Cancelling(lambda _state, _now: drive.processes > 1)

    # WHEN it is cancelled
    told = rolled_out(made, kills=KillsAt(number, answered=True), drive=drive)

    # THEN it is looked until it must show, and taken back
    assert (told.result.outcome, told.live) == ("rolled_back", "web:7")


def test_a_task_whose_answer_was_lost_is_found_and_stopped() -> None:
    # GIVEN a task that was started, though its answer was lost; and somebody else's
    number = [c.operation for c in rolled_out(migrating()).calls].index("RunTask")
    made = migrating()
    other = made.ecs.add_task(V7, "RUNNING", startedBy="slipway/other")
    drive = Cancelling(lambda _state, _now: drive.processes > 1)

    # WHEN it is cancelled
    told = rolled_out(made, kills=KillsAt(number, answered=True), drive=drive)

    # THEN ours is stopped, and only ours
    (ours,) = [t for t in made.ecs.tasks if t.get("startedBy") == "slipway/0123456789abcdef"]
    assert (ours["lastStatus"], other["lastStatus"]) == ("STOPPED", "RUNNING")
    assert told.result.outcome == "cancelled"
    assert told.result.cause.endswith("was stopped")


def test_a_cancel_after_a_lost_answer_counts_it_as_perhaps_taken() -> None:
    saved: list[str] = []
    rolled_out(slow(), saved=saved)
    (state,) = [s for s in map(from_json, saved) if s.step == "update"]
    for known in (state, resumed(state).state):
        asked = cancel(known, BY, 2000.0)
        assert asked.state.unsure == ("update_service",)
        assert (asked.state.step, asked.actions, asked.next.at) == ("cancel_update", (), 2000.0)
