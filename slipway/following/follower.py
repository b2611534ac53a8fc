"""Who takes up rollouts that their deployments' rows own, in whatever process is at hand.

`Follower.take_up` claims the next step; `held.py` takes what is due. A process that dies in between
loses nothing: its claim ends, and whoever claims the next step finds what was begun by its intent.
"""

from __future__ import annotations

from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import FollowMessage
from slipway.contracts.table.deployments import DeploymentRow
from slipway.following.held import Held
from slipway.following.parts import FollowerParts, Guard, OnProgress
from slipway.following.state import Followed, from_json

__all__ = ["Follower", "FollowerParts", "Guard", "Held", "OnProgress", "UnknownState"]


class UnknownState(Exception):
    """The row's state is of a version that this code does not know: it is left as it is."""

    def __init__(self, deployment_id: str, why: InvalidMessage) -> None:
        super().__init__(f"{deployment_id}: {why}")
        self.deployment_id = deployment_id


class Follower:
    """Follows the rollouts of an installation, one step after the other."""

    def __init__(self, parts: FollowerParts) -> None:
        self._parts = parts

    def take_up(self, message: FollowMessage) -> Held | None:
        """Claim the next step of the message's deployment.

        None: somebody else has it, or it is over. A message of a step that another process has
        claimed comes again when that claim may have ended. Raises UnknownState.
        """
        parts, now = self._parts, self._parts.now()
        row = parts.table.deployments.get(message.deployment_id)
        if row is None:
            return None
        if not row.is_followed:
            self.close(row)
            return None
        if row.claimed(now):
            if message.step is not None and _is_live(message.step, row):
                parts.send(message, row.claimed_until - now + 1)
            return None
        if message.step is not None and not _is_live(message.step, row):
            return None
        followed = _read(row)
        claim = parts.table.following.claim(
            row.deployment_id, row.step, parts.name, now, ttl=parts.installation.limits.lock_ttl
        )
        return Held(parts, row, followed, claim) if claim is not None else None

    def close(self, row: DeploymentRow) -> None:
        """Do what is left to do after an outcome whose recorder was lost before the end of it."""
        if row.result is None:
            return
        lock = self._parts.table.locks.get(row.pipeline)
        if lock.untold == row.deployment_id or row.announced_at is None:
            self._parts.ending.close(row, row.result)


def _is_live(step: int, row: DeploymentRow) -> bool:
    """A message goes on with the row's step, or with the next one if its claimer has died."""
    return row.step == step or (row.step == step + 1 and row.claimed_by is not None)


def _read(row: DeploymentRow) -> Followed:
    try:
        return from_json(row.rollout or "")
    except InvalidMessage as error:
        raise UnknownState(row.deployment_id, error) from None
