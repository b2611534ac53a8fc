"""`redeploy` and `rollback`: what they ask for, what they refuse, how they end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.contracts.messages import FollowMessage
from slipway.contracts.table.requests import Settled
from tests.unit.slipway.cli.aws.agents import Agent, published, running_two_versions
from tests.unit.slipway.cli.rollouts import Followed, calls
from tests.unit.slipway.cli.world import NOW, World, commit_of


# --- redeploy
def test_redeploy_asks_for_the_tip_and_ends_with_the_deployment(world: World) -> None:
    # GIVEN an agent that makes it run
    agent = Agent(world)

    # WHEN
    result = world.run("redeploy", "shop")

    # THEN the request is for the tip, by the caller, and the exit code is the outcome's
    assert result.exit_code == 0, result.output
    assert agent.request is not None
    assert agent.request.is_tip
    assert (agent.request.reason, agent.request.force_rebuild) == ("redeploy", False)
    assert agent.request.pushed_by


def test_redeploy_of_a_commit_that_fails_exits_with_1(world: World) -> None:
    agent = Agent(world, "failed")

    result = world.run("redeploy", "shop", "--commit", commit_of(3).id, "--rebuild")

    assert result.exit_code == 1
    assert agent.request is not None
    assert agent.request.target.commit_id == commit_of(3).id
    assert agent.request.force_rebuild


def test_asking_twice_is_two_requests(world: World) -> None:
    for _ in range(2):
        assert world.run("redeploy", "shop", "--no-wait").exit_code == 0

    assert len({request.request_id for request in published(world)}) == 2


def test_a_redeploy_settled_into_another_run_follows_that_run(world: World) -> None:
    # GIVEN a host that is deploying already: it settles the request into its next run
    def join() -> None:
        (request,) = published(world)
        settled = Settled(
            request_id=request.request_id,
            outcome="joined",
            pipeline="shop",
            settled_at=world.clock.now(),
        )
        world.table.requests.settle([settled], kept=86400)

    def next_run() -> None:
        row = world.begin("shop", 9, started_at=world.clock.now() + 1)
        world.end(row, "succeeded", at=world.clock.now() + 2)

    world.clock.then(join)
    world.clock.then(next_run)

    # WHEN, THEN
    result = world.run("redeploy", "shop")
    assert result.exit_code == 0, result.output
    assert "app:9 (" in result.output


def test_a_request_that_ends_without_a_deployment_ends_the_wait(world: World) -> None:
    # GIVEN a newer push that supersedes the redeploy before it becomes a deployment
    def supersede() -> None:
        (request,) = published(world)
        settled = Settled(
            request_id=request.request_id,
            outcome="superseded",
            pipeline="shop",
            settled_at=world.clock.now(),
        )
        world.table.requests.settle([settled], kept=86400)

    world.clock.then(supersede)

    # WHEN, THEN
    result = world.run("redeploy", "shop")
    assert result.exit_code == 1
    assert "superseded" in result.output


def test_a_paused_pipeline_is_refused_unless_nobody_waits(world: World) -> None:
    world.table.pipelines.change("shop", paused=True, paused_by="grace")

    refused = world.run("redeploy", "shop")
    assert refused.exit_code == 2
    assert "is paused by grace" in refused.output
    assert published(world) == []
    assert world.run("redeploy", "shop", "--no-wait").exit_code == 0


@pytest.mark.parametrize("commit", ["HEAD", "abc", "--", "G" * 40])
def test_a_commit_that_is_none_is_wrong_use(world: World, commit: str) -> None:
    result = world.run("redeploy", "shop", f"--commit={commit}")

    assert result.exit_code == 2
    assert "is no commit id or the beginning of one" in result.output


# --- rollback
def test_rollback_goes_back_to_what_ran_before(world: World) -> None:
    # GIVEN version 2 running after version 1
    first, _ = running_two_versions(world)
    agent = Agent(world)

    # WHEN
    result = world.run("rollback", "shop")

    # THEN it is asked for by deployment, and waited for
    assert result.exit_code == 0, result.output
    assert agent.request is not None
    assert agent.request.target.deployment_id == first
    assert agent.request.reason == "rollback"


def test_a_second_rollback_goes_further_back(world: World) -> None:
    # GIVEN versions 0, 1, 2 and a rollback from 2 to 1
    oldest = world.deployed("shop", 10)
    world.deployed("shop", 11)
    world.deployed("shop", 12)
    back = world.deployed("shop", 13, reason="rollback", commit=commit_of(11))
    world.runs("shop", back)

    # WHEN, THEN the next one goes to 0, not to the 2 that was left
    assert dry_run(world)["to"] == oldest


def test_where_it_is_not_known_what_runs_rollback_goes_to_the_last_that_ran(world: World) -> None:
    # GIVEN version 1, and a failure that left what no deployment is recorded to have run
    last = world.deployed("shop", 10)
    world.deployed("shop", 11, "rolled_back")
    world.runs("shop", last)
    world.table.pipelines.change("shop", running_digest=None, running_commit=None)

    # WHEN, THEN
    assert dry_run(world)["to"] == last


def test_failures_and_repeats_between_are_no_version_to_go_back_to(world: World) -> None:
    # GIVEN version 1, a failure, version 2 twice
    first = world.deployed("shop", 10)
    world.deployed("shop", 11, "failed")
    world.deployed("shop", 12)
    again = world.deployed("shop", 13, reason="redeploy", commit=commit_of(12))
    world.runs("shop", again)

    # WHEN, THEN
    assert dry_run(world)["to"] == first


def test_a_rollout_under_way_is_asked_to_give_way_to_what_runs(world: World) -> None:
    # GIVEN version 2 running and version 3 being rolled out
    _, second = running_two_versions(world)
    world.begin("shop", 3, started_at=NOW - 60)
    world.table.locks.take("shop", "i-1/boot", NOW - 60, ttl=600)

    # WHEN
    result = world.run("rollback", "shop", "--no-wait")

    # THEN the target is what runs, and the lock's holder is told whose request takes over
    assert result.exit_code == 0, result.output
    (request,) = published(world)
    assert request.target.deployment_id == second
    assert world.table.locks.get("shop").takeover == request.request_id


def test_a_followed_rollout_is_looked_at_at_once_for_a_rollback(world: World) -> None:
    # GIVEN version 2 running, and version 3's rollout followed between two looks
    _, second = running_two_versions(world)
    rollout = Followed(world, number=3)
    # WHEN
    result = world.run("rollback", "shop", "--no-wait")
    # THEN its lock bears the rollback's request, and the follower is called
    assert result.exit_code == 0, result.output
    assert calls(world) == [FollowMessage(deployment_id=rollout.deployment_id)]
    (request,) = published(world)
    assert request.target.deployment_id == second
    assert world.table.locks.get("shop").takeover == request.request_id


def test_a_lock_that_outlives_its_deployment_by_a_moment_is_no_deployment(world: World) -> None:
    # GIVEN version 2, recorded but its lock not given back yet
    first, second = running_two_versions(world)
    row = world.table.deployments.get(second)
    assert row is not None
    world.table.locks.take("shop", "i-1/boot", row.started_at, ttl=10 * 86400)

    # WHEN, THEN what ran before it is meant, not what it deployed
    assert dry_run(world)["to"] == first


def test_nobody_is_asked_to_give_way_where_nothing_is_under_way(world: World) -> None:
    running_two_versions(world)

    result = world.run("rollback", "shop", "--no-wait")

    assert "give way" not in result.output
    assert world.table.locks.get("shop").takeover is None


def test_to_names_the_pipeline_as_well(world: World) -> None:
    first, _ = running_two_versions(world)

    assert world.run("rollback", "--to", first, "--no-wait").exit_code == 0
    assert published(world)[0].pipeline == "shop"


def test_what_never_ran_or_is_not_ours_is_no_target(world: World) -> None:
    failed = world.deployed("shop", 1, "failed")
    cases = {
        failed: "never ran",
        "shop-20261118000000-ffffff": "no such deployment",
        "shpo-20261118000000-ffffff": "'shpo' is not configured",
    }
    for deployment, problem in cases.items():
        result = world.run("rollback", "--to", deployment)
        assert result.exit_code == 2
        assert problem in result.output
    assert published(world) == []


def test_without_an_earlier_version_rollback_says_so(world: World) -> None:
    world.runs("shop", world.deployed("shop", 1))

    result = world.run("rollback", "shop")

    assert result.exit_code == 2
    assert "has no earlier version" in result.output


def dry_run(world: World) -> Any:
    result = world.run("rollback", "shop", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    assert published(world) == []
    return json.loads(result.stdout)
