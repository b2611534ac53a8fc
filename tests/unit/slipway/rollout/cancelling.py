"""Rollouts that are cancelled in some step: who asks, and what is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.rollout import RolloutResult
from slipway.rollout.cancelling import cancel
from slipway.rollout.means import Means
from slipway.rollout.roll_out import take
from slipway.rollout.state import Advanced, RolloutState, StepName
from tests import scripted_ecs as ecs
from tests.scripted_codedeploy import ScriptedCodeDeploy, by_codedeploy
from tests.scripted_ecs import ScriptedEcs
from tests.unit.slipway.rollout.stepwise import Save, World
from tests.unit.slipway.rollout.test_stepwise import MIGRATE, codedeploy_world, world

Make = Callable[[], World]
When = Callable[[RolloutState, float], bool]
"""Whether somebody wants it cancelled by now; once so, always."""
BY = "alice"
OVER = ("prune", "settings", "codedeploy_end")
"""Where all is decided."""


class Cancelling:
    """Takes step after step, and asks before each whether it is to be cancelled."""

    def __init__(self, when: When) -> None:
        self._when = when
        self._asked = False
        self.processes = 0

    def __call__(self, step: Advanced, means: Means, *, save: Save) -> RolloutResult:
        self.processes += 1
        means.changes.taken[:] = step.state.taken
        means.changes.unsure[:] = step.state.unsure
        taken: Advanced | None = step
        while taken is not None:
            step = self._cancelled(taken, means)
            save(step.state)
            taken = take(step, means)
        assert step.state.result is not None
        return step.state.result

    def _cancelled(self, step: Advanced, means: Means) -> Advanced:
        now = means.clock.now()
        self._asked = self._asked or self._when(step.state, now)
        if not self._asked:
            return step
        asked = cancel(step.state, BY, now)
        if asked.state is not step.state:
            means.changes.unsure[:] = asked.state.unsure
            return asked
        assert asked.actions == ()
        return step


def at(step: StepName, after: float = 0.0) -> When:
    """In this step, and not before so many seconds of the rollout."""
    return lambda state, now: state.step == step and now - state.begun >= after


def slow(**members: Any) -> World:
    return world(ScriptedEcs(behaviour=ecs.never_steady), **members)


def migrating(**members: Any) -> World:
    return world(ScriptedEcs(one_off=lambda _ecs, task: task), **{"task": MIGRATE, **members})


def by_code_deploy(play: Any) -> World:
    return codedeploy_world(ScriptedCodeDeploy(by_codedeploy(ScriptedEcs()), plays=[play]))
