"""Rollouts taken apart: each step in a process of its own, and processes that die in a call."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.rollout.beginning import begin
from slipway.rollout.means import Means
from slipway.rollout.plan import Clock, RolloutPlan, RolloutResult
from slipway.rollout.roll_out import resumed, see_through, take
from slipway.rollout.saved import from_json, to_json
from slipway.rollout.state import Advanced, RolloutState, next_look
from tests.scripted_ecs import Json

LARGEST = 16_000
"""Bytes that a state of a rollout of a few tasks may have: a row holds several, in 400 KB."""


def anew(means: Means, *, clock: Clock | None = None, patience: float | None = None) -> Means:
    """What another process would have: the same world, nothing remembered."""
    return Means(
        ecs=means.ecs.client,
        clock=clock or means.clock,
        patience=means.patience if patience is None else patience,
        ecr=means.ecr,
        codedeploy_client=means._make_codedeploy,
        balancing=means._make_balancing,
        cloudwatch_client=means._make_cloudwatch,
        visit=means._visit,
        on_progress=means.on_progress,
        guard=means._guard,
    )


def through_json(state: RolloutState) -> RolloutState:
    """`state` as another process reads it."""
    text = to_json(state)
    assert len(text.encode()) < LARGEST, len(text)
    return from_json(text)


class Stepwise:
    """Takes the place of the loop: a new process for every step; what fails, fails as there."""

    def __init__(self, loop: Callable[..., RolloutResult]) -> None:
        self._loop = loop

    def __call__(self, step: Advanced, means: Means, **more: Any) -> RolloutResult:
        taken: Advanced | None = step
        while taken is not None:
            state = through_json(taken.state)
            step = Advanced(state, taken.actions, next_look(state))
            process = anew(means)
            process.changes.taken[:] = state.taken
            process.changes.unsure[:] = state.unsure
            try:
                taken = take(step, process)
            except Exception as error:  # noqa: BLE001 - the loop says what it means
                return self._as_in_the_loop(step, process, error)
        assert step.state.result is not None
        return step.state.result

    def _as_in_the_loop(self, step: Advanced, process: Means, error: Exception) -> RolloutResult:
        left = [error]

        def fail(_state: RolloutState) -> None:
            if left:
                raise left.pop()

        state = step.state
        with_changes = Advanced(_noted(state, process), step.actions, step.next)
        return self._loop(with_changes, process, save=fail)


def _noted(state: RolloutState, means: Means) -> RolloutState:
    return replace(state, taken=tuple(means.changes.taken), unsure=tuple(means.changes.unsure))


class Killed(BaseException):
    """The process is gone. Not an Exception: nothing of the code outlives it."""


@dataclass
class World:
    """What a rollout is made in: `handlers` are the fakes whose calls can kill it."""

    plan: RolloutPlan
    ecs: Any
    means: dict[str, Any] = field(default_factory=dict)
    codedeploy: Any = None

    @property
    def fakes(self) -> list[Any]:
        return [self.ecs, *([self.codedeploy] if self.codedeploy is not None else [])]

    def process(self, on_progress: Callable[[Any], None]) -> Means:
        """A new process's means."""
        made: dict[str, Any] = {name: make(self.ecs) for name, make in self.means.items()}
        if self.codedeploy is not None:
            made["codedeploy_client"] = self.codedeploy.client
        return Means(
            ecs=self.ecs.client(),
            clock=self.ecs.clock,
            patience=self.plan.timeouts.patience,
            on_progress=on_progress,
            **made,
        )


CHANGES = frozenset(
    {
        "RegisterTaskDefinition", "RunTask", "StopTask", "UpdateService", "StopServiceDeployment",
        "DeregisterTaskDefinition", "CreateDeployment", "StopDeployment",
    }
)  # fmt: skip


@dataclass
class Call:
    """One call, in the step in which it was made. `changed`: whether the world is another now."""

    step: str
    operation: str
    parameters: Json
    changed: bool


@dataclass
class Told:
    """How a rollout ended, and everything that it did."""

    result: RolloutResult
    live: str
    calls: list[Call]
    steps: list[str]

    def made(self, *operations: str) -> list[Any]:
        """The changes that changed something, in order."""
        return [
            (call.operation, _without_token(call.parameters))
            for call in self.calls
            if call.operation in operations and call.changed
        ]


def _without_token(parameters: Json) -> Json:
    own = ("clientToken", "description")
    return {name: value for name, value in parameters.items() if name not in own}


Kills = Callable[[Call, bool], bool]
"""Whether the process dies in this call: before it, or (True) once it is done and not answered."""
Save = Callable[[RolloutState], None]
Drive = Callable[..., RolloutResult]
"""Takes step after step, as `see_through` does."""


class KillsAt:
    """Dies in one call, by its number."""

    def __init__(self, number: int, *, answered: bool) -> None:
        self._left = number
        self._answered = answered

    def __call__(self, _call: Call, answered: bool) -> bool:
        if answered == self._answered:
            self._left -= 1
        return self._left == -1 and answered == self._answered


class KillsEach:
    """Dies in each kind of call once: before it, or where it is a change after it."""

    def __init__(self, *, answered: bool) -> None:
        self._answered = answered
        self.kinds: set[tuple[str, str]] = set()

    def spared(self, call: Call) -> bool:
        """Whether there was no such call until now; it is counted then."""
        kind = (call.step, call.operation)
        is_new = kind not in self.kinds
        self.kinds.add(kind)
        return is_new

    def __call__(self, call: Call, answered: bool) -> bool:
        looks = call.operation not in CHANGES
        return answered == self._answered and not (answered and looks) and self.spared(call)


def rolled_out(
    world: World,
    *,
    kills: Kills = lambda _call, _answered: False,
    drive: Drive = see_through,
    saved: list[str] | None = None,
) -> Told:
    """Roll out; the process dies where `kills` says, and another goes on from the last saved state.

    Each state is added to `saved`.
    """
    calls: list[Call] = []
    saved = saved if saved is not None else []
    at: list[str] = []
    steps: list[str] = []

    def deadly(handle: Callable[[str, Json], Json]) -> Callable[[str, Json], Json]:
        def handled(operation: str, parameters: Json) -> Json:
            before = _shape(world) if operation in CHANGES else None
            call = Call(at[-1], operation, parameters, changed=False)
            calls.append(call)
            if kills(call, False):
                raise Killed
            try:
                answer = handle(operation, parameters)
            finally:
                call.changed = operation in CHANGES and _shape(world) != before
            if kills(call, True):
                raise Killed
            return answer

        return handled

    for fake in world.fakes:
        fake.handle = deadly(fake.handle)

    def on_progress(progress: Any) -> None:
        if progress.note:
            steps.append(re.sub(r"\d+", "#", f"{progress.step}: {progress.note}"))

    def save(state: RolloutState) -> None:
        saved.append(to_json(state))
        at.append(state.step)

    step = begin(world.plan, world.ecs.clock.now(), "0123456789abcdef")
    while True:
        try:
            result = drive(step, world.process(on_progress), save=save)
            return Told(result=result, live=_live(world), calls=calls, steps=steps)
        except Killed:
            world.ecs.clock.sleep(1.0)
            step = resumed(from_json(saved[-1]))


def _live(world: World) -> str:
    sets = world.ecs.service.get("taskSets")
    if sets:
        return str(sets[0]["taskDefinition"].rpartition("/")[2])
    return str(world.ecs.live)


def _shape(world: World) -> Any:
    """All that a change can change, but not what passes with time."""
    ecs = world.ecs
    ecs.advance()
    service = ecs.service
    made = getattr(world.codedeploy, "deployments", {})
    return (
        tuple(d["id"] for d in service["deployments"]),
        service["desiredCount"],
        repr(service["deploymentConfiguration"]),
        tuple((arn, d["status"]) for arn, d in ecs.definitions.items()),
        tuple(sd["status"] for sd in ecs.service_deployments.values()),
        len(ecs.tasks),
        tuple(t["lastStatus"] for t in ecs.tasks),
        tuple((d["id"], d["status"]) for d in made.values()),
    )
