"""A rollout whose every step is taken by a process that never sleeps: somebody outside waits."""

from __future__ import annotations

import zlib

import pytest

from slipway.rollout import RolloutResult
from slipway.rollout.actions import Change
from slipway.rollout.api import Unanswered
from slipway.rollout.clock import NotNow, StepClock
from slipway.rollout.means import Means
from slipway.rollout.plan import Clock
from slipway.rollout.roll_out import resumed, take
from slipway.rollout.saved import from_json
from slipway.rollout.state import Advanced, RolloutState, next_look
from tests import scripted_ecs as ecs
from tests.aws.wire import Fault
from tests.scripted_ecs import Json, ScriptedEcs
from tests.unit.slipway.rollout.stepwise import Save, World, anew, rolled_out, through_json
from tests.unit.slipway.rollout.test_stepwise import SCENARIOS, Make, summary, world


class NeverSleeps:
    """The scripted time, as a process sees it that must not wait."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self.sleep = StepClock().sleep


class OneStepEach:
    """Takes each step in a process of its own that cannot sleep, and waits between them.

    `late`: seconds after the time at which the next look is due. A step that is put off is taken
    again later, from what was saved before it.
    """

    def __init__(self, clock: Clock, *, late: float = 0.0, patience: float | None = None) -> None:
        self._clock = clock
        self._late = late
        self._patience = patience
        self.put_off = 0

    def __call__(self, step: Advanced, means: Means, *, save: Save) -> RolloutResult:
        while self.put_off < 100:
            state = through_json(step.state)
            step = Advanced(state, step.actions, next_look(state))
            save(state)
            self._wait_for(step)
            try:
                following = take(step, self._process(means, state))
            except (NotNow, Unanswered):
                self.put_off += 1
                self._clock.sleep(1.0)
                following = resumed(state)
            if following is None:
                assert state.result is not None
                return state.result
            step = following
        raise AssertionError(f"put off again and again: {step}")

    def _wait_for(self, step: Advanced) -> None:
        changes = any(isinstance(action, Change) for action in step.actions)
        if not changes and step.next.at > self._clock.now():
            self._clock.sleep(step.next.at - self._clock.now() + self._late)

    def _process(self, means: Means, state: RolloutState) -> Means:
        process = anew(means, clock=NeverSleeps(self._clock), patience=self._patience)
        process.changes.taken[:] = state.taken
        process.changes.unsure[:] = state.unsure
        return process


def throttled(history: bool) -> World:
    """A third of the calls, but not each third: a step of three calls would never be taken."""
    return world(
        ScriptedEcs(
            behaviour=ecs.becomes_healthy(8.0),
            throttled=lambda number: zlib.crc32(b"%d" % number) % 3 == 0,
            history=history,
        )
    )


THROTTLED: dict[str, Make] = {
    "throttling, service deployments": lambda: throttled(True),
    "throttling, rolloutState": lambda: throttled(False),
}
ALL = SCENARIOS | THROTTLED


@pytest.mark.parametrize("make", ALL.values(), ids=list(ALL))
def test_every_rollout_ends_the_same_where_no_step_sleeps(make: Make) -> None:
    # GIVEN how it goes in a process that waits
    whole = rolled_out(make())

    # WHEN each step is taken by a process that refuses to sleep
    made = make()
    drive = OneStepEach(made.ecs.clock)
    told = rolled_out(made, drive=drive)

    # THEN it ends the same; only what AWS throttles is put off
    assert summary(told) == summary(whole)
    assert told.steps == whole.steps
    assert bool(drive.put_off) == (make in THROTTLED.values())


@pytest.mark.parametrize("make", THROTTLED.values(), ids=list(THROTTLED))
def test_a_patience_of_nothing_is_one_try(make: Make) -> None:
    # GIVEN an AWS that throttles each third call, and steps that try each call once
    whole = rolled_out(make())
    made = make()

    # WHEN it is rolled out
    told = rolled_out(made, drive=OneStepEach(made.ecs.clock, patience=0.0))

    # THEN it ends the same: what can be done without was, and the rest was taken again
    assert summary(told) == summary(whole)


def test_a_step_that_is_not_due_yet_is_not_taken() -> None:
    """Whoever comes early (an event, a doubled message) is told so, and nothing was looked at."""
    made = world(ScriptedEcs(behaviour=ecs.never_steady))
    saved: list[str] = []
    rolled_out(made, saved=saved)
    waiting = [s for s in map(from_json, saved) if s.step == "wait"][3]
    early = ScriptedEcs()
    early.clock.time = waiting.look_at - 0.25
    means = World(made.plan, early).process(lambda _progress: None)
    process = anew(means, clock=NeverSleeps(early.clock))
    with pytest.raises(NotNow, match=r"0\.2 seconds would have to pass first"):
        take(resumed(waiting), process)
    assert early.calls == []


def test_a_throttled_deregistration_is_put_off_rather_than_warned_of() -> None:
    # GIVEN an AWS that throttles the second deregistration, once
    made = world(ScriptedEcs(behaviour=ecs.becomes_healthy(1.0)), max_definitions=1)
    asked: list[str] = []
    answers = made.ecs.handle

    def handle(operation: str, parameters: Json) -> Json:
        asked.append(operation)
        if operation == "DeregisterTaskDefinition" and asked.count(operation) == 2:
            raise Fault("ThrottlingException", "Rate exceeded")
        return answers(operation, parameters)

    made.ecs.handle = handle

    # WHEN no step sleeps
    told = rolled_out(made, drive=OneStepEach(made.ecs.clock))

    # THEN both are deregistered, and nothing is warned of
    assert [arn.rpartition(":")[2] for arn in told.result.deregistered] == ["5", "6"]
    assert told.result.warnings == ()
