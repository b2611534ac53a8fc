"""The proof of a rollout that is steady: the real steps, what they look at is simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from slipway.rollout import RolloutPlan
from slipway.rollout.actions import UpdateService
from slipway.rollout.afterwards import cancel_post_task, post_task, post_task_wait, smoke
from slipway.rollout.baking import bake
from slipway.rollout.looks import Alarm, AlarmsSeen, Answer, SmokeSeen, TaskSeen, TaskToRun
from slipway.rollout.state import Advanced, RolloutState, intend, post_token, sure
from slipway.rollout.telling import enter
from tests.simulation.deploying import Service, Violation

TASK_TAKES = 40.0


def asks_for_more(plan: RolloutPlan) -> bool:
    """Whether something is to be proved that is one for all services."""
    return plan.post_task is not None or plan.bake is not None


def _is_bad(service: Service, means: Any, kind: str) -> bool:
    """Of what the service runs now."""
    bad = means.world.repositories[service.pipeline].bad
    return bool(bad.get(service.commit) == kind)


def _alarms(state: RolloutState, _service: Service, _made: int | None, m: Any) -> Advanced:
    """They are there."""
    now = m.world.clockwork.time
    state, told = enter(state, "update", now, task_definition=state.after)
    return intend(replace(state, step="update", intent=None), now, told, UpdateService())


def _smoke(state: RolloutState, service: Service, _made: int | None, m: Any) -> Advanced:
    ok = not (_is_bad(service, m, "smoke") and service.name == service.pipeline)
    return smoke(state, SmokeSeen(ok=ok, told="answered"), m.world.clockwork.time)


def _post_task(state: RolloutState, service: Service, made: int | None, m: Any) -> Advanced:
    _check_all_are_steady(service, m)
    now = m.world.clockwork.time
    if made is not None:
        return post_task(state, Answer(value={"tasks": [{"taskArn": "task/1"}]}), now)
    definition = {"containerDefinitions": [{"name": "app"}]}
    return post_task(state, TaskToRun(definition=definition, service=None), now)


def _check_all_are_steady(service: Service, m: Any) -> None:
    """What is proved for all comes once all run what they are to run."""
    for one in m.world.services.values():
        if one.pipeline == service.pipeline and not one.steady:
            raise Violation(f"{one.name} is in the middle of a rollout, and all are proved")


def _task_wait(state: RolloutState, service: Service, made: int | None, m: Any) -> Advanced:
    now = m.world.clockwork.time
    look = Answer(value={}) if made is not None else _task(state, service, m)
    return post_task_wait(state, look, now)


def _cancel_task(state: RolloutState, service: Service, made: int | None, m: Any) -> Advanced:
    now = m.world.clockwork.time
    look = Answer(value={}) if made is not None else _task(state, service, m)
    return cancel_post_task(state, look, now)


def _task(state: RolloutState, service: Service, m: Any) -> TaskSeen:
    begun = m.world.tasks.get(post_token(state))
    if begun is None:
        return TaskSeen(task=None)
    code = 1 if _is_bad(service, m, "task") else 0
    is_over = m.world.clockwork.time - begun > TASK_TAKES
    task: dict[str, Any] = {"taskArn": "task/1", "lastStatus": "RUNNING"}
    if is_over:
        containers = [{"name": "app", "exitCode": code}]
        task |= {"lastStatus": "STOPPED", "containers": containers}
    return TaskSeen(task=task)


def _bake(state: RolloutState, service: Service, _made: int | None, m: Any) -> Advanced:
    _check_all_are_steady(service, m)
    now = m.world.clockwork.time
    off = _is_bad(service, m, "alarm") and now - sure(state.proving).begun > 60
    alarm = Alarm(name="errors", state="ALARM" if off else "OK", since=now if off else 0.0)
    return bake(state, AlarmsSeen(alarms=(alarm,)), now)


PROVING: Mapping[str, Callable[[RolloutState, Service, int | None, Any], Advanced]] = {
    "alarms": _alarms,
    "smoke": _smoke,
    "post_task": _post_task,
    "post_task_wait": _task_wait,
    "cancel_post_task": _cancel_task,
    "bake": _bake,
}
"""Of each step, as `rollouts.py` takes it."""
