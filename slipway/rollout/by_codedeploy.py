"""The rollout of a service whose deployments CodeDeploy makes: begin, wait, stop, roll back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.rollout.actions import CreateDeployment, StopDeployment
from slipway.rollout.codedeploy import OVER, create_request
from slipway.rollout.looks import (
    Answer,
    CodeDeploySeen,
    Look,
    Refusal,
    ServiceSeen,
    Survey,
    Watched,
    of_kind,
)
from slipway.rollout.pace import pause
from slipway.rollout.plan import Outcome, Progress, short
from slipway.rollout.state import Advanced, CodeDeployWatch, RolloutState, intend, on, sure
from slipway.rollout.telling import enter, over, tell
from slipway.rollout.waiting import done


def create(state: RolloutState, look: Look, now: float) -> Advanced:
    """Have the group deploy the revision, unless it does already: then its answer was lost.

    With `rollback` CodeDeploy itself takes it back where it fails or is stopped, or where the
    group's own settings say so.
    """
    if isinstance(look, Answer):
        return wait_for(state, str(look.value["deploymentId"]), now)
    if isinstance(look, Refusal):
        return _busy(state, look, now)
    look = of_kind(Survey, look)
    if look.ours is not None:
        return wait_for(state, look.ours, now)
    request = create_request(
        sure(state.group), look.service, state.after or "", look.rollback_on, state.id
    )
    if state.told == "update":
        return intend(state, now, CreateDeployment(request=request))
    note = "updating the service"
    state, told = enter(state, "update", now, note=note, task_definition=state.after)
    return intend(state, now, told, CreateDeployment(request=request))


def _busy(state: RolloutState, look: Refusal, now: float) -> Advanced:
    """The group has a deployment under way: it is looked at again, for `timeouts.healthy`.

    The intent stays. Where the answer of an earlier try got lost it may be ours that is under way.
    """
    age = now - state.told_at
    if age > state.plan.timeouts.healthy:
        members = {"before": state.before, "after": state.after, "running": state.before}
        return over(state, now, outcome="failed", cause=look.text, **members)
    waits = Progress(step="update", elapsed=0.0, task_definition=state.after, waits=look.text)
    state, told = tell(state, now, waits)
    return on(replace(state, look_at=now + pause(state.id, now, age)), told)


def wait_for(state: RolloutState, identifier: str, now: float) -> Advanced:
    """Follow the deployment that CodeDeploy was asked for."""
    watch = CodeDeployWatch(begun=now, last=now)
    return on(
        replace(
            state,
            step="codedeploy_wait",
            deployment=identifier,
            codedeploy=watch,
            intent=None,
            look_at=now,
        )
    )


def take_back(state: RolloutState, cause: str, now: float) -> Advanced:
    """Stop our deployment, which goes on, and have it taken back; then it is `rolled_back`."""
    note = f"rolling back: {cause}"
    state, told = enter(state, "rollback", now, note=note, task_definition=state.before)
    watch = replace(_watch(state), cause=cause)
    return intend(
        replace(state, step="codedeploy_stop", codedeploy=watch), now, told, _stopping(state)
    )


def wait(state: RolloutState, look: CodeDeploySeen, now: float) -> Advanced:
    """One look more.

    The new task set must be installed within `timeouts.healthy`, else the deployment is stopped
    and (with `rollback`) taken back. Once installed it is never stopped: traffic shifting and the
    old task set's going have the `drain` limit, overrunning which is said. What CodeDeploy waits
    for a person to say is not counted.
    """
    times, seen, watch = state.plan.timeouts, look.seen, _watch(state)
    waited = watch.waited + (now - watch.last if seen.waits else 0.0)
    installed_at = watch.installed_at
    if seen.installed and installed_at is None and seen.status not in OVER:
        installed_at = now
    watch = replace(watch, last=now, waited=waited, installed_at=installed_at)
    state = replace(state, codedeploy=watch)
    age = now - watch.begun
    if seen.status in OVER:
        return _over(state, seen, now)
    if seen.settled and not state.plan.wait_drain:
        cause = (
            "traffic has moved; the old task set was not waited for: CodeDeploy goes on with "
            "the deployment, unwatched"
        )
        return _ended(state, seen, now, "succeeded", cause, drained=False)
    if installed_at is None and age > times.healthy:
        return _stop(state, seen, now)
    if installed_at is not None and now - installed_at - waited > times.drain:
        return _overrun(state, seen, now, age)
    return _again(state, seen, now, pause(state.id, now, age))


def stop(state: RolloutState, look: Look, now: float) -> Advanced:
    """Wait for the deployment that was not installed in time to be stopped and taken back."""
    if isinstance(look, Answer | Refusal):
        until = now + state.plan.timeouts.rollback
        watch = replace(_watch(state), until=until)
        at = now + pause(state.id, now, 0.0)
        return on(replace(state, codedeploy=watch, intent=None, look_at=at))
    look = of_kind(CodeDeploySeen, look)
    seen, watch = look.seen, _watch(state)
    if state.intent is not None and seen.status not in OVER:
        return intend(state, now, _stopping(state))
    if seen.status not in OVER and now < watch.until:
        return _again(state, seen, now, pause(state.id, now, 0.0))
    state = replace(state, intent=None)
    if seen.status == "Succeeded":
        return _over(_too_late(state), seen, now)
    if seen.status in OVER:
        return _await_rollback(state, seen, now)
    return _ended(state, seen, now, watch.outcome or "failed", watch.cause, restored=False)


def back(state: RolloutState, look: CodeDeploySeen, now: float) -> Advanced:
    """Wait for CodeDeploy's own rollback, within the bound."""
    seen, watch = look.seen, _watch(state)
    if seen.status not in OVER and now < watch.until:
        return _again(state, seen, now, pause(state.id, now, 0.0))
    restored = seen.status == "Succeeded"
    return _rolled_back(state, seen, now, restored=restored)


def end(state: RolloutState, look: ServiceSeen, now: float) -> Advanced:
    """What runs now says whether it is a success."""
    watch, service = _watch(state), look.service
    running = service.primary.task_definition if service.primary else service.task_definition
    if watch.outcome == "succeeded" and running == state.after:
        return done(state, now, cause=watch.cause, drained=watch.drained)
    outcome: Outcome = "superseded" if watch.outcome == "succeeded" else watch.outcome or "failed"
    return over(
        state,
        now,
        outcome=outcome,
        cause=f"{watch.cause}; {short(running)} runs now",
        running=running,
        restored=watch.restored,
        before=state.before,
        after=state.after,
        deployment=state.deployment,
    )


def _over(state: RolloutState, seen: Watched, now: float) -> Advanced:
    """CodeDeploy says that it has ended."""
    if seen.status == "Succeeded":
        cause = "CodeDeploy says that it succeeded"
        return _ended(state, seen, now, "succeeded", cause, drained=True)
    cause = f"CodeDeploy says {seen.status}" + (f": {seen.reason}" if seen.reason else "")
    state = replace(state, codedeploy=replace(_watch(state), cause=cause))
    return _await_rollback(state, seen, now)


def _stop(state: RolloutState, seen: Watched, now: float) -> Advanced:
    newest = f" ({seen.event})" if seen.event else ""
    timeout = state.plan.timeouts.healthy
    cause = f"the new task set was not installed after {timeout:.0f} s{newest}"
    if not state.plan.rollback:
        return _ended(state, seen, now, "timed_out", cause)
    watch = replace(_watch(state), outcome="timed_out", cause=cause)
    state, told = _tell(replace(state, step="codedeploy_stop", codedeploy=watch), seen, now)
    return intend(state, now, told, _stopping(state))


def _too_late(state: RolloutState) -> RolloutState:
    """What CodeDeploy had finished before it was told to stop is a success, and says so."""
    if state.cancelled is None:
        return state
    warning = f"{_watch(state).cause}, too late: CodeDeploy had finished"
    return replace(state, warnings=(*state.warnings, warning))


def _stopping(state: RolloutState) -> StopDeployment:
    return StopDeployment(request={"deploymentId": state.deployment, "autoRollbackEnabled": True})


def _overrun(state: RolloutState, seen: Watched, now: float, age: float) -> Advanced:
    if seen.settled:
        cause = f"traffic has moved; the old task set was not gone after {age:.0f} s"
        return _ended(state, seen, now, "succeeded", cause, drained=False)
    what = (
        "its hook AfterAllowTraffic was not over" if seen.shifted else "its traffic had not moved"
    )
    cause = (
        f"the new task set is up, yet {what} after {age:.0f} s; it goes on in CodeDeploy, unwatched"
    )
    return _ended(state, seen, now, "timed_out", cause)


def _await_rollback(state: RolloutState, seen: Watched, now: float) -> Advanced:
    """Without a rollback deployment traffic never moved: the task set before it serves."""
    if seen.rollback is None:
        return _rolled_back(state, seen, now, restored=not seen.shifted)
    until = now + state.plan.timeouts.rollback
    watch = replace(_watch(state), rollback=seen.rollback, until=until)
    state, told = _tell(state, seen, now)
    return on(replace(state, step="codedeploy_back", codedeploy=watch, look_at=now), told)


def _rolled_back(state: RolloutState, seen: Watched, now: float, *, restored: bool) -> Advanced:
    watch = _watch(state)
    outcome: Outcome = watch.outcome or ("rolled_back" if restored else "failed")
    return _ended(state, seen, now, outcome, watch.cause, restored=restored)


def _ended(
    state: RolloutState,
    seen: Watched,
    now: float,
    outcome: Outcome,
    cause: str,
    *,
    drained: bool | None = None,
    restored: bool | None = None,
) -> Advanced:
    """CodeDeploy's part is over: look once more at what runs."""
    watch = replace(_watch(state), outcome=outcome, cause=cause, drained=drained, restored=restored)
    state, told = _tell(state, seen, now)
    return on(replace(state, step="codedeploy_end", codedeploy=watch, look_at=now), told)


def _again(state: RolloutState, seen: Watched, now: float, after: float) -> Advanced:
    state, told = _tell(state, seen, now)
    return on(replace(state, look_at=now + after), told)


def _tell(state: RolloutState, seen: Watched, now: float) -> tuple[RolloutState, Any]:
    stage = seen.event or seen.status
    return tell(
        state,
        now,
        Progress(
            step="wait",
            elapsed=0.0,
            task_definition=state.after,
            stage=stage,
            waits=seen.waits,
        ),
    )


def _watch(state: RolloutState) -> CodeDeployWatch:
    return sure(state.codedeploy)


STEPS: Mapping[str, Any] = {
    "create": create,
    "codedeploy_wait": wait,
    "codedeploy_stop": stop,
    "codedeploy_back": back,
    "codedeploy_end": end,
}
