"""How far a deployment is, and how long it usually takes: pure functions of deployment rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from slipway.contracts.table.deployments import DeploymentRow

LEARNT_FROM = 20
"""Past deployments that the usual times are the median of."""


@dataclass(frozen=True)
class Usual:
    """Median seconds of past successes: in all and by stage, in the order in which stages come."""

    total: float | None = None
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StageProgress:
    """One stage of a deployment; `seconds` so far (None: not begun), `usual` seconds if known."""

    stage: str
    seconds: float | None
    usual: float | None
    under_way: bool


def stage_lengths(row: DeploymentRow, now: float) -> dict[str, float]:
    """Seconds by stage, in order of their start; the last one lasts until the end, or until now."""
    starts = sorted(row.stages.items(), key=lambda item: item[1])
    end = row.ended_at if row.ended_at is not None else now
    ends = [start for _, start in starts[1:]] + [end]
    return {name: max(0.0, e - start) for (name, start), e in zip(starts, ends, strict=True)}


def usual(rows: Iterable[DeploymentRow]) -> Usual:
    """What past deployments say: of the rows, only those that made a commit run count."""
    done = [r for r in rows if r.status == "succeeded" and r.ended_at is not None]
    if not done:
        return Usual()
    by_stage: dict[str, list[float]] = {}
    for row in done:
        for stage, seconds in stage_lengths(row, row.ended_at or 0.0).items():
            by_stage.setdefault(stage, []).append(seconds)
    return Usual(
        total=median((r.ended_at or 0.0) - r.started_at for r in done),
        stages={stage: median(lengths) for stage, lengths in _in_order(by_stage, done).items()},
    )


def _in_order(
    by_stage: dict[str, list[float]], rows: list[DeploymentRow]
) -> dict[str, list[float]]:
    """Stages by their usual place, so that a stage seen only sometimes stands where it comes."""
    longest = max((sorted(r.stages, key=r.stages.__getitem__) for r in rows), key=len)
    order = list(longest)
    for row in rows:
        mine = sorted(row.stages, key=row.stages.__getitem__)
        for before, stage in pairwise(["", *mine]):
            if stage not in order:
                order.insert(order.index(before) + 1 if before in order else 0, stage)
    return {stage: by_stage[stage] for stage in order if stage in by_stage}


def progress(row: DeploymentRow, known: Usual, now: float) -> list[StageProgress]:
    """The deployment's stages: those done, the one under way, and those that usually follow."""
    lengths = stage_lengths(row, now)
    begun = [
        StageProgress(
            stage, seconds, known.stages.get(stage), row.status is None and stage == row.stage
        )
        for stage, seconds in lengths.items()
    ]
    if row.status is not None:
        return begun
    order = list(known.stages)
    reached = max((order.index(stage) for stage in lengths if stage in order), default=-1)
    later = [stage for stage in order[reached + 1 :] if stage not in lengths]
    return begun + [StageProgress(stage, None, known.stages[stage], False) for stage in later]


def remaining(row: DeploymentRow, known: Usual, now: float) -> float | None:
    """Seconds that it usually takes from here; 0 when it is overdue, None when nothing is known.

    By stages: what is usually left of the stage under way and all that follow.
    """
    if known.total is None:
        return None
    left = 0.0
    for stage in progress(row, known, now):
        if stage.usual is not None and (stage.under_way or stage.seconds is None):
            left += max(0.0, stage.usual - (stage.seconds or 0.0))
    return left
