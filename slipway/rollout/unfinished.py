"""What is said where a rollout ends without its end: AWS was changed, and nobody watches it."""

from __future__ import annotations

from slipway.contracts.errors import WorldFailed
from slipway.rollout.plan import DONE, RolloutResult, short
from slipway.rollout.state import RolloutState, made

NOT_UNDONE = "the pre-deploy task ran, and what it did is not undone"
"""Of a migration, where what it was run for does not run."""
SERVICE_CHANGES = ("update_service", "create_deployment")
"""The calls that set a deployment going."""
TARGET_CHANGES = ("put_targets", "update_schedule")
"""The calls that set what a scheduled task runs."""


class Unfinished(WorldFailed):
    """Something failed after AWS was changed: what was begun stays or goes on there, unwatched.

    `roll_out` raises it for whatever fails after the first change that AWS took, or may have taken
    (its answer was lost): credentials that end, a permission that is missing, the network, a lost
    lock. It is never WrongUse: that means that nothing was changed. `str(error)` is the cause and
    what goes on, one sentence; `__cause__` is the failure itself.

    `result`: the same as a result, for `--json`: `outcome` is `unwatched`, `cause` is the sentence,
    `before` what the service ran, `after` the revision (registered, or on its way), `deployment`
    ECS's (or CodeDeploy's) id where it is known, `running` None where it is not known.
    `goes_on`: a deployment of `after` goes on, or may; False: the service was not changed, only
    the revision was registered (or its task was started).
    """

    def __init__(self, text: str, *, result: RolloutResult, goes_on: bool) -> None:
        super().__init__(text)
        self.result = result
        self.goes_on = goes_on


def service_changed(state: RolloutState) -> bool:
    """Whether a deployment was set going, or may have been. Following one counts as well.

    Of a scheduled task: whether its target was set. A definition alone is changed by being
    registered.
    """
    changes = made(state)
    if state.plan.is_companion:
        alone = ("register_task_definition",)
        return bool(changes & set(alone if state.plan.scheduled is None else TARGET_CHANGES))
    return state.deployment is not None or bool(changes & set(SERVICE_CHANGES))


def has_begun(state: RolloutState) -> bool:
    """Whether AWS was changed, or a deployment that goes on there is followed."""
    return bool(made(state)) or state.deployment is not None


def task_not_undone(state: RolloutState, ending: RolloutResult | None) -> str | None:
    """What is to be said of a one-off task that ran for a revision that is not to run; else None.

    `ending`: how the rollout ends; None: nobody knows, and it may be on its way back.
    """
    if state.task is None or not state.task.done:
        return None
    if ending is None:
        return NOT_UNDONE if state.back_to is not None else None
    good = ending.outcome in DONE or ending.outcome in ("superseded", "unwatched")
    return None if good or ending.running == state.after else NOT_UNDONE


def left_behind(state: RolloutState) -> str:
    """A sentence's worth: what stays or goes on in AWS, with nobody watching it."""
    if state.plan.is_companion:
        return _of_companion(state)
    if state.proving is not None:
        return f"{short(state.after)} runs, and was not proved"
    return _of_changed_service(state) if service_changed(state) else _of_unchanged(state)


def _of_changed_service(state: RolloutState) -> str:
    taken, after = state.taken, short(state.after)
    going_back = "stop_service_deployment" in taken or taken.count("update_service") > 1
    if state.back_to is not None and going_back:
        return f"going back to {short(state.back_to)} was begun and goes on in ECS, unwatched"
    known = state.deployment is not None or any(name in taken for name in SERVICE_CHANGES)
    if known:
        return f"the deployment of {after} goes on in ECS, unwatched"
    return f"it is not known whether ECS took {after}; if it did, it goes on there, unwatched"


def _of_unchanged(state: RolloutState) -> str:
    if state.after is None:
        return "a new revision may have been registered; the service was not changed"
    ran = {"run_task"} & {*state.taken, *state.unsure}
    task = "its task was started" if ran else "no task was run"
    return f"{short(state.after)} is registered, {task}; the service was not changed"


def _of_companion(state: RolloutState) -> str:
    """The same of a scheduled task, or of a definition alone."""
    after, scheduled = short(state.after), state.plan.scheduled
    if service_changed(state):
        if scheduled is None:
            return f"a new revision of {state.plan.family} may be its newest now"
        sets = {*TARGET_CHANGES} & {*state.taken, *(state.found_made or ())}
        known = "was set to" if sets and state.back is None else "may name"
        return f"{scheduled.kind} {scheduled.name} {known} {after}"
    left = "nothing of it was changed" if scheduled is None else "its target was not changed"
    return left if state.after is None else f"{after} is registered; {left}"
