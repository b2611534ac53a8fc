"""The steps of services' companions: a scheduled task, and a task definition alone.

Before any service begins, `sight` sees that it is there. Once all services are steady, `aim` reads
the target, `aim_register` registers the new revision of its family, and `aim_put` sets the target
to it, if it is still as it was read. `aim_back` puts back what the target named. A definition alone
has no target: it is registered, and taken back by being deregistered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.contracts.sentences import cancelled_by
from slipway.rollout.actions import PutTarget, Register, SetTarget, UpdateSchedule
from slipway.rollout.api import WrongForAws
from slipway.rollout.beginning import arn_of
from slipway.rollout.definition_diff import same_definition
from slipway.rollout.judge import STALE
from slipway.rollout.looks import Answer, Look, Refusal, TargetSeen, of_kind
from slipway.rollout.pace import pause
from slipway.rollout.plan import Outcome, short
from slipway.rollout.request import request_for
from slipway.rollout.scheduled import Target
from slipway.rollout.state import (
    Advanced,
    Aim,
    Back,
    Cancelled,
    Failure,
    RolloutState,
    intend,
    on,
    sure,
)
from slipway.rollout.taskdef import differences
from slipway.rollout.telling import enter, over

START_DATE = "StartDate"
"""AWS takes no start date of a recurring schedule that is past, though it answers it."""


def sight(state: RolloutState, look: TargetSeen, now: float) -> Advanced:
    """Whether the target and its family are there: else nothing of the deployment begins."""
    target = _target(state, look)
    before = look.newest_arn if target is None else target.names
    return on(replace(state, step="aim", before=before))


def aim(state: RolloutState, look: TargetSeen, now: float) -> Advanced:
    """The target as it is now, and the revision that it shall name: it is there, or registered."""
    target = _target(state, look)
    if target is None:
        state = replace(state, before=look.newest_arn)
    else:
        state = replace(state, before=target.names, aim=Aim(seen=target.checksum))
    if look.wanted is not None:
        return _to(state, look.wanted, now)
    base = sure(look.base)
    request = request_for(state.plan, base)
    if same_definition(base, request):
        return _to(state, sure(look.base_arn), now)
    state = replace(state, base=look.base_arn, changes=differences(base, request))
    state, told = enter(state, "register", now, note="registering a new revision")
    return intend(replace(state, step="aim_register"), now, told, Register(request=request))


def aim_register(state: RolloutState, look: Look, now: float) -> Advanced:
    """The new revision is registered, or the answer of that was lost."""
    if isinstance(look, Answer):
        return _to(state, arn_of(look), now)
    look = of_kind(TargetSeen, look)
    found = _registered(state, look)
    if found is not None:
        return _to(_found(state, Register.operation), found, now)
    return intend(state, now, Register(request=request_for(state.plan, sure(look.base))))


def aim_put(state: RolloutState, look: Look, now: float) -> Advanced:
    """Set the target, if it is as it was read; else somebody has changed it, and it is refused."""
    if isinstance(look, Answer):
        return _over(state, now, "succeeded", f"{_name(state)} runs {short(state.after)} now")
    if isinstance(look, Refusal):
        return on(_undated(state))
    look = of_kind(TargetSeen, look)
    target = look.target
    if target is None:
        return _over(state, now, "failed", look.lacks, running=None)
    if state.intent is not None and target.names == state.after:
        state = _found(state, state.intent.operation)
        return _over(state, now, "succeeded", f"{_name(state)} runs {short(state.after)} now")
    if (target.names, target.checksum) != (state.before, sure(state.aim).seen):
        cause = f"{_name(state)} was changed by somebody else meanwhile, and is left as it is"
        return _over(state, now, "failed", cause, running=target.names)
    return _put(state, target, sure(state.after), now)


def take_back(state: RolloutState, by: str, cause: str, now: float) -> Advanced:
    """The way back of one that has succeeded; see `undoing.undo`."""
    failure = Failure(outcome="cancelled", cause=cause, running=state.after or "")
    asked = Cancelled(by=by, at=now)
    state = replace(
        state, result=None, intent=None, look_at=now, cancelled=asked, failure=failure
    )  # fmt: skip
    if state.plan.scheduled is None:
        return _unregistered(state, now)
    return _go_back(state, now)


def aim_back(state: RolloutState, look: Look, now: float) -> Advanced:
    """Put back what the target named, as long as it names what we have set.

    What somebody has changed of it meanwhile beside that is kept.
    """
    if isinstance(look, Answer):
        return _is_back(state, now)
    if isinstance(look, Refusal):
        return on(_undated(state))
    look = of_kind(TargetSeen, look)
    target = look.target
    if target is None:
        return _over(state, now, "failed", f"{_cause(state)}; {look.lacks}", running=None)
    if target.names == state.after:
        return _put(state, target, sure(state.before), now)
    if target.names == state.before:
        return _is_back(state, now)
    cause = f"{_cause(state)}; somebody else has set {_name(state)} to {short(target.names)}"
    return _over(state, now, "superseded", cause, running=target.names)


def aim_cancel(state: RolloutState, look: TargetSeen, now: float) -> Advanced:
    """Somebody cancels it, and whether the target was set is not known: that is looked at."""
    asked = sure(state.cancelled)
    cause = cancelled_by(asked.by)
    failure = Failure(outcome="cancelled", cause=cause, running=state.after or "")
    target = look.target
    if target is not None and target.names == state.after:
        found = _found(state, sure(state.intent).operation)
        return _go_back(replace(found, intent=None, failure=failure), now)
    if now - asked.at < STALE:
        return on(replace(state, look_at=now + pause(state.id, now, 0.0)))
    running = None if target is None else target.names
    return _over(state, now, "cancelled", cause, running=running)


def aim_unregister(state: RolloutState, look: TargetSeen, now: float) -> Advanced:
    """The same where it is not known whether its revision was registered."""
    asked = sure(state.cancelled)
    found = _registered(state, look)
    if found is None and now - asked.at < STALE:
        return on(replace(state, look_at=now + pause(state.id, now, 0.0)))
    if found is not None:
        state = replace(_found(state, Register.operation), after=found)
    return _over(state, now, "cancelled", cancelled_by(asked.by), running=state.before)


def is_about_date(state: RolloutState, error: Exception) -> bool:
    """Whether AWS takes the schedule's start date no more: then it goes without."""
    is_dated = state.aim is not None and not state.aim.undated
    return is_dated and isinstance(error, WrongForAws) and START_DATE in str(error)


def _undated(state: RolloutState) -> RolloutState:
    warning = f"{_name(state)} lost its start date, which is past: AWS does not take it again"
    return replace(
        state,
        intent=None,
        aim=replace(sure(state.aim), undated=True),
        warnings=(*state.warnings, warning),
    )


def _target(state: RolloutState, look: TargetSeen) -> Target | None:
    """None for a definition alone; WrongUse where a scheduled task has none."""
    if state.plan.scheduled is not None and look.target is None:
        raise WrongUse(look.lacks)
    return look.target


def _registered(state: RolloutState, look: TargetSeen) -> str | None:
    """The revision whose answer was lost, if the family's newest is it."""
    request = request_for(state.plan, sure(look.base))
    is_new = look.newest_arn != state.base and look.newest is not None
    return look.newest_arn if is_new and same_definition(sure(look.newest), request) else None


def _found(state: RolloutState, operation: str) -> RolloutState:
    """The change was made, though its answer was lost."""
    return replace(state, found_made=(*(state.found_made or ()), operation))


def _to(state: RolloutState, wanted: str, now: float) -> Advanced:
    """The new revision is there: set the target to it, if there is one and it needs that."""
    state = replace(state, after=wanted, intent=None)
    if wanted == state.before:
        cause = f"{_name(state)} has {short(wanted)} already"
        return _over(state, now, "unchanged", cause)
    if state.plan.scheduled is None:
        return _over(state, now, "succeeded", f"{short(wanted)} is registered")
    note = f"setting {_name(state)}"
    state, told = enter(state, "update", now, note=note, task_definition=wanted)
    return on(replace(state, step="aim_put", look_at=now), told)


def _put(state: RolloutState, target: Target, named: str, now: float) -> Advanced:
    request = target.naming(named, undated=sure(state.aim).undated)
    kind: type[SetTarget] = PutTarget if target.kind == "rule" else UpdateSchedule
    change = kind(
        request=request,
        scheduled=sure(state.plan.scheduled),
        names=target.names,
        seen=target.checksum,
    )
    return intend(state, now, change)


def _go_back(state: RolloutState, now: float) -> Advanced:
    note = f"putting {_name(state)} back: {_cause(state)}"
    state, told = enter(state, "rollback", now, note=note, task_definition=state.before)
    back = Back(target=state.before or "")
    return on(replace(state, step="aim_back", back_to=state.before, back=back), told)


def _is_back(state: RolloutState, now: float) -> Advanced:
    cause = f"{_cause(state)}; rolled back: {_name(state)} runs {short(state.before)} again"
    return _over(state, now, "rolled_back", cause, running=state.before, restored=True)


def _unregistered(state: RolloutState, now: float) -> Advanced:
    """A definition alone goes back by being deregistered (`discarding.py`)."""
    return _over(state, now, "rolled_back", _cause(state), running=state.before, restored=True)


def _over(
    state: RolloutState, now: float, outcome: Outcome, cause: str, **members: Any
) -> Advanced:
    known = {"before": state.before, "after": state.after, "running": state.after, **members}
    return over(state, now, outcome=outcome, cause=cause, **known)


def _cause(state: RolloutState) -> str:
    return sure(state.failure).cause


def _name(state: RolloutState) -> str:
    scheduled = state.plan.scheduled
    if scheduled is None:
        return f"task definition {state.plan.family}"
    return f"{scheduled.kind} {scheduled.name}"


STEPS: Mapping[str, Any] = {
    "sight": sight,
    "aim": aim,
    "aim_register": aim_register,
    "aim_put": aim_put,
    "aim_back": aim_back,
    "aim_cancel": aim_cancel,
    "aim_unregister": aim_unregister,
}
"""Which function takes the look of which step."""
