"""What is said where a rollout ends without its end: AWS was changed, and nobody watches it."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.contracts.errors import WorldFailed
from slipway.rollout.api import Changes
from slipway.rollout.plan import RolloutResult, short

SERVICE_CHANGES = ("update_service", "create_deployment")
"""The calls that set a deployment going."""


class Unfinished(WorldFailed):
    """Something failed after AWS was changed: what was begun stays or goes on there, unwatched.

    `roll_out` raises it for whatever fails after the first change that AWS took, or may have taken
    (its answer was lost): credentials that end, a permission that is missing, the network, a lost
    lock. It is never WrongUse: that means that nothing was changed. `str(error)` is the cause and
    what goes on, one sentence; `__cause__` is the failure itself.

    `result`: the same as a result, for `--json`: `outcome` is `unwatched`, `cause` is the sentence,
    `before` what the service ran, `after` the revision (registered, or on its way), `deployment`
    ECS's (or CodeDeploy's) id where it is known, `running` None where it is not known.
    `goes_on`: a deployment of `after` goes on, or may; False: the service was not changed, only
    the revision was registered (or its task was started).
    """

    def __init__(self, text: str, *, result: RolloutResult, goes_on: bool) -> None:
        super().__init__(text)
        self.result = result
        self.goes_on = goes_on


@dataclass(frozen=True, kw_only=True)
class Begun:
    """How far a rollout is. `changes`: what AWS took; `before`, `after`, `back_to`: ARNs."""

    changes: Changes
    before: str | None
    after: str | None
    deployment: str | None
    back_to: str | None

    @property
    def service_changed(self) -> bool:
        """Whether a deployment was set going, or may have been. Following one counts as well."""
        return self.deployment is not None or self.changes.may_hold(*SERVICE_CHANGES)


def left_behind(begun: Begun) -> str:
    """A sentence's worth: what stays or goes on in AWS, with nobody watching it."""
    taken, after = begun.changes.taken, short(begun.after)
    if begun.service_changed:
        going_back = "stop_service_deployment" in taken or taken.count("update_service") > 1
        if begun.back_to is not None and going_back:
            return f"going back to {short(begun.back_to)} was begun and goes on in ECS, unwatched"
        known = begun.deployment is not None or any(name in taken for name in SERVICE_CHANGES)
        if known:
            return f"the deployment of {after} goes on in ECS, unwatched"
        return f"it is not known whether ECS took {after}; if it did, it goes on there, unwatched"
    if begun.after is None:
        return "a new revision may have been registered; the service was not changed"
    task = "its task was started" if begun.changes.may_hold("run_task") else "no task was run"
    return f"{after} is registered, {task}; the service was not changed"
