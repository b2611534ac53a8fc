"""CloudWatch alarms that have to stay quiet for some minutes after a deployment.

An alarm that went off before the rollout began is not judged: a deployment that mends what is
broken must be possible (ECS's own deployment alarms do the same). One that is quiet and goes off
again later is judged. An alarm for which ECS or CodeDeploy takes the deployment back itself was
watched by it: it is not watched a second time. `INSUFFICIENT_DATA` is quiet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from slipway.rollout.afterwards import proved, unproved
from slipway.rollout.beginning import run_task_or_go_on
from slipway.rollout.looks import Alarm, AlarmsSeen, Look, Refusal, of_kind
from slipway.rollout.plan import Progress, short
from slipway.rollout.state import Advanced, RolloutState, on, sure
from slipway.rollout.telling import over, tell

BAKE_EVERY = 15.0
"""Seconds between two looks at the alarms."""
ODD = 3
"""Looks in a row that must show another revision before it is called superseded."""


def alarms(state: RolloutState, look: Look, now: float) -> Advanced:
    """Before the service changes: whether the alarms are there, and may be looked at."""
    fault = _unknown(sure(state.plan.alarms), look)
    if fault is None:
        return run_task_or_go_on(state, now)
    members = {"before": state.before, "after": state.after, "running": state.before}
    return over(state, now, outcome="failed", cause=fault, **members)


def bake(state: RolloutState, look: Look, now: float) -> Advanced:
    """One look more at the alarms that are judged, and at what the service runs."""
    if isinstance(look, AlarmsSeen):
        state = _with_judged(state, look, now)
    fault = _fault(state, look)
    if fault is not None:
        return unproved(state, fault, now)
    state, primary = _with_primary(state, of_kind(AlarmsSeen, look))
    proving, length = sure(state.proving), sure(state.plan.bake)
    if proving.odd >= ODD:
        cause = f"another revision was deployed while it was baking; {short(primary)} runs now"
        members = {"before": state.before, "after": state.after, "running": primary}
        return over(state, now, outcome="superseded", cause=cause, **members)
    end = proving.begun + length
    if not proving.judged or (now >= end and not proving.odd):
        return proved(state, now)
    spent = min(now - proving.begun, length)
    waits = f"baking, {spent // 60:.0f} of {length / 60:.0f} min"
    progress = Progress(step="bake", elapsed=0.0, waits=waits, task_definition=state.after)
    state, told = tell(state, now, progress)
    return on(replace(state, look_at=_next(state, now)), told)


def _next(state: RolloutState, now: float) -> float:
    """When is looked again; what is odd is looked at again at once."""
    proving = sure(state.proving)
    if proving.odd:
        return now + 1.0
    return min(now + BAKE_EVERY, proving.begun + sure(state.plan.bake))


def _with_judged(state: RolloutState, look: AlarmsSeen, now: float) -> RolloutState:
    """Which alarms are judged, known from the first look on, with a word of those that are not.

    The time counts from then, too: other services may have been waited for before.
    """
    proving = sure(state.proving)
    if proving.judged is not None:
        return state
    names = sure(state.plan.alarms)
    before = {a.name for a in look.alarms if a.state == "ALARM" and not _is_new(state, a)}
    notes = [
        f"alarm {name!r}: ECS or CodeDeploy watches it in its own deployments"
        for name in names
        if name in look.followed
    ]
    notes += [
        f"alarm {name!r} was in ALARM before the deployment: it is judged once it was quiet"
        for name in names
        if name in before - look.followed
    ]
    kept = tuple(name for name in names if name not in look.followed)
    proving = replace(proving, begun=now, judged=kept)
    return replace(state, proving=proving, skipped=(*state.skipped, *notes))


def _gone_off(state: RolloutState, seen: tuple[Alarm, ...]) -> Iterator[Alarm]:
    names = sure(sure(state.proving).judged)
    for alarm in seen:
        if alarm.name in names and alarm.state == "ALARM" and _is_new(state, alarm):
            yield alarm


def _is_new(state: RolloutState, alarm: Alarm) -> bool:
    """Whether it went off since the rollout began; where that is not told, it did."""
    return alarm.since is None or alarm.since >= state.begun


def _with_primary(state: RolloutState, look: AlarmsSeen) -> tuple[RolloutState, str | None]:
    """Counted is how often in a row another revision was primary: one answer may be stale."""
    primary = look.service.primary if look.service is not None else None
    definition = primary.task_definition if primary is not None else state.after
    proving = sure(state.proving)
    odd = 0 if definition == state.after else proving.odd + 1
    return replace(state, proving=replace(proving, odd=odd)), definition


def _fault(state: RolloutState, look: Look) -> str | None:
    """Why it is not proved; None: all is quiet."""
    names = sure(state.proving).judged
    fault = _unknown(sure(state.plan.alarms) if names is None else names, look)
    if fault is not None or not isinstance(look, AlarmsSeen):
        return fault
    return "; ".join(map(_told, _gone_off(state, look.alarms))) or None


def _unknown(names: tuple[str, ...], look: Look) -> str | None:
    """What keeps the alarms from being known: AWS refuses the look, or there is none."""
    if isinstance(look, Refusal):
        return f"the alarms could not be looked at: {look.text}"
    there = {alarm.name for alarm in of_kind(AlarmsSeen, look).alarms}
    missing = [repr(name) for name in names if name not in there]
    return f"there is no metric alarm {', '.join(missing)} in CloudWatch" if missing else None


def _told(alarm: Alarm) -> str:
    reason = f" ({alarm.reason})" if alarm.reason else ""
    return f"alarm {alarm.name!r} went off after the deployment{reason}"


STEPS: Mapping[str, Any] = {"alarms": alarms, "bake": bake}
