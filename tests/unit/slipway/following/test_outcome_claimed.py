"""An outcome is recorded under the claim of a step, by who has it now."""

from __future__ import annotations

from slipway.contracts.messages import DeploymentResult, FollowMessage
from slipway.contracts.table.deployments import Claim
from slipway.contracts.table.locks import Lock, held_by
from slipway.following.follower import Follower
from tests import scripted_ecs as ecs
from tests.scripted_ecs import ScriptedEcs
from tests.unit.slipway.following.three_ways import DEPLOYMENT, REQUEST, Chain
from tests.unit.slipway.rollout.test_stepwise import world

LAPSED = 400.0
"""Seconds after which the claim of a step is nobody's."""


def test_who_has_lost_its_claim_records_nothing() -> None:
    # GIVEN a step that its claimer was at for too long, and another one who has the next
    chain = Chain(world(ScriptedEcs(behaviour=ecs.never_steady)))
    chain.hand_over()
    late = Claim(DEPLOYMENT, chain.row.claimed_by or "", chain.row.step)
    chain.world.ecs.clock.sleep(LAPSED)
    next_one = Follower(chain.parts()).take_up(FollowMessage(deployment_id=DEPLOYMENT))
    assert next_one is not None
    mine = Claim(DEPLOYMENT, chain.row.claimed_by or "", chain.row.step)
    lock = Lock("web", held_by(DEPLOYMENT), chain.table.locks.get("web").fence)
    result = DeploymentResult(
        deployment_id=DEPLOYMENT, pipeline="web", status="failed", stage="wait", reason="push",
        request_id=REQUEST.request_id, started_at=chain.now, ended_at=chain.now, cause="late",
    )  # fmt: skip
    # WHEN the late one records what it saw, THEN nothing is; the other one may
    finish = chain.table.deployments.finish
    assert not finish(result, lock=lock, claim=late)
    assert chain.row.ended_at is None
    assert finish(result, lock=lock, claim=mine)
