"""The proof after a deployment is steady: a request is answered well, a task ends well, no alarm.

Only then it is a success. What is not proved goes the way of a failure: what ran before runs again,
verified. What cannot be proved (AWS refuses the task, or the look at the alarms) is not proved.
The alarms are in `baking.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.actions import Action, RunTask, StopTask
from slipway.rollout.judge import STALE
from slipway.rollout.looks import Answer, Look, Refusal, SmokeSeen, TaskSeen, TaskToRun, of_kind
from slipway.rollout.oneoff import (
    TaskRun,
    cluster_of,
    counting,
    judged,
    run_request,
    started_in,
    task_id,
)
from slipway.rollout.pace import pause
from slipway.rollout.plan import Progress, RolloutResult, Smoke, Step
from slipway.rollout.state import (
    Advanced,
    Failure,
    Proving,
    RolloutState,
    TaskUnderWay,
    intend,
    on,
    post_token,
    sure,
)
from slipway.rollout.telling import enter, tell

SMOKE_EVERY = 2.0
"""Seconds between two requests."""


def prove(state: RolloutState, success: RolloutResult, now: float) -> Advanced:
    """The first part of the proof that is asked for. `success`: what is to be proved.

    A revision that ran before this rollout already (`unchanged`) is asked nothing.
    """
    state = replace(
        state, ending=success, following=None, intent=None, look_at=now, proving=Proving(begun=now)
    )
    smoke = state.plan.smoke
    if smoke is None or success.outcome != "succeeded":
        return _after_smoke(state, now)
    state, told = _begin(state, "smoke", f"proving: smoke test, GET {shown(smoke.url)}", now)
    return on(replace(state, step="smoke"), told)


def smoke(state: RolloutState, look: SmokeSeen, now: float) -> Advanced:
    """One request more. The first good answer passes; none within its time is a failure."""
    wanted, end = sure(state.plan.smoke), end_of_smoke(state)
    asked = f"GET {shown(wanted.url)} {look.told}"
    if look.ok:
        state, told = _tell(state, "smoke", now, note=f"the smoke test passed: {asked}")
        return _after_smoke(state, now, told)
    state, told = _tell(state, "smoke", now, waits=f"smoke test: {asked}")
    if now >= end:
        cause = (
            f"the smoke test failed: {asked}, for {wanted.within:.0f} s; wanted "
            f"{wanted_text(wanted)}"
        )
        return unproved(state, cause, now, told)
    return on(replace(state, look_at=min(now + SMOKE_EVERY, end)), told)


def post_task(state: RolloutState, look: Look, now: float) -> Advanced:
    """Run the task. A repetition has the same client token: ECS starts no second one."""
    wanted, proving = sure(state.plan.post_task), sure(state.proving)
    if isinstance(look, Refusal):
        return unproved(state, f"{_FAILED}: it was not started: {look.text}", now)
    if isinstance(look, TaskToRun):
        try:
            request = run_request(state, wanted, post_token(state), look)
        except WrongUse as error:
            return unproved(state, f"{_FAILED}: {error}", now)
        counted = counting(wanted, look.definition)
        under_way = TaskUnderWay(arn="", begun=now, counted=counted)
        state = replace(state, proving=replace(proving, task=under_way))
        return intend(state, now, RunTask(request=request))
    started = started_in(of_kind(Answer, look), state)
    state = replace(state, intent=None)
    if isinstance(started, TaskRun):
        return unproved(state, f"{_FAILED}: {started.text}", now)
    under_way = replace(sure(proving.task), arn=started, begun=now)
    proving = replace(proving, task=under_way)
    return on(replace(state, step="post_task_wait", proving=proving, look_at=now))


def post_task_wait(state: RolloutState, look: Look, now: float) -> Advanced:
    """Wait for its end. A task that is not over after `timeouts.task` seconds is stopped."""
    under_way, timeout = _task(state), state.plan.timeouts.task
    reason = f"not over after {timeout:.0f} s"
    name = task_id(under_way.arn)
    if isinstance(look, Answer):
        return unproved(state, f"{_FAILED}: task {name} was {reason}; stopped it", now)
    if isinstance(look, Refusal):
        return unproved(state, f"{_FAILED}: task {name}: {look.text}", now)
    look = of_kind(TaskSeen, look)
    if look.task is not None and look.task.get("lastStatus") == "STOPPED" and not state.intent:
        ended = judged(look.task, under_way.counted)
        if not ended.ok:
            return unproved(state, f"{_FAILED}: {ended.text}", now)
        state, told = _tell(state, "post_deploy", now, note=ended.text)
        return _after_task(state, now, told)
    age = now - under_way.begun
    if age > timeout:
        request = {**cluster_of(state), "task": under_way.arn, "reason": reason}
        return intend(state, now, StopTask(request=request))
    return on(replace(state, look_at=now + pause(state.id, now, age)))


def cancelled(state: RolloutState, cause: str, now: float) -> Advanced:
    """Somebody cancels it meanwhile: it is taken back, once its task is stopped."""
    intended = state.intent is not None
    if state.step == "post_task_wait" or (state.step == "post_task" and intended):
        return on(replace(state, step="cancel_post_task", intent=None))
    return _taken_back(state, Failure(outcome="cancelled", cause=cause, running=""), now)


def cancel_post_task(state: RolloutState, look: Look, now: float) -> Advanced:
    """Stop the task, if it was started at all; then all is taken back."""
    from slipway.rollout.cancelling import cause_of

    under_way, cause = _task(state), cause_of(state)
    failure = Failure(outcome="cancelled", cause=cause, running="")
    if isinstance(look, Answer | Refusal):
        end = "was stopped" if isinstance(look, Answer) else f"was not stopped: {look.text}"
        text = f"{cause}; task {task_id(under_way.arn)} {end}"
        return _taken_back(state, replace(failure, cause=text), now)
    task = of_kind(TaskSeen, look).task
    arn = str(task["taskArn"]) if task is not None else under_way.arn
    if not arn and now - sure(state.cancelled).at < STALE:
        return on(replace(state, look_at=now + pause(state.id, now, 0.0)))  # it may be there
    if not arn or (task is not None and task.get("lastStatus") == "STOPPED"):
        return _taken_back(state, failure, now)
    proving = replace(sure(state.proving), task=replace(under_way, arn=arn))
    request = {**cluster_of(state), "task": arn, "reason": cause}
    return intend(replace(state, proving=proving), now, StopTask(request=request))


_FAILED = "the task after the deployment failed"


def unproved(state: RolloutState, cause: str, now: float, *told: Action) -> Advanced:
    """A part of the proof failed: the way back."""
    advanced = _taken_back(state, Failure(outcome="failed", cause=cause, running=""), now)
    return advanced._replace(actions=(*told, *advanced.actions))


def proved(state: RolloutState, now: float, *told: Action) -> Advanced:
    """All of it went well: now it is the success that it looked like."""
    from slipway.rollout.waiting import succeeded

    success = sure(state.ending)
    state = replace(state, ending=None, proving=None)
    advanced = succeeded(state, success, now)
    return advanced._replace(actions=(*told, *advanced.actions))


def end_of_smoke(state: RolloutState) -> float:
    """When the smoke test has had its time."""
    return sure(state.proving).begun + sure(state.plan.smoke).within


def shown(url: str) -> str:
    """A URL as people are told of it: what follows a `?` may be a secret."""
    return url.partition("?")[0]


def wanted_text(smoke: Smoke) -> str:
    """What a good answer is, for people."""
    status = " or ".join(map(str, smoke.status))
    body = [f"{text!r}" for text in (smoke.contains, smoke.pattern) if text is not None]
    return " with ".join([status, *([" and ".join(body)] if body else [])])


def _after_smoke(state: RolloutState, now: float, *told: Action) -> Advanced:
    if state.plan.post_task is None:
        return _after_task(state, now, *told)
    note = "proving: running a task of the new revision"
    state, begun = _begin(state, "post_deploy", note, now)
    return on(replace(state, step="post_task"), *told, begun)


def _after_task(state: RolloutState, now: float, *told: Action) -> Advanced:
    bake = state.plan.bake
    if bake is None:
        return proved(state, now, *told)
    state, begun = _begin(state, "bake", f"baking, 0 of {bake / 60:.0f} min", now)
    return on(replace(state, step="bake"), *told, begun)


def _begin(state: RolloutState, step: Step, note: str, now: float) -> tuple[RolloutState, Action]:
    state, told = enter(state, step, now, note=note, task_definition=state.after)
    return replace(state, proving=Proving(begun=now), look_at=now), told


def _tell(
    state: RolloutState, step: Step, now: float, *, note: str = "", waits: str = ""
) -> tuple[RolloutState, Action]:
    told = Progress(step=step, elapsed=0.0, note=note, waits=waits, task_definition=state.after)
    return tell(state, now, told)


def _taken_back(state: RolloutState, failure: Failure, now: float) -> Advanced:
    from slipway.rollout.undoing import take_back

    return take_back(state, replace(failure, running=state.after or ""), now)


def _task(state: RolloutState) -> TaskUnderWay:
    return sure(sure(state.proving).task)


STEPS: Mapping[str, Any] = {
    "smoke": smoke,
    "post_task": post_task,
    "post_task_wait": post_task_wait,
    "cancel_post_task": cancel_post_task,
}
