"""What a rollout's progress is called in its deployment's row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from slipway.contracts.messages import Stage
from slipway.rollout import Progress
from slipway.rollout.plan import Step

_STAGES: Mapping[Step, Stage] = {
    "read": "rollout",
    "verify": "rollout",
    "pre_deploy": "rollout",
    "register": "register",
    "update": "update",
    "wait": "wait",
    "drain": "wait",
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
