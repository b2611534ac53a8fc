"""A rollout that has succeeded is taken back, because what belongs to it has not.

It goes the way of a failure: what ran before runs again, verified. Where somebody else has taken
over meanwhile, that is left alone.
"""

from __future__ import annotations

from dataclasses import replace

from slipway.rollout.follow import following
from slipway.rollout.going_back import failed
from slipway.rollout.judge import Ours
from slipway.rollout.plan import RolloutResult, short
from slipway.rollout.service import CODE_DEPLOY
from slipway.rollout.state import Advanced, Cancelled, Failure, RolloutState, on, sure
from slipway.rollout.telling import enter, finish


def can_be_undone(state: RolloutState) -> bool:
    """Whether it has brought its service to another revision than the one before."""
    result = state.result
    changed = result is not None and result.outcome == "succeeded"
    return changed and state.before is not None and state.before != state.after


def undo(state: RolloutState, by: str, cause: str, now: float) -> Advanced:
    """The way back from `state`, which has succeeded. `by`: what asks for it; `cause`: a sentence.

    Where nothing was changed `state` itself comes back, with no action. The result is that of a
    rollout that failed: `rolled_back`, `failed` (what runs is in it), or `superseded`.
    """
    if not can_be_undone(state):
        return on(state)
    if state.plan.is_companion:
        from slipway.rollout.schedules import take_back

        return take_back(state, by, cause, now)
    failure = Failure(outcome="cancelled", cause=cause, running=state.after or "")
    reopened = replace(
        state,
        result=None,
        intent=None,
        look_at=now,
        cancelled=Cancelled(by=by, at=now),
        failure=failure,
    )
    return _back(reopened, sure(state.result), now)


def take_back(state: RolloutState, failure: Failure, now: float) -> Advanced:
    """The way back from a deployment that is steady, and was not proved (`afterwards.py`).

    Where the service ran the revision before this rollout there is no way back from it.
    """
    success = sure(state.ending)
    state = replace(state, ending=None, proving=None, intent=None, look_at=now, failure=failure)
    if success.outcome != "succeeded":
        ending = replace(success, outcome=failure.outcome, cause=failure.cause)
        return finish(state, now, ending)
    stays = not state.plan.rollback and failure.outcome != "cancelled"
    stays = stays or state.before in (None, state.after)
    if sure(state.place).controller == CODE_DEPLOY and stays:
        text = f"{failure.cause}; not rolled back; the service is set to {short(state.after)}"
        return finish(state, now, replace(success, outcome="failed", cause=text))
    return _back(state, success, now)


def _back(state: RolloutState, success: RolloutResult, now: float) -> Advanced:
    if sure(state.place).controller == CODE_DEPLOY:
        return _through_codedeploy(state, success, now)
    ours = Ours(
        id=state.deployment or "",
        task_definition=state.after or "",
        known_before=state.was.deployments - {state.deployment or ""},
        previous=state.before or "",
        created_at=None,
    )
    followed = following(ours, now, known=state.was.service_deployments)
    return failed(replace(state, following=followed), None, now)


def _through_codedeploy(state: RolloutState, success: RolloutResult, now: float) -> Advanced:
    """A deployment of CodeDeploy's that is over is not stopped: another one brings what ran back.

    It has an id of its own, by which it is found where its answer is lost.
    """
    note = f"rolling back: {sure(state.failure).cause}"
    state, told = enter(state, "rollback", now, note=note, task_definition=state.before)
    state = replace(
        state,
        id=f"{state.id}b",
        step="create" if state.group is not None else "group",  # not asked for what was followed
        before=state.after,
        after=state.before,
        back_to=state.before,
        deployment=None,
        codedeploy=None,
        undoes=success,
        plan=replace(
            state.plan,
            max_definitions=None,
            rollback=False,
            smoke=None,
            post_task=None,
            alarms=None,
            bake=None,
        ),
    )
    return on(state, told)
