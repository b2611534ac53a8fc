"""`watch`, `redeploy` and `rollback`: what they ask for, what they follow, how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.requests import Settled
from tests.unit.slipway.cli.world import NOW, World, commit_of, result_of


def published(world: World) -> list[BuildRequest]:
    """The requests in the build queue."""
    answer = world.client("sqs").receive_message(
        QueueUrl=world.queues["slipway-build"], MaxNumberOfMessages=10
    )
    return [BuildRequest.from_json(m["Body"]) for m in answer.get("Messages", [])]


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


SAID = {
    "succeeded": "shop: commit 00000000 is live\n",
    "unchanged": "shop: commit 00000000 changes nothing, its image runs already\n",
    "failed": "shop: commit 00000000 failed in the build\n",
    "rolled_back": "shop: commit 00000000 failed in the rollout and was rolled back\n",
    "gave_up": "shop: commit 00000000 was given up on, its request is a dead letter now\n",
    "superseded": "shop: commit 00000000 was superseded by another deployment\n",
}
"""The line that says how it ended, by outcome."""


def running_two_versions(world: World) -> tuple[str, str]:
    """`shop` ran version 1, and runs version 2."""
    first, second = world.deployed("shop", 1), world.deployed("shop", 2)
    world.runs("shop", second)
    return first, second


# --- watch


@pytest.mark.parametrize(
    ("status", "code"),
    [("succeeded", 0), ("unchanged", 0), ("failed", 1), ("rolled_back", 1), ("superseded", 1)],
)
def test_watch_ends_with_the_deployment_and_its_code(world: World, status: str, code: int) -> None:
    # GIVEN a deployment under way that ends at the third look
    row = world.begin("shop", 1, started_at=NOW - 10)
    world.clock.then(lambda: None)
    world.clock.then(lambda: world.end(row, status, at=world.clock.now()) and None)

    # WHEN it is watched
    result = world.run("watch", "shop")

    # THEN
    assert result.exit_code == code, result.output
    assert SAID[status] in result.output


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("rolled_back", 1)])
def test_watch_of_the_rest_of_a_burst_ends_as_the_deployment_of_its_tip(
    world: World, status: str, code: int
) -> None:
    # GIVEN a deployment under way that turns out to be of a push that was told of
    told_by = world.deployed("shop", 1, status)
    row = world.begin("shop", 2, started_at=NOW - 10)
    result = replace(result_of(row, "superseded", NOW), told_by=told_by)
    world.clock.then(lambda: world.table.deployments.finish(result) and None)
    # WHEN it is watched
    watched = world.run("watch", "shop")
    # THEN it ends as the deployment that told of the push
    assert watched.exit_code == code, watched.output
    assert SAID[status] in watched.output
    assert "superseded" not in watched.output


def test_watch_waits_for_the_next_deployment_not_for_one_that_is_over(world: World) -> None:
    # GIVEN a deployment that failed yesterday, and one that begins while we watch
    world.deployed("shop", 1, "failed")
    world.clock.then(lambda: world.begin("shop", 2, started_at=world.clock.now()) and None)
    world.clock.then(
        lambda: (
            world.end(
                world.table.deployments.newest("shop", 1)[0], "succeeded", at=world.clock.now()
            )
            and None
        )
    )

    # WHEN, THEN
    result = world.run("watch", "shop")
    assert result.exit_code == 0, result.output
    assert "waiting for the next push" in result.output


Arrange = Callable[[World], None]


def wanted(world: World) -> None:
    request = BuildRequest(
        request_id="a" * 32, pipeline="shop", pushed_by="ada", pushed_at=NOW, reason="push"
    )
    world.table.wants.note(request, NOW)


def paused(world: World) -> None:
    wanted(world)
    world.table.pipelines.change("shop", paused=True, paused_by="grace")


def held(world: World) -> None:
    wanted(world)
    world.table.hosts.hold("i-1", "arn:aws:iam::222222222222:user/grace")


def held_awake(world: World) -> None:
    wanted(world)
    world.table.hosts.arrive("i-1", "boot", NOW - 5)
    world.table.hosts.hold("i-1", "grace")


def deployed_by_hand(world: World) -> None:
    wanted(world)
    world.table.locks.take("shop", "cli:ada@laptop:7", NOW, ttl=600)


@pytest.mark.parametrize(
    ("arrange", "says"),
    [
        (lambda world: None, "nothing is asked for: waiting for the next push"),
        (wanted, "waiting for a host to take it"),
        (paused, "paused by grace, until `slipway resume shop`"),
        (held, "waiting for a host, but held by grace: `slipway release` lets it be started"),
        (held_awake, "waiting for a host to take it"),
        (deployed_by_hand, "waiting for the end of what cli:ada@laptop:7 does"),
    ],
    ids=["nothing", "wanted", "paused", "held", "held awake", "deployed by hand"],
)
def test_watch_says_why_nothing_has_begun(world: World, arrange: Arrange, says: str) -> None:
    # GIVEN
    arrange(world)
    # WHEN nothing begins
    lines = world.run("watch", "shop", "--timeout", "20").output.splitlines()
    # THEN it is said why, once
    assert [line for line in lines if line.startswith("shop: ")][:1] == [f"shop: {says}"]
    events = world.run("watch", "shop", "--timeout", "20", "--json").stdout.splitlines()
    assert json.loads(events[0]) == {"pipeline": "shop", "waiting": True, "why": says}


def test_watch_says_anew_what_it_waits_for_when_that_changes(world: World) -> None:
    # GIVEN a watcher before anything was pushed, and then a push
    for _ in range(3):
        world.clock.then(lambda: None)
    world.clock.then(lambda: wanted(world))
    # WHEN, THEN
    output = world.run("watch", "shop", "--timeout", "20").output
    assert output.index("waiting for the next push") < output.index("waiting for a host to take it")


def test_watch_under_json_prints_a_line_for_each_stage_and_the_result_last(world: World) -> None:
    row = world.begin("shop", 1, started_at=NOW - 10)
    enter = world.table.deployments.enter_stage
    world.clock.then(lambda: enter(row.deployment_id, "build", world.clock.now()) and None)
    world.clock.then(lambda: world.end(row, "succeeded", at=world.clock.now()) and None)

    lines = [json.loads(line) for line in world.run("watch", "shop", "--json").output.splitlines()]

    assert [line.get("stage") for line in lines[:-1]] == ["received", "build"]
    assert lines[-1]["result"]["status"] == "succeeded"


def test_watch_without_a_name_takes_the_pipeline_that_is_being_deployed(world: World) -> None:
    # GIVEN two pipelines, `api` under way
    row = world.begin("api", 1, started_at=NOW - 10)
    world.table.locks.take("api", "i-1/boot", NOW - 10, ttl=600)
    world.clock.then(lambda: world.end(row, "succeeded", at=world.clock.now()) and None)

    # WHEN, THEN
    assert world.run("watch").exit_code == 0
    # AND with none under way it asks for a name
    world.table.locks.abandon(world.table.locks.take("api", "i-1/boot", NOW, ttl=1))  # type: ignore[arg-type]
    nameless = world.run("watch")
    assert nameless.exit_code == 2
    assert "name a pipeline, none is being deployed: shop, api" in nameless.output


def test_watch_gives_up_after_its_timeout_as_the_worlds_failure(world: World) -> None:
    world.begin("shop", 1, started_at=NOW - 10)

    result = world.run("watch", "shop", "--timeout", "30")

    assert result.exit_code == 3
    assert "not over after 30 s" in result.output


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
