"""The hand-over: from here on the deployment's row owns its rollout, and holds the lock for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from slipway.contracts.errors import Interrupted
from slipway.contracts.messages import BuildRequest, Commit, FollowMessage
from slipway.contracts.table.deployments import Claim, DeploymentRow
from slipway.contracts.table.following import FIRST
from slipway.contracts.table.locks import Lock
from slipway.contracts.table.requests import Settled
from slipway.contracts.table.wants import Want
from slipway.following.follower import FollowerParts, Held
from slipway.following.state import Followed, Part, StageBegun, to_json
from slipway.rollout import RolloutPlan
from slipway.rollout.beginning import begin


@dataclass(frozen=True, kw_only=True)
class ToRollOut:
    """What is to be rolled out, and what its notice will tell: all that a builder knew of it.

    `plans`: of the services, in order. See `Followed` for the other members.
    """

    plans: tuple[RolloutPlan, ...]
    parts: tuple[Part, ...] | None = None
    together: bool | None = None
    commit: Commit | None = None
    warning: str | None = None
    tests: str | None = None
    commits_since: tuple[Commit, ...] = ()
    commits_since_count: int | None = None
    image_digest: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    tip_seen: str | None = None
    stages: tuple[StageBegun, ...] = ()
    definition_changes: tuple[str, ...] | None = None


def hand_over(
    parts: FollowerParts,
    row: DeploymentRow,
    request: BuildRequest,
    what: ToRollOut,
    lock: Lock,
    *,
    settles: int,
) -> Held:
    """Let the row own the rollout of `what`; this process has claimed its first step.

    Nothing in ECS was changed before. Then the follow message is sent, which comes once the claim
    may have ended; where the queue takes none, the reconciler finds the rollout by its lock. After
    that the request's messages can be deleted. Raises Interrupted where the lock was lost or the
    request is settled, WrongUse for a plan that contradicts itself.
    """
    now, limits = parts.now(), parts.installation.limits
    begun = [begin(plan, now, os.urandom(16).hex()) for plan in what.plans]
    followed = Followed(
        request=request,
        rollouts=tuple(each.state for each in begun),
        parts=what.parts,
        together=what.together,
        settles=settles,
        commit=what.commit,
        warning=what.warning,
        tests=what.tests,
        commits_since=what.commits_since,
        commits_since_count=what.commits_since_count,
        image_digest=what.image_digest,
        images=what.images,
        tip_seen=what.tip_seen,
        stages=what.stages,
        definition_changes=what.definition_changes,
    )
    owning = replace(
        row,
        rollout=to_json(followed),
        step=FIRST,
        next_look=now,
        claimed_by=parts.name,
        claimed_until=now + limits.lock_ttl,
        images=dict(what.images),
    )
    _move(parts, owning, request, lock)
    message = FollowMessage(deployment_id=row.deployment_id, step=FIRST)
    try:
        parts.send(message, limits.lock_ttl + 1)
    except Exception as error:  # noqa: BLE001 - the row owns it already: nothing must undo that
        parts.ending.log.warning("no follow message was sent", error=str(error))
    claim = Claim(row.deployment_id, parts.name, FIRST)
    return Held(parts, owning, followed, claim, begun)


def _move(parts: FollowerParts, row: DeploymentRow, request: BuildRequest, lock: Lock) -> None:
    settled = Settled(
        request_id=request.request_id,
        outcome="handed_over",
        pipeline=request.pipeline,
        settled_at=parts.now(),
        deployment_id=row.deployment_id,
    )
    kept = parts.installation.limits.settled_kept
    own = _own_want(parts, request)
    for want in (own, None) if own else (None,):
        try:
            if parts.table.following.hand_over(
                row, lock=lock, settled=settled, kept=kept, want=want
            ):
                return
        except Exception:
            if _is_moved(parts, row):
                return  # its answer was lost
            raise
    raise Interrupted("the rollout could not be handed over: the pipeline lock was lost")


def _is_moved(parts: FollowerParts, row: DeploymentRow) -> bool:
    now = parts.table.deployments.get(row.deployment_id)
    return now is not None and (now.rollout, now.claimed_by) == (row.rollout, row.claimed_by)


def _own_want(parts: FollowerParts, request: BuildRequest) -> Want | None:
    """The request's own want, if it stands: not a newer push's."""
    want = parts.table.wants.get(request)
    return want if want is not None and want.request_id == request.request_id else None
