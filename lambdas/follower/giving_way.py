"""An operator's rollback takes the place of the rollout under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdas.follower.stepping import go_on
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.messages import BuildRequest, FollowMessage
from slipway.following.earlier import to_earlier

if TYPE_CHECKING:
    from lambdas.follower.world import World


def gave_way(request: BuildRequest, here: World) -> bool:
    """A rollback that can be done asks what is under way to give way; whether it has, at once.

    Raises UnknownState where this code cannot ask it.
    """
    if request.reason != "rollback" or not _can_go_back(request, here):
        return False
    here.table.locks.ask_takeover(request, here.parts.now())
    followed = here.table.locks.get(request.pipeline).deployment
    if followed is None:
        return True
    held = here.follower.take_up(FollowMessage(deployment_id=followed))
    if held is None:
        return False
    go_on(held, here)
    return held.is_over


def _can_go_back(request: BuildRequest, here: World) -> bool:
    """Nothing gives way to a rollback that is going to be refused."""
    if request.target.kind != "deployment":
        return True
    try:
        pipeline = here.installation.pipeline(request.pipeline)
        to_earlier(here.table.deployments.get, pipeline, request)
    except DeploymentFailed:
        return False
    return True
