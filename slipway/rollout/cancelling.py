"""Somebody cancels a rollout: what has not touched the service is over, what has is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.contracts.sentences import cancelled_by
from slipway.rollout.actions import StopTask
from slipway.rollout.beginning import found_ours, wait_for
from slipway.rollout.judge import STALE
from slipway.rollout.looks import Answer, Look, Refusal, Survey, TaskSeen, of_kind
from slipway.rollout.pace import pause
from slipway.rollout.state import (
    Advanced,
    Cancelled,
    Failure,
    RolloutState,
    StepName,
    intend,
    on,
    sure,
    unsure_of_intent,
)
from slipway.rollout.telling import over

_UNTOUCHED = frozenset(
    {
        "read", "target", "base", "verify", "group", "register", "alarms", "task", "survey",
        "update", "create", "sight", "aim", "aim_register", "aim_put",
    }
)  # fmt: skip
"""The steps in which, with no change of theirs under way, nothing has touched the service."""
_SURVEYED: Mapping[str, StepName] = {
    "run_task": "cancel_task",
    "update_service": "cancel_update",
    "create_deployment": "cancel_create",
    "put_targets": "aim_cancel",
    "update_schedule": "aim_cancel",
}
"""What must be looked for before a cancel where its answer is not known (yet)."""
_UNDER_WAY = frozenset({"wait", "codedeploy_wait", "task_wait"})
_PROVING = frozenset({"smoke", "post_task", "post_task_wait", "bake"})
_GOES_ON_BESIDE = frozenset({"run_task", "create_deployment"})
_ENDS_FIRST = frozenset(
    {
        "task_wait", "cancel_task", "cancel_create", "codedeploy_wait", "codedeploy_stop",
        "codedeploy_back", "post_task_wait", "cancel_post_task",
    }
)  # fmt: skip


def ends_first(state: RolloutState) -> bool:
    """Whether something of it would go on beside another rollout: it must be cancelled before.

    A one-off task would, and a deployment of CodeDeploy's: its group takes no second one. One of
    ECS's would not: the next update takes its place.
    """
    intended = state.intent.operation if state.intent is not None else None
    return state.step in _ENDS_FIRST or intended in _GOES_ON_BESIDE


def cancel(state: RolloutState, by: str, now: float) -> Advanced:
    """The rollout as `by` wants it ended. `state` may have an intent: then its answer is lost.

    Where the service was not changed it is over, `cancelled`; a one-off task is stopped first, a
    revision that was registered stays. Where the service was changed it goes the way of a failure,
    whatever the plan says, and ends as `rolled_back`. Where it is not known whether it was changed,
    that is looked at first. Where it is over, goes back already or is cancelled already, nothing
    changes: `state` itself comes back, with no action.
    """
    if state.undoes is not None or state.step not in _UNTOUCHED | _UNDER_WAY | _PROVING:
        return on(state)  # CodeDeploy's way back has the steps of a rollout
    asked = replace(unsure_of_intent(state), cancelled=Cancelled(by=by, at=now), look_at=now)
    if state.step == "wait":
        return _take_back(asked, now)
    if state.step == "codedeploy_wait":
        return _stop(asked, now)
    if state.step in _PROVING:
        from slipway.rollout.afterwards import cancelled

        return cancelled(asked, cause_of(asked), now)
    if state.step == "task_wait":
        return on(replace(asked, step="cancel_task", intent=None))
    survey = _SURVEYED.get(state.intent.operation) if state.intent is not None else None
    if state.step == "aim_register" and state.intent is not None:
        survey = "aim_unregister"
    return _over(asked, now) if survey is None else on(replace(asked, step=survey))


def cancel_task(state: RolloutState, look: Look, now: float) -> Advanced:
    """Stop the one-off task, if it was started at all."""
    under_way = sure(state.task)
    if isinstance(look, Answer):
        return _over(state, now, f"; task {_id(under_way.arn)} was stopped")
    if isinstance(look, Refusal):
        return _over(state, now, f"; task {_id(under_way.arn)} was not stopped: {look.text}")
    task = of_kind(TaskSeen, look).task
    arn = str(task["taskArn"]) if task is not None else under_way.arn
    if not arn:
        return _not_there(state, now)
    if task is not None and task.get("lastStatus") == "STOPPED":
        return _over(state, now)
    where = {} if state.plan.cluster is None else {"cluster": state.plan.cluster}
    request = {**where, "task": arn, "reason": cause_of(state)}
    state = replace(state, task=replace(under_way, arn=arn))
    return intend(state, now, StopTask(request=request))


def cancel_update(state: RolloutState, look: Survey, now: float) -> Advanced:
    """Take the update back, if ECS took it."""
    ours = found_ours(state, look)
    if ours is None:
        return _not_there(state, now)
    return _take_back(wait_for(state, ours, now).state, now)


def cancel_create(state: RolloutState, look: Survey, now: float) -> Advanced:
    """Take the deployment back, if CodeDeploy made it."""
    if look.ours is None:
        return _not_there(state, now)
    from slipway.rollout.by_codedeploy import wait_for as wait_for_codedeploy

    return _stop(wait_for_codedeploy(state, look.ours, now).state, now)


def _not_there(state: RolloutState, now: float) -> Advanced:
    """What is not seen was not done, once an answer cannot be older than the last call."""
    if now - sure(state.cancelled).at < STALE:
        return on(replace(state, look_at=now + pause(state.id, now, 0.0)))
    return _over(state, now)


def _over(state: RolloutState, now: float, more: str = "") -> Advanced:
    running = state.before if state.place is not None or state.plan.is_companion else None
    members = {"before": state.before, "after": state.after, "running": running}
    return over(state, now, outcome="cancelled", cause=cause_of(state) + more, **members)


def _take_back(state: RolloutState, now: float) -> Advanced:
    from slipway.rollout.going_back import failed

    failure = Failure(outcome="cancelled", cause=cause_of(state), running=state.after or "")
    return failed(replace(state, failure=failure), None, now)


def _stop(state: RolloutState, now: float) -> Advanced:
    from slipway.rollout.by_codedeploy import take_back

    return take_back(state, cause_of(state), now)


def cause_of(state: RolloutState) -> str:
    """Who wanted its end, as a cause."""
    return cancelled_by(sure(state.cancelled).by)


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]


STEPS: Mapping[str, Any] = {
    "cancel_task": cancel_task,
    "cancel_update": cancel_update,
    "cancel_create": cancel_create,
}
