"""A rollout that its deployment owns, and a follower that ends it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from slipway.contracts.messages import FollowMessage
from slipway.contracts.table.deployments import FOLLOWER, Claim, DeploymentRow
from slipway.contracts.table.following import FIRST
from slipway.contracts.table.locks import Lock
from slipway.contracts.table.requests import Settled
from tests.unit.slipway.cli.aws.agents import bodies
from tests.unit.slipway.cli.world import NOW, World, result_of


class Followed:
    """`pipeline`'s deployment `number`, handed over by host i-1, which follows for `claimed` s."""

    def __init__(self, world: World, pipeline: str = "shop", number: int = 1, **values: Any):
        claimed = values.pop("claimed", 0.0)
        self.world = world
        begun = world.begin(pipeline, number, started_at=NOW - 60, **values)
        world.table.deployments.enter_stage(begun.deployment_id, "wait", NOW - 30)
        lock = world.table.locks.take(pipeline, "i-1/boot", NOW - 60, ttl=600)
        assert lock is not None
        row = replace(
            begun, rollout='{"version": 1}', next_look=NOW + 12, claimed_by="host i-1/boot",
            claimed_until=NOW + claimed,
        )  # fmt: skip
        settled = Settled(
            request_id=row.request_id, outcome="handed_over", pipeline=pipeline,
            settled_at=NOW, deployment_id=row.deployment_id,
        )  # fmt: skip
        mine = world.table.following.hand_over(row, lock=lock, settled=settled, kept=86400)
        assert mine is not None
        self.lock: Lock = mine
        self.claim = Claim(row.deployment_id, "host i-1/boot", FIRST)

    @property
    def deployment_id(self) -> str:
        return self.claim.deployment_id

    @property
    def row(self) -> DeploymentRow:
        row = self.world.table.deployments.get(self.deployment_id)
        assert row is not None
        return row

    def step(self) -> None:
        """The follower takes the next step."""
        now = self.world.clock.now()
        claim = self.world.table.following.claim(
            self.deployment_id, self.row.step, FOLLOWER, now, ttl=330
        )
        assert claim is not None
        self.claim = claim

    def end(self, status: str) -> None:
        """The follower takes the next step, which is the last one."""
        self.step()
        row = self.row
        result = replace(
            result_of(row, status, self.world.clock.now()),
            cancelled_by=row.cancelled_by,
            stage="wait",
        )
        assert self.world.table.deployments.finish(result, lock=self.lock, claim=self.claim)


def calls(world: World) -> list[FollowMessage]:
    """The messages on the follow queue that are no requests."""
    found = bodies(world, world.names.follow_queue, held=0)
    return [FollowMessage.from_json(b) for b in found if "request_id" not in json.loads(b)]
