"""The steps of a rollout, in a world where nobody knows ECS's details.

Stands in for `slipway.rollout.roll_out.take`. A rollout's state, its intents, what a lost answer
leaves behind, cancel and the result are the real ones; what is looked at and changed is the
simulated service (`tests/unit/slipway/rollout` holds the real looks against a scripted ECS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from slipway.contracts.errors import WorldFailed
from slipway.contracts.table.locks import held_by
from slipway.following.follower import Guard, Held, OnProgress
from slipway.rollout import RolloutPlan, RolloutResult
from slipway.rollout.actions import (
    Change,
    Deregister,
    Register,
    RunTask,
    StopServiceDeployment,
    StopTask,
    Tell,
    UpdateService,
)
from slipway.rollout.afterwards import prove
from slipway.rollout.api import Changes
from slipway.rollout.cancelling import cancel
from slipway.rollout.fence import SIGNATURE_LIFE, Fence
from slipway.rollout.judge import STALE
from slipway.rollout.state import (
    Advanced,
    Before,
    Place,
    RolloutState,
    intend,
    on,
    post_token,
    sure,
)
from slipway.rollout.telling import enter, finish, over
from tests.simulation import scheduled
from tests.simulation.deploying import Service, Violation, standing_still
from tests.simulation.proving import PROVING, asks_for_more
from tests.simulation.scheduled import CompanionMeans


class Rollouts:
    """ECS for one process: an agent, or an invocation of the follower.

    `freeze(seconds)`: the process stands still. `seen`: service to what this process saw running.
    """

    def __init__(
        self, world: Any, freeze: Callable[[float], None], seen: Mapping[str, Any] | None = None
    ) -> None:
        self.world = world
        self.seen = seen if seen is not None else {}
        self.fence = Fence(world.clockwork.now)
        self.stand_still = standing_still(world, freeze)

    def means(
        self, plan: RolloutPlan, guard: Guard, on_progress: OnProgress
    ) -> Means | CompanionMeans:
        """What the steps of `plan` are taken with; `guard` is a method of who holds the claim."""
        held: Held = guard.__self__  # type: ignore[attr-defined]
        if plan.is_companion:
            calls = Calls(self, held, self.fence.noted(guard), on_progress)
            return CompanionMeans(self, plan, held, calls)
        return Means(self, plan, held, self.fence.noted(guard), on_progress)


@dataclass
class Calls:
    """Changes in AWS, made by one process under its claim."""

    rollouts: Rollouts
    held: Held
    guard: Guard
    on_progress: OnProgress

    def __call__(
        self, means: Any, state: RolloutState, change: Change, make: Callable[..., Any]
    ) -> Any:
        """Make the change; what it made. The answer may be lost."""
        self.guard()
        self._send()
        world = self.rollouts.world
        if world.weather.happens("ECS fails", 0.1):
            raise WorldFailed("ECS throttles")
        self._check_claim(change)
        made = make(state, change)
        if world.weather.happens("ECS fails", 0.05):
            raise WorldFailed("ECS took the change, its answer was lost")
        means.changes.taken.append(change.operation)
        return made

    def _send(self) -> None:
        """The call is signed, and comes to AWS after a while."""
        world, rollouts = self.rollouts.world, self.rollouts
        rollouts.stand_still()
        signed_at = world.clockwork.time
        rollouts.fence.check(signed_at)
        rollouts.stand_still()
        if world.weather.happens("ECS is slow", 0.2):
            world.clockwork.sleep(world.dice.uniform(0.5, 6))
        if world.clockwork.time - signed_at > SIGNATURE_LIFE:
            raise WorldFailed("ECS: the signature has expired")

    def _check_claim(self, change: Change) -> None:
        """What takes effect does so under the claim of the step, and under the lock."""
        world, claim = self.rollouts.world, self.held.claim
        now, name = world.clockwork.time, self.held.row.pipeline
        lock = world.table.locks.get(name)
        row = world.table.deployments.get(claim.deployment_id)
        ours = (row.step, row.claimed_by) == (claim.step, claim.by) and row.claimed_until > now
        if not ours or lock.holder != held_by(claim.deployment_id):
            raise Violation(f"{claim.by}: {change.operation} of {name} without its claim")


@dataclass
class Means:
    """Of one rollout, in one process."""

    rollouts: Rollouts
    plan: RolloutPlan
    held: Held
    guard: Guard
    on_progress: OnProgress

    def __post_init__(self) -> None:
        self.changes = Changes()
        self.world = self.rollouts.world
        self.service: Service = self.world.services[self.plan.service]

    # --- looking

    def look(self) -> Service:
        if self.world.weather.happens("ECS fails", 0.05):
            raise WorldFailed("ECS did not answer")
        return self.service

    # --- changing

    def carry_out(self, state: RolloutState, change: Change) -> int:
        """Make the change; the number of what it made. The answer may be lost."""
        calls = Calls(self.rollouts, self.held, self.guard, self.on_progress)
        made: int = calls(self, state, change, lambda s, c: _CHANGES[type(c)](self, s))
        return made

    def register(self, _state: RolloutState) -> int:
        service = self.service
        number = max(service.images) + 1
        service.images[number] = self.plan.images["app"]
        fetched = self.world.fetched[service.pipeline]
        service.versions[number] = fetched[service.commit_of(number)]
        return number

    def update(self, state: RolloutState) -> int:
        world, service = self.world, self.service
        target, named = _number(state.after), self.plan.target is not None
        if target in service.deregistered:
            raise Violation(f"{service.name} is updated to a revision that is deregistered")
        newest = max(service.versions[r] for r in world.updated[service.name])
        allowed = named and (service.name, target) in world.rollbacks
        if service.versions[target] < newest and not allowed:
            raise Violation(f"push {service.versions[target]} replaces push {newest}")
        seen = self.rollouts.seen.get(service.name)
        same = seen is not None and seen.images["app"] == service.images[target]
        if same and seen.steady and not named:
            raise Violation("a digest that was seen to run, steady, is rolled out")
        if state.cancelled is not None:
            raise Violation(f"{service.name} is updated though its rollout is cancelled")
        if any(by == state.id for _, by in service.begun.values()):
            raise Violation(f"one rollout of {service.name} is begun twice")
        world.begin_rollout(service, target, by=state.id)
        return service.token

    def stop(self, state: RolloutState) -> int:
        """ECS goes back to what ran before, unless it does already."""
        if self.service.token == _token(state):
            self.world.take_back(self.service, _number(state.before))
        return self.service.token

    def deregister(self, state: RolloutState) -> int:
        """Nothing that runs, or is on its way, is taken from under the service."""
        number, service = _number(state.after), self.service
        there = self.world.families.get(service.pipeline)
        if there and service.arn(number) in {target.names for target in there.targets.values()}:
            raise Violation(f"{service.arn(number)} is deregistered, and a target names it")
        if number in (service.primary, service.proven):
            raise Violation(f"revision {number} of {service.name} runs, and is deregistered")
        service.deregistered.add(number)
        return number

    def begin_task(self, state: RolloutState) -> int:
        """One a token, however often it is asked for."""
        self.world.tasks.setdefault(post_token(state), self.world.clockwork.time)
        return 1

    def end_task(self, state: RolloutState) -> int:
        self.world.tasks[post_token(state)] = float("-inf")
        return 1


_CHANGES: Mapping[type[Change], Callable[[Means, RolloutState], int]] = {
    Register: Means.register,
    UpdateService: Means.update,
    StopServiceDeployment: Means.stop,
    Deregister: Means.deregister,
    RunTask: Means.begin_task,
    StopTask: Means.end_task,
}


def take(step: Advanced, means: Means | CompanionMeans) -> Advanced | None:
    """As `slipway.rollout.roll_out.take`."""
    if isinstance(means, CompanionMeans):
        return scheduled.take(step, means)
    for action in step.actions:
        if isinstance(action, Tell):
            means.on_progress(action.progress)
    state = step.state
    if state.result is not None:
        return None
    made: int | None = None
    for action in step.actions:
        if isinstance(action, Change):
            made = means.carry_out(state, action)
    seen = means.look() if made is None else means.service
    taken = [name for name in means.changes.taken if name != Deregister.operation]
    state = replace(state, taken=tuple(taken))
    return _STEPS[state.step](state, seen, made, means)


def _read(state: RolloutState, service: Service, _made: int | None, m: Means) -> Advanced:
    now = m.world.clockwork.time
    state = replace(
        state,
        before=service.arn(service.proven),
        was=Before(deployments=frozenset(map(str, service.begun))),
        place=Place(service=service.name, name=service.name, cluster="prod", controller="ECS"),
    )
    if state.plan.target is None:
        state, told = enter(state, "register", now)
        return intend(replace(state, step="register"), now, told, Register())
    state = replace(state, after=state.plan.target)
    if _number(state.after) != service.primary:
        return _to_update(state, now)
    if service.steady and asks_for_more(state.plan):
        same = replace(state, before=state.after)
        return prove(same, _ended(same, service, "unchanged"), now)
    if service.steady:
        return _over(state, service, now, "unchanged")
    return _to_wait(state, service.token, now)


def _register(state: RolloutState, service: Service, made: int | None, m: Means) -> Advanced:
    now = m.world.clockwork.time
    newest = max(set(service.images) - service.deregistered)
    if made is None and service.images[newest] != m.plan.images["app"]:
        return intend(state, now, Register())
    number = newest if made is None else made  # its answer was lost: the newest is the same
    state = replace(state, after=service.arn(number))
    if state.plan.alarms:
        return on(replace(state, step="alarms", intent=None))
    return _to_update(state, now)


def _update(state: RolloutState, service: Service, made: int | None, m: Means) -> Advanced:
    now = m.world.clockwork.time
    token = _found(state, service) if made is None else made
    if token is None:
        return intend(state, now, UpdateService())
    return _to_wait(state, token, now)


def _cancel_update(state: RolloutState, service: Service, _made: int | None, m: Means) -> Advanced:
    now = m.world.clockwork.time
    token, cancelled = _found(state, service), sure(state.cancelled)
    if token is not None:
        waiting = replace(_to_wait(state, token, now).state, cancelled=None)
        return cancel(waiting, cancelled.by, now)
    if now - cancelled.at < STALE:
        return on(replace(state, look_at=now + STALE))
    return over(
        state, now, outcome="cancelled", cause=f"cancelled by {cancelled.by}",
        before=state.before, after=state.after, running=state.before,
    )  # fmt: skip


def _wait(state: RolloutState, service: Service, _made: int | None, m: Means) -> Advanced:
    world, now = m.world, m.world.clockwork.time
    if service.token != _token(state):
        return _over(state, service, now, "superseded")
    if not service.steady:
        return on(replace(state, look_at=now + world.dice.uniform(5, 30)))
    m.rollouts.stand_still()
    good = service.primary == _number(state.after)
    if good and (state.plan.smoke is not None or asks_for_more(state.plan)):
        return prove(state, _ended(state, service, "succeeded"), now)
    return _over(state, service, now, "succeeded" if good else "rolled_back")


def _agree(state: RolloutState, service: Service, made: int | None, m: Means) -> Advanced:
    now = m.world.clockwork.time
    if service.token != _token(state):
        return _over(state, service, now, "superseded")
    if made is not None or service.goes_back or service.primary != _number(state.after):
        return on(replace(state, step="wait_stopped", intent=None, look_at=now))
    return intend(state, now, StopServiceDeployment())


def _wait_stopped(state: RolloutState, service: Service, _made: int | None, m: Means) -> Advanced:
    now = m.world.clockwork.time
    if service.token != _token(state):
        return _over(state, service, now, "superseded")
    if not service.steady:
        return on(replace(state, look_at=now + m.world.dice.uniform(5, 30)))
    return _over(state, service, now, "rolled_back")


def _discard(state: RolloutState, service: Service, made: int | None, m: Means) -> Advanced:
    now, number = m.world.clockwork.time, _number(state.after)
    if made is None and number not in service.deregistered and number != service.primary:
        return intend(state, now, Deregister(revisions=(str(state.after),)))
    return finish(state, now, sure(state.ending))


_STEPS: Mapping[str, Callable[[RolloutState, Service, int | None, Means], Advanced]] = {
    "read": _read,
    "register": _register,
    "update": _update,
    "cancel_update": _cancel_update,
    "wait": _wait,
    "agree": _agree,
    "wait_stopped": _wait_stopped,
    "discard": _discard,
    **PROVING,
}


def _to_update(state: RolloutState, now: float) -> Advanced:
    state, told = enter(state, "update", now, task_definition=state.after)
    return intend(replace(state, step="update", intent=None), now, told, UpdateService())


def _to_wait(state: RolloutState, token: int, now: float) -> Advanced:
    state, told = enter(state, "wait", now, task_definition=state.after)
    waiting = replace(state, step="wait", deployment=f"ecs-svc/{token}", intent=None, look_at=now)
    return on(waiting, told)


def _found(state: RolloutState, service: Service) -> int | None:
    """The deployment of an update whose answer was lost."""
    new = [
        token
        for token, (target, _) in service.begun.items()
        if str(token) not in state.was.deployments and target == _number(state.after)
    ]
    return max(new, default=None)


def _over(state: RolloutState, service: Service, now: float, outcome: Any) -> Advanced:
    return finish(state, now, _ended(state, service, outcome))


def _ended(state: RolloutState, service: Service, outcome: Any) -> RolloutResult:
    cancelled = f"cancelled by {state.cancelled.by}" if state.cancelled else outcome
    return RolloutResult(
        outcome=outcome,
        cause=cancelled,
        before=state.before,
        after=state.after,
        running=service.arn(service.primary),
        restored=True if outcome == "rolled_back" else None,
    )


def _number(arn: str | None) -> int:
    return int(sure(arn).rpartition(":")[2])


def _token(state: RolloutState) -> int:
    return int(sure(state.deployment).rpartition("/")[2])
