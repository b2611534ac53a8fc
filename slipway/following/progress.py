"""What a rollout's progress is called in its deployment's row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.contracts.messages import Stage
from slipway.contracts.table.deployments import DeploymentRow
from slipway.following.state import Followed
from slipway.rollout import Progress
from slipway.rollout.plan import Step
from slipway.rollout.state import RolloutState

_STAGES: Mapping[Step, Stage] = {
    "read": "rollout",
    "verify": "rollout",
    "pre_deploy": "rollout",
    "register": "register",
    "update": "update",
    "wait": "wait",
    "drain": "wait",
    "smoke": "prove",
    "post_deploy": "prove",
    "bake": "prove",
    "rollback": "rollout",
    "prune": "wait",
}


def stage_of(step: Step) -> Stage:
    """The deployment's stage that a rollout's step belongs to."""
    return _STAGES[step]


def timings_of(begun: Iterable[tuple[Stage, float]], now: float) -> Mapping[str, float]:
    """Seconds by stage; a stage that was entered twice has the sum."""
    spent: dict[str, float] = {}
    stages = list(begun)
    if not stages:
        return spent
    ends = [*(at for _, at in stages[1:]), now]
    for (stage, at), end in zip(stages, ends, strict=True):
        spent[stage] = spent.get(stage, 0.0) + max(0.0, end - at)
    return spent


def progress_text(progress: Progress) -> str | None:
    """What a watcher reads while a rollout goes on: how far it is, and what it waits for."""
    told = _counts_text(progress)
    return f"{told}: {progress.waits}" if told and progress.waits else progress.waits or told


def _counts_text(progress: Progress) -> str | None:
    if progress.desired is None:
        return progress.note or progress.stage
    text = f"{progress.running or 0} of {progress.desired} running"
    if progress.failed:
        text += f", {progress.failed} failed"
    return f"{text} ({progress.stage})" if progress.stage else text


def revisions_of(followed: Followed, row: DeploymentRow) -> dict[str, str]:
    """What the service ran and what it is about to be given, as members of the row.

    Of several services the first one that is changed says that something is; a companion is none.
    """
    if followed.parts is not None and row.task_definition_after is not None:
        return {}
    state = _first_updated(followed)
    if state is None:
        return {}
    named = {"task_definition_before": state.before, "task_definition_after": state.after}
    return {name: revision for name, revision in named.items() if revision is not None}


def _first_updated(followed: Followed) -> RolloutState | None:
    services = (state for state in followed.rollouts if not state.plan.is_companion)
    there = (state for state in services if state.result is None)
    return next((state for state in there if state.told == "update"), None)
