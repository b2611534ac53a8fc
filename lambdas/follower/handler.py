"""The follow queue and ECS's events → the next step of a rollout that its deployment's row owns.

A request that may need no builder comes on that queue as well (`unbuilt.py`).

A step never waits: what is not due is left to the message that comes when it is.
"""

from __future__ import annotations

import gc
import json
from typing import Any

# What is imported stays: to look through it for garbage is a tenth of a cold start, and finds none.
gc.disable()

from lambdas.follower.events import deployments_of
from lambdas.follower.stepping import go_on, not_followed
from lambdas.follower.unbuilt import begin
from lambdas.follower.world import World, world
from lambdas.shared.observability import about, observed
from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import BuildRequest, FollowMessage
from slipway.contracts.table.deployments import FOLLOWER
from slipway.following.follower import UnknownState

gc.freeze()
gc.enable()

LOOKS_AGAIN = 2.0
"""Seconds until what an event tells of is looked at, where another call had the step."""


@observed
def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda entry point: an SQS batch of one, or an event of ECS or CodeDeploy."""
    follow(event, world(context.aws_request_id))


def follow(event: dict[str, Any], here: World) -> None:
    """Take the steps that the event is about.

    Raises InvalidMessage for a message that is none of ours, after the others of its batch.
    """
    if "Records" in event:
        for record in event["Records"]:
            _message(str(record.get("body") or ""), here)
        return
    for deployment_id in deployments_of(event, here.installation, here.table):
        _told(FollowMessage(deployment_id=deployment_id), here)


def step(message: FollowMessage, here: World) -> bool:
    """The next step of one deployment's rollout; False: somebody else takes it, or it is over."""
    try:
        held = here.follower.take_up(message)
    except UnknownState as unknown:
        not_followed(unknown, here)
        return True
    if held is None:
        return False
    if message.step is None:
        held.look_now()
    about(held.followed.request.request_id)
    go_on(held, here)
    return True


def _told(message: FollowMessage, here: World) -> None:
    """Look at what an event tells of; where another call of the follower has the step, once more.

    That one may have looked just before. An agent that has it looks again by itself, at once.
    """
    if step(message, here):
        return
    row = here.table.deployments.get(message.deployment_id)
    if row is not None and row.followed_by(here.parts.now()) == FOLLOWER:
        here.parts.send(message, LOOKS_AGAIN)


def _message(body: str, here: World) -> None:
    try:
        data = json.loads(body)
    except ValueError:
        raise InvalidMessage("$", "is not JSON") from None
    if isinstance(data, dict) and "deployment_id" in data:
        step(FollowMessage.from_json(body), here)
        return
    request = BuildRequest.from_json(body)
    about(request.request_id)
    held = begin(request, here)
    if held is not None:
        go_on(held, here)
