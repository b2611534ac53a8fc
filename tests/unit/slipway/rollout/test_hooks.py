"""A deployment that waits for a person or a function: said, and its time is not counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from slipway.rollout import Progress, Timeouts
from slipway.rollout.hooks import hooks_of, moment
from tests.scripted_ecs import IMAGE, ScriptedEcs, denied
from tests.scripted_scheduler import STAGES, pauses
from tests.unit.slipway.rollout.running import run

SHORT = Timeouts(healthy=30, drain=60, rollback=60)
PAUSABLE = (
    "RECONCILE_SERVICE", "PRE_SCALE_UP", "POST_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
)  # fmt: skip
"""Where ECS takes a pause hook (ECS developer guide, 'Pause hooks'), as far as botocore knows."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What becomes of the hook, and what must come of it."""

    then: str
    action: str = "ROLLBACK"
    kind: str = "PAUSE"
    outcome: str
    live: str
    waits: str = "waits for a person (ecs:ContinueServiceDeployment)"
    says: str


ROWS = {
    "continued": Row(
        then="CONTINUE", outcome="succeeded", live="web:8", says="was continued after"
    ),
    "rolled back": Row(
        then="ROLLBACK", outcome="rolled_back", live="web:7", says="was answered with a rollback"
    ),
    "timed out": Row(
        then="TIMED_OUT", outcome="rolled_back", live="web:7",
        says="timed out and ECS rolled back",
    ),
    "timed out and went on": Row(
        then="TIMED_OUT", action="CONTINUE", outcome="succeeded", live="web:8",
        says="timed out and ECS went on",
    ),
    "a function that takes long": Row(
        then="CONTINUE", kind="AWS_LAMBDA", outcome="succeeded", live="web:8",
        waits="waits for the hook's function check", says="web:8 runs",
    ),
    "a function that says no": Row(
        then="ROLLBACK", kind="AWS_LAMBDA", outcome="rolled_back", live="web:7",
        waits="waits for the hook's function check", says="failed after",
    ),
}  # fmt: skip


@pytest.mark.parametrize("stage", PAUSABLE)
@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_what_a_hook_waits_for_is_said_and_its_time_does_not_count(row: Row, stage: str) -> None:
    # GIVEN a service that is held in a stage for far longer than all limits
    behaviour = pauses(
        stage, until=150.0, then=row.then, kind=row.kind, minutes=120, timeout_action=row.action
    )
    scripted = ScriptedEcs(behaviour=behaviour)
    seen: list[Progress] = []

    # WHEN it is deployed to with limits of seconds
    result = run(scripted, image=f"{IMAGE}:v8", timeouts=SHORT, on_progress=seen.append)

    # THEN it ends as the hook did
    assert (result.outcome, scripted.live) == (row.outcome, row.live), result
    assert row.says in result.cause
    assert scripted.clock.now() - 1000.0 > 150.0
    assert scripted.made("StopServiceDeployment") == []
    assert len(scripted.made("UpdateService")) == 1
    # AND it was told who is waited for, where, since when, and what then
    told = {p.waits for p in seen if p.waits}
    held = 1000.0 + 5.0 * STAGES.index(stage)
    then = "goes on" if row.action == "CONTINUE" else "rolls back"
    assert told == {
        f"stage {stage} {row.waits} since {moment(held)}; at {moment(held + 7200)} ECS {then}"
    }


def test_the_time_before_and_after_a_hook_still_counts() -> None:
    # GIVEN a service whose tasks do not come up after a hook is over
    def behave(scripted: ScriptedEcs, new: Any) -> None:
        pauses("PRE_SCALE_UP", until=1000.0, then="CONTINUE")(scripted, new)
        scripted._events = [e for e in scripted._events if e[0] < 2001.0]

    scripted = ScriptedEcs(behaviour=behave)

    result = run(scripted, image=f"{IMAGE}:v8", timeouts=SHORT)

    # THEN it is timed out 30 s of its own time later, and put right
    assert (result.outcome, result.restored, scripted.live) == ("timed_out", True, "web:7")
    assert "it was not healthy after 30 s" in result.cause
    assert "the pause at PRE_SCALE_UP was continued" in result.cause
    assert scripted.clock.now() - 1000.0 < 1000.0 + 40.0


def test_an_answer_that_is_lost_leaves_the_hook_waiting() -> None:
    # GIVEN an ECS that does not tell of service deployments now and then
    scripted = ScriptedEcs(behaviour=pauses("PRE_SCALE_UP", until=600.0, then="CONTINUE"))
    fault = denied("x")
    fault.code, fault.message = "ServerException", "broken"
    for second in range(20, 600, 20):
        scripted.at(second, lambda: scripted.faults.update(DescribeServiceDeployments=fault))
        scripted.at(second + 1.0, scripted.faults.clear)

    result = run(scripted, image=f"{IMAGE}:v8", timeouts=SHORT)

    assert (result.outcome, scripted.live) == ("succeeded", "web:8")


def test_hooks_that_cannot_be_seen_are_named_where_the_time_is_over() -> None:
    refused = {
        name: denied(f"ecs:{name}")
        for name in ("ListServiceDeployments", "DescribeServiceDeployments")
    }
    scripted = ScriptedEcs(
        behaviour=pauses("PRE_SCALE_UP", until=600.0, then="CONTINUE"), faults=refused
    )

    result = run(scripted, image=f"{IMAGE}:v8", timeouts=SHORT)

    assert (result.outcome, result.restored) == ("timed_out", True)
    assert "it may wait in a hook: ECS does not tell" in result.cause


def test_since_when_a_hook_waits() -> None:
    detail = {"hookId": "h", "targetType": "PAUSE", "status": "AWAITING_ACTION", "expiresAt": 9000}
    raw: dict[str, Any] = {
        "lifecycleStage": "POST_SCALE_UP", "updatedAt": 77, "lifecycleHookDetails": [detail],
    }  # fmt: skip
    hook = {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}

    # by its end and its length, which is a day where nothing is said
    timed = hook | {"timeoutConfiguration": {"timeoutInMinutes": 10}}
    assert hooks_of(raw | {"deploymentConfiguration": {"lifecycleHooks": [timed]}})[0].since == 8400
    a_day = hooks_of(raw | {"deploymentConfiguration": {"lifecycleHooks": [hook]}})
    assert a_day[0].since == 9000 - 86400
    # else by the deployment's last change
    assert hooks_of(raw)[0].since == 77
    assert (
        hooks_of(raw | {"deploymentConfiguration": {"lifecycleHooks": [timed, hook]}})[0].since
        == 77
    )
