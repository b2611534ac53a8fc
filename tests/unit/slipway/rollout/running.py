"""Run one rollout against the scripted ECS."""

from __future__ import annotations

from typing import Any

from slipway.rollout import (
    RolloutPlan,
    RolloutResult,
    Timeouts,
    roll_out,
)
from tests.scripted_ecs import PREFIX, ScriptedEcs

V6, V7, V8 = (f"{PREFIX}:task-definition/web:{n}" for n in (6, 7, 8))


def run(scripted: ScriptedEcs, **members: Any) -> RolloutResult:
    means = {
        k: members.pop(k) for k in ("guard", "on_progress", "ecr", "balancing") if k in members
    }
    given = {"cluster": "prod", "service": "web"} | members
    plan = RolloutPlan(**{"timeouts": Timeouts(healthy=90, rollback=300), **given})
    return roll_out(plan, ecs=scripted.client(), clock=scripted.clock, **means)
