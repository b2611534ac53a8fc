"""Rollouts that deployments own: handed over, claimed step by step, saved, and let go of.

From the hand-over the deployment itself holds its pipeline's lock, which then never expires. Who
follows claims a step; a step has one claimer, so it is taken once. A claim outlasts a signature
(`slipway/rollout/fence.py`), like the lock of a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.contracts.table.deployments import Claim, DeploymentRow, deployment_key
from slipway.contracts.table.locks import NEVER, Lock, held_by
from slipway.contracts.table.locks import PARTITION as LOCK
from slipway.contracts.table.requests import Settled, settled_write
from slipway.contracts.table.store import Store, Write
from slipway.contracts.table.wants import Want, clearing

FIRST = 1
"""The step that who hands over claims."""


class Following:
    """The moves on a rollout's members of its deployment's row."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def hand_over(
        self,
        row: DeploymentRow,
        *,
        lock: Lock,
        settled: Settled,
        kept: float,
        want: Want | None = None,
    ) -> Lock | None:
        """Let the row own the rollout that it holds; the deployment's lock, or None.

        `row` bears `rollout`, `next_look`, `claimed_by`, `claimed_until` and `images`. In one
        transaction the deployment becomes the lock's holder, its request is settled, and its
        `want` cleared. None if the lock was lost, the request settled before, or the want changed.
        """
        mine = replace(lock, holder=held_by(row.deployment_id), fence=lock.fence + 1)
        writes = [
            _handed_over(row),
            _lock_moved(lock, mine),
            settled_write(settled, kept),
            *([clearing(want)] if want is not None else []),
        ]
        return mine if self._store.transact(writes) else None

    def claim(
        self, deployment_id: str, step: int, by: str, now: float, *, ttl: float
    ) -> Claim | None:
        """The step after `step`, for `ttl` seconds; None if another has it, or had it.

        A client repeats a call whose answer it did not get: then the claim may be this very one.
        """
        claimed = self._update(
            deployment_id,
            "SET step = :next, claimed_by = :by, claimed_until = :until",
            "attribute_exists(rollout) AND step = :step"
            " AND (attribute_not_exists(claimed_until) OR claimed_until <= :now)",
            {":step": step, ":next": step + 1, ":by": by, ":until": now + ttl, ":now": now},
        )
        if not claimed:
            row = self._store.get(*deployment_key(deployment_id).values()) or {}
            there = [row.get(name) for name in ("step", "claimed_by", "claimed_until")]
            claimed = there == [step + 1, by, now + ttl]
        return Claim(deployment_id, by, step + 1) if claimed else None

    def renew(self, claim: Claim, now: float, *, ttl: float) -> bool:
        """Extend; False: it has ended and may be another's, so nothing must be changed."""
        return self._update(
            claim.deployment_id,
            "SET claimed_until = :until",
            _OURS,
            {**_of(claim), ":now": now, ":until": now + ttl},
        )

    def save(
        self,
        claim: Claim,
        rollout: str,
        *,
        next_look: float,
        now: float,
        ttl: float,
        revisions: Mapping[str, str],
    ) -> bool:
        """Write down what is known, and extend the claim; False as `renew`.

        `revisions`: the row's `task_definition_before` and `_after`, once they are known. They are
        written with the intent to change the service, so that there is no change without them.
        """
        also = "".join(f", {name} = :{name}" for name in revisions)
        return self._update(
            claim.deployment_id,
            f"SET rollout = :rollout, next_look = :look, claimed_until = :until{also}",
            _OURS,
            {
                **_of(claim),
                ":now": now,
                ":until": now + ttl,
                ":rollout": rollout,
                ":look": next_look,
                **{f":{name}": revision for name, revision in revisions.items()},
            },
        )

    def release(self, claim: Claim, rollout: str, *, next_look: float) -> bool:
        """Write down what is known, and let others take the next step; False if it was lost."""
        return self._update(
            claim.deployment_id,
            "SET rollout = :rollout, next_look = :look REMOVE claimed_by, claimed_until",
            _SAME,
            {**_of(claim), ":rollout": rollout, ":look": next_look},
        )

    def ask_cancel(self, deployment_id: str, by: str) -> bool:
        """Let the deployment end as `by` wishes; False if it is over, or unknown."""
        return self._update(
            deployment_id,
            "SET cancelled_by = if_not_exists(cancelled_by, :by)",
            "attribute_exists(pk) AND attribute_not_exists(ended_at)",
            {":by": by},
        )

    def _update(
        self, deployment_id: str, expression: str, condition: str, parameters: dict[str, Any]
    ) -> bool:
        key = deployment_key(deployment_id)
        return self._store.update(
            key["pk"], key["sk"], expression, condition=condition, parameters=parameters
        )


_SAME = "attribute_exists(rollout) AND step = :step AND claimed_by = :by"
_OURS = f"{_SAME} AND claimed_until > :now"


def _of(claim: Claim) -> dict[str, Any]:
    return {":step": claim.step, ":by": claim.by}


def _handed_over(row: DeploymentRow) -> Write:
    return Write(
        "update",
        deployment_key(row.deployment_id),
        expression="SET rollout = :rollout, step = :step, next_look = :look,"
        " claimed_by = :by, claimed_until = :until, images = :images",
        condition="attribute_exists(pk) AND attribute_not_exists(ended_at)"
        " AND attribute_not_exists(rollout)",
        parameters={
            ":rollout": row.rollout,
            ":step": FIRST,
            ":look": row.next_look,
            ":by": row.claimed_by,
            ":until": row.claimed_until,
            ":images": row.images,
        },
    )


def _lock_moved(lock: Lock, mine: Lock) -> Write:
    return Write(
        "update",
        {"pk": LOCK, "sk": lock.pipeline},
        expression="SET holder = :mine, fence = :next, expires_at = :never",
        condition="fence = :fence AND holder = :holder",
        parameters={
            ":mine": mine.holder,
            ":next": mine.fence,
            ":never": NEVER,
            ":fence": lock.fence,
            ":holder": lock.holder,
        },
    )
