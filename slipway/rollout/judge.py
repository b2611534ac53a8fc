"""Is our deployment over, and how? A pure function of what was seen.

Two sources: the service's `deployments` (DescribeServices), and our own *service deployment* where
ECS tells about it. Each may be stale for some seconds after UpdateService, so no answer that could
be from before our update counts until it has held for a while.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from slipway.rollout.hooks import Hook
from slipway.rollout.plan import Outcome, short
from slipway.rollout.service import Deployment, Service

STALE = 15.0
"""Seconds for which an answer that does not know our deployment yet may simply be old."""
SETTLED = 3.0
"""Seconds that a surprising answer must hold, look after look, before it is believed."""

Ending = Literal["go_on", "rolling_back", "over"]


_SCALED_UP = frozenset(
    {
        "POST_SCALE_UP",
        "TEST_TRAFFIC_SHIFT",
        "POST_TEST_TRAFFIC_SHIFT",
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
        "BAKE_TIME",
        "CLEAN_UP",
    }
)
"""Lifecycle stages (blue/green, linear, canary) in which the new tasks are up and healthy."""
ONLY_DRAINS = "CLEAN_UP"
"""The stage in which traffic has moved for good and only the old tasks' going is awaited."""


@dataclass(frozen=True, kw_only=True)
class Ours:
    """The deployment that we follow.

    `known_before`: ids of the deployments that were there before the update. `previous`: the task
    definition that ran before.
    """

    id: str
    task_definition: str
    known_before: frozenset[str] = frozenset()
    previous: str = ""
    created_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class ServiceDeployment:
    """Our service deployment, as DescribeServiceDeployments has it."""

    arn: str
    status: str
    reason: str = ""
    stage: str | None = None
    rollback_reason: str = ""
    hooks: tuple[Hook, ...] = ()

    @property
    def waits(self) -> str:
        """What its hooks wait for, or nothing."""
        return " and ".join(hook.waits for hook in self.hooks if hook.active)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen at one moment.

    `age`: seconds since the update. `odd_for`: for how many seconds every look has shown a primary
    deployment that is not ours, or ours as FAILED. `ours_seen`: whether any answer has shown ours.
    """

    service: Service
    ours: ServiceDeployment | None
    age: float
    odd_for: float = 0.0
    ours_seen: bool = True


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a look means. `outcome` is set once it is `over`; `cause` is a sentence's worth."""

    ending: Ending
    outcome: Outcome | None = None
    cause: str = ""


GO_ON = Verdict(ending="go_on")


def judge(ours: Ours, look: Look) -> Verdict:
    """Whether our deployment is over, being rolled back by ECS, or going on."""
    if look.ours is not None:
        return _by_service_deployment(ours, look, look.ours)
    return _by_rollout_state(ours, look)


def is_up(ours: Ours, look: Look) -> bool:
    """Whether as many of the new tasks run as are wanted. They may not be healthy yet."""
    mine = look.service.deployment(ours.id)
    if mine is None or mine.status != "PRIMARY" or mine.state == "FAILED":
        return False
    return not mine.pending and mine.running >= mine.desired


def is_scaled_up(look: Look) -> bool:
    """Whether the stage of a blue/green, linear or canary deployment says that its tasks are up."""
    return has_stages(look) and look.ours is not None and look.ours.stage in _SCALED_UP


def has_stages(look: Look) -> bool:
    """Whether the deployment's stages tell how far it is, rather than its tasks."""
    return look.ours is not None and look.service.strategy != "ROLLING"


def is_counted(ours: Ours, look: Look) -> bool:
    """Whether ECS acts as if it counted the new tasks as healthy: it has given up the old ones.

    It may do so below the percentage of healthy tasks that it must keep, and where the old ones
    were unhealthy themselves. So this is no proof; it says only that more waiting is for draining.
    """
    mine = look.service.deployment(ours.id)
    others = [d for d in look.service.deployments if d.id != ours.id]
    if mine is None or any(d.desired for d in others):
        return False
    kept = math.ceil(mine.desired * look.service.min_percent / 100)
    return kept >= mine.desired


def _by_service_deployment(ours: Ours, look: Look, mine: ServiceDeployment) -> Verdict:
    reason = mine.rollback_reason or mine.reason
    told = {
        "ROLLBACK_REQUESTED": _rolling_back(reason or "ECS is rolling it back"),
        "ROLLBACK_IN_PROGRESS": _rolling_back(reason or "ECS is rolling it back"),
        "ROLLBACK_SUCCESSFUL": _over("rolled_back", reason or "ECS rolled it back"),
        "ROLLBACK_FAILED": _over("failed", f"ECS could not roll it back: {reason or 'no reason'}"),
    }.get(mine.status)
    if told is not None:
        return told
    if mine.waits and mine.status in ("PENDING", "IN_PROGRESS"):
        return GO_ON  # whoever is primary: ECS itself says that ours waits
    primary = look.service.primary
    if mine.status == "SUCCESSFUL":
        return _after_success(ours, look, primary)
    if mine.status == "STOPPED":
        return _stopped(ours, look, primary, reason)
    if primary is not None and primary.id != ours.id:
        return _foreign_primary(ours, look, primary)
    return GO_ON


def _after_success(ours: Ours, look: Look, primary: Deployment | None) -> Verdict:
    """Ours succeeded; if another one is primary: an old answer, or somebody came after us."""
    if primary is None or primary.id == ours.id:
        return _over("succeeded", "")
    if _is_newer(ours, primary) and look.odd_for >= SETTLED:
        return _over("superseded", f"{_named(primary)} took over right after it")
    if look.odd_for >= STALE:
        return _over("superseded", f"{_named(primary)} is the service's primary deployment now")
    return GO_ON


def _stopped(ours: Ours, look: Look, primary: Deployment | None, reason: str) -> Verdict:
    if primary is not None and primary.id != ours.id:
        if look.odd_for < SETTLED and primary.id in ours.known_before and not look.ours_seen:
            return GO_ON
        return _over("superseded", f"{_named(primary)} took over")
    if look.age < SETTLED:
        return GO_ON  # the answer with the newer deployment may still be on its way
    return _over("failed", reason or "ECS stopped the deployment")


def _by_rollout_state(ours: Ours, look: Look) -> Verdict:
    primary = look.service.primary
    if primary is None:
        return GO_ON
    if primary.id != ours.id:
        return _foreign_primary(ours, look, primary)
    if primary.state == "FAILED":
        return _failed_primary(look, primary)
    done = primary.state == "COMPLETED" or (primary.state is None and look.service.is_settled)
    is_there = primary.task_definition == ours.task_definition
    return _over("succeeded", "") if is_there and done else GO_ON


def _failed_primary(look: Look, primary: Deployment) -> Verdict:
    """Ours failed. Where the service rolls back by itself, its switch follows in a moment."""
    if look.service.breaker_rolls_back and look.odd_for < SETTLED:
        return _rolling_back(primary.reason)
    return _over("failed", primary.reason or "ECS says that the deployment failed")


def _foreign_primary(ours: Ours, look: Look, primary: Deployment) -> Verdict:
    """Another deployment is primary: an old answer, ECS's own rollback, or somebody else's."""
    mine = look.service.deployment(ours.id)
    if primary.id in ours.known_before and mine is None:
        patience = SETTLED if look.ours_seen and look.age > STALE else STALE
        if look.odd_for < patience:
            return GO_ON
        return _rolled_back(look, primary, "ECS went back to the deployment before it")
    if not _is_newer(ours, primary) and primary.id not in ours.known_before:
        return (
            GO_ON if look.odd_for < STALE else _over("superseded", f"{_named(primary)} took over")
        )
    evidence = _rollback_evidence(ours, look, mine, primary)
    if evidence is not None:
        return _rolled_back(look, primary, evidence)
    if look.odd_for < SETTLED:
        return GO_ON
    return _over("superseded", f"{_named(primary)} took over")


def _rollback_evidence(
    ours: Ours, look: Look, mine: Deployment | None, primary: Deployment
) -> str | None:
    """ECS's own words for 'I rolled it back', or None where somebody else deployed."""
    if primary.task_definition != ours.previous:
        return None
    if mine is not None and mine.state == "FAILED":
        return mine.reason or "ECS says that the deployment failed"
    if "roll" in primary.reason.lower():
        return primary.reason
    if primary.id in ours.known_before:
        return "ECS went back to the deployment before it"
    number = ours.id.rpartition("/")[2]
    for message in look.service.events:
        if number in message and "rolling back" in message.lower():
            return message
    return None


def _rolled_back(look: Look, primary: Deployment, cause: str) -> Verdict:
    """Over once the deployment that ECS went back to is steady itself."""
    if primary.state == "IN_PROGRESS":
        return _rolling_back(cause)
    return _over("rolled_back", cause)


def _is_newer(ours: Ours, other: Deployment) -> bool:
    if other.id in ours.known_before:
        return False
    if ours.created_at is None or other.created_at is None:
        return True
    return other.created_at >= ours.created_at


def _named(deployment: Deployment) -> str:
    return f"deployment {deployment.id} of {short(deployment.task_definition)}"


def _rolling_back(cause: str) -> Verdict:
    return Verdict(ending="rolling_back", cause=cause)


def _over(outcome: Outcome, cause: str) -> Verdict:
    return Verdict(ending="over", outcome=outcome, cause=cause)
