"""Our deployment on its way, and what comes of its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.rollout.events import trouble
from slipway.rollout.follow import follow
from slipway.rollout.looks import DeploymentSeen
from slipway.rollout.plan import RolloutResult
from slipway.rollout.state import Advanced, Failure, RolloutState, on, sure
from slipway.rollout.telling import enter, finish
from slipway.rollout.watch import Followed


def wait(state: RolloutState, look: DeploymentSeen, now: float) -> Advanced:
    """One look more; what failed is put right in `going_back.py`."""
    state, told, ended = follow(state, look, now)
    if ended is None:
        return on(state, told)
    if look.finding.skipped:
        state = replace(state, skipped=(*state.skipped, look.finding.skipped))
    if ended.outcome != "succeeded":
        from slipway.rollout.going_back import failed

        state = replace(state, step="failed", failure=_failure(state, ended))
        advanced = failed(state, None, now) if ended.outcome == "superseded" else on(state)
        return advanced._replace(actions=(told, *advanced.actions))
    advanced = done(state, now, cause=ended.cause, drained=ended.drained)
    return advanced._replace(actions=(told, *advanced.actions))


def done(state: RolloutState, now: float, *, cause: str, drained: bool | None) -> Advanced:
    """The new revision runs: prove it where that is asked for, and tell."""
    if drained is False and state.plan.wait_drain:
        state = replace(state, warnings=(*state.warnings, cause))
    ending = RolloutResult(
        outcome="succeeded",
        cause=cause,
        before=state.before,
        after=state.after,
        running=state.after,
        drained=drained,
        deployment=state.deployment,
    )
    plan = state.plan
    if plan.smoke is None and plan.post_task is None and plan.bake is None:
        return succeeded(state, ending, now)
    from slipway.rollout.afterwards import prove

    return prove(state, ending, now)


def succeeded(state: RolloutState, ending: RolloutResult, now: float) -> Advanced:
    """It is a success, proved where that was asked for: prune if that is wanted, and tell."""
    if state.plan.max_definitions is None or ending.outcome != "succeeded":
        return finish(state, now, ending)
    state, told = enter(state, "prune", now, note="deregistering old revisions")
    return on(replace(state, step="prune", ending=ending, following=None, look_at=now), told)


def _failure(state: RolloutState, ended: Followed) -> Failure:
    """What is known of the failure at this moment: the service may look otherwise at the next."""
    service = ended.service
    return Failure(
        outcome=ended.outcome,
        cause=ended.cause,
        running=service.primary.task_definition if service.primary else service.task_definition,
        said=trouble(service.raw, since=sure(state.following).watch.ours.created_at),
        drained=ended.drained,
        healthy=ended.healthy,
    )


STEPS: Mapping[str, Any] = {"wait": wait}
