"""Every scenario of a rollout: by the command, by an agent, by the follower; the same end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.messages import DeploymentResult
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.outcome import of_rollout
from tests.unit.slipway.following.three_ways import Chain, without_id
from tests.unit.slipway.rollout.stepwise import CHANGES, Told, World, _live, rolled_out
from tests.unit.slipway.rollout.test_stepwise import SCENARIOS, Make

MEASURED = re.compile(r"\d+(?= s\b| failed\)|×\))")
"""In a line: seconds, and how many tasks had failed by then. Who looks more seldom sees more."""
BY_STATE = "ECS lists no service deployment of ours; judged by the deployment's rolloutState"
NOT_TOLD = {"rollout"}
"""The first stage: an agent that is gone right after the hand-over has not entered it."""


def summary_of(chain: Chain) -> dict[str, Any]:
    """Word, what runs, what was changed, and the rollout's own lines."""
    result = chain.row.result
    assert result is not None
    return {
        "status": result.status,
        "cause": timeless(result.cause),
        "before": result.task_definition_before,
        "after": result.task_definition_after,
        "live": _live(chain.world),
        "now": result.now_running,
        "made": chain.made_with(),
        "lines": [timeless(line) for line in chain.said.lines],
    }


def summary(told: Told, world: World) -> dict[str, Any]:
    """The same of the command's rollout."""
    result, ended = told.result, of_rollout(told.result, stage="wait", resumed=False)
    lines = [*result.changes, *result.warnings, *result.skipped, result.cause]
    return {
        "status": ended.status,
        "cause": timeless(ended.cause),
        "before": ended.before,
        "after": ended.after,
        "live": _live(world),
        "now": ended.now_running,
        "made": [(name, without_id(parameters)) for name, parameters in told.made(*CHANGES)],
        "lines": [timeless(line) for line in lines],
    }


def told_by(chain: Chain) -> dict[str, Any]:
    """All that comes of a deployment besides its rollout: what is told, written, kept and asked."""
    (told,), said, row = chain.said.told, chain.said, chain.row
    assert row.result == told
    assert row.announced_at is not None
    return {
        "notice": without_times(told),
        "stages": sorted(set(told.timings) - NOT_TOLD),
        "row": row_without_times(row),
        "pipeline": pipeline_without_times(chain.table.pipelines.get("web")),
        "kept": said.kept,
        "published": said.published,
        "dead": said.dead,
    }


def after_death(told: dict[str, Any]) -> dict[str, Any]:
    """But for what a death costs: the time of the stage of it, and how it was judged."""
    notice = told["notice"]
    return {**told, "stages": [], "notice": replace(notice, log_tail=judged(notice.log_tail))}


def judged(lines: Iterable[str | None]) -> tuple[str | None, ...]:
    """The lines without the one on how the deployment is judged, which a new look may not need."""
    return tuple(line for line in lines if line != BY_STATE)


def timeless(text: str | None) -> str | None:
    return MEASURED.sub("#", text) if text is not None else None


def without_times(told: DeploymentResult) -> DeploymentResult:
    tail = tuple(MEASURED.sub("#", line) for line in told.log_tail)
    return replace(told, ended_at=0.0, cause=timeless(told.cause), log_tail=tail, timings={})


def row_without_times(row: DeploymentRow) -> DeploymentRow:
    """`step`: how often somebody took one. The result is what was told."""
    stages = dict.fromkeys(set(row.stages) - NOT_TOLD, 0.0)
    return replace(row, ended_at=0.0, announced_at=0.0, step=0, stages=stages, result=None)


def pipeline_without_times(row: PipelineRow) -> dict[str, Any]:
    times = ("failing_since", "running_since", "handled_at")
    return {
        name: value is not None if name in times else value for name, value in vars(row).items()
    }


@pytest.mark.parametrize("make", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_rollout_ends_the_same_whoever_follows_it(make: Make) -> None:
    # GIVEN how the command ends it
    world = make()
    expected = summary(rolled_out(world), world)
    # WHEN an agent follows it, or the follower, or the follower whose messages come twice
    agent, follower, doubled = Chain(make()), Chain(make()), Chain(make())
    agent.by_agent()
    follower.by_follower()
    doubled.by_follower(doubled=True)
    # THEN
    for chain in (agent, follower, doubled):
        assert summary_of(chain) == expected
        lock = chain.table.locks.get("web")
        assert (lock.holder, lock.untold) == ("", None)
        assert chain.table.wants.all() == []
        assert chain.row.rollout is None
    # AND so does what is told, written and kept of it
    assert told_by(follower) == told_by(agent)
    assert told_by(doubled) == told_by(agent)


@pytest.mark.parametrize("make", SCENARIOS.values(), ids=list(SCENARIOS))
def test_a_follower_that_dies_in_a_change_is_followed_by_another_one(make: Make) -> None:
    # GIVEN how it goes where nobody dies
    whole = Chain(make())
    whole.by_follower()
    expected, told = summary_of(whole), after_death(told_by(whole))
    lines = judged(expected.pop("lines"))
    for change in whole.changes:
        for answered in (False, True):
            # WHEN the process dies in a call that changes AWS, and SQS gives its message again
            chain = Chain(make(), kill_at=change.number, answered=answered)
            chain.by_follower()
            # THEN the word, what runs, what was changed and what is told are the same
            when = f"{'after' if answered else 'before'} {change.operation}"
            ended = summary_of(chain)
            assert judged(ended.pop("lines")) == lines, when
            assert ended == expected, when
            assert after_death(told_by(chain)) == told, when
