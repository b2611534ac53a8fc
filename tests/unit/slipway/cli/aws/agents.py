"""An agent that deals with what a command asked for, and what was deployed before."""

from __future__ import annotations

import json

from slipway.contracts.messages import BuildRequest
from tests.unit.slipway.cli.world import World


def published(world: World) -> list[BuildRequest]:
    """The requests that a builder or the follower is to hear."""
    names = world.names
    return [
        BuildRequest.from_json(body)
        for queue in (names.build_queue, names.follow_queue)
        for body in bodies(world, queue)
        if "request_id" in json.loads(body)
    ]


def bodies(world: World, queue: str, *, held: int = 30) -> list[str]:
    """What lies in a queue; it is not seen again for `held` seconds."""
    answer = world.client("sqs").receive_message(
        QueueUrl=world.queues[queue], MaxNumberOfMessages=10, VisibilityTimeout=held
    )
    return [m["Body"] for m in answer.get("Messages", [])]


class Agent:
    """Deals with the first request in the queue, one step at each of the command's looks."""

    def __init__(self, world: World, status: str = "succeeded") -> None:
        self.world, self.status = world, status
        self.request: BuildRequest | None = None
        for step in (self.take, self.build, self.finish):
            world.clock.then(step)

    def take(self) -> None:
        (self.request,) = published(self.world)
        self.row = self.world.begin(
            self.request.pipeline,
            50,
            started_at=self.world.clock.now(),
            request_id=self.request.request_id,
            reason=self.request.reason,
        )
        self.world.table.requests.point(
            self.request.request_id, self.row.deployment_id, self.world.clock.now(), kept=86400
        )

    def build(self) -> None:
        now = self.world.clock.now()
        self.world.table.deployments.enter_stage(self.row.deployment_id, "build", now)

    def finish(self) -> None:
        self.world.end(self.row, self.status, at=self.world.clock.now())


def running_two_versions(world: World) -> tuple[str, str]:
    """`shop` ran version 1, and runs version 2."""
    first, second = world.deployed("shop", 1), world.deployed("shop", 2)
    world.runs("shop", second)
    return first, second
