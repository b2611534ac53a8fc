"""`watch`: what it follows, what it says while nothing has begun, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.contracts.messages import BuildRequest
from tests.unit.slipway.cli.aws.agents import published
from tests.unit.slipway.cli.rollouts import Followed
from tests.unit.slipway.cli.world import NOW, World, result_of

SAID = {
    "succeeded": "shop: commit 00000000 is live\n",
    "unchanged": "shop: commit 00000000 changes nothing, its image runs already\n",
    "failed": "shop: commit 00000000 failed in the build\n",
    "rolled_back": "shop: commit 00000000 failed in the rollout and was rolled back\n",
    "gave_up": "shop: commit 00000000 was given up on, its request is a dead letter now\n",
    "superseded": "shop: commit 00000000 was superseded by another deployment\n",
}
"""The line that says how it ended, by outcome."""


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


def test_watch_says_who_follows_a_rollout_and_when_the_next_look_is(world: World) -> None:
    # GIVEN a rollout that an awake host follows for five seconds more, and then the follower
    rollout = Followed(world, claimed=5)
    for _ in range(8):
        world.clock.then(lambda: None)
    world.clock.then(lambda: rollout.end("succeeded"))
    # WHEN
    result = world.run("watch", "shop")
    # THEN each is said once, though the time of the next look passes
    assert result.exit_code == 0, result.output
    said = [line.strip() for line in result.output.splitlines() if "followed by" in line]
    assert said == [
        "wait, followed by host i-1, next look in 12 s",
        "wait, followed by the follower, next look in 7.0 s",
    ]


def test_watch_under_json_has_who_follows_and_the_next_look(world: World) -> None:
    rollout = Followed(world)
    world.clock.then(lambda: rollout.end("succeeded"))

    lines = [json.loads(line) for line in world.run("watch", "shop", "--json").output.splitlines()]

    assert (lines[0]["stage"], lines[0]["followed_by"]) == ("wait", "the follower")
    assert lines[0]["next_look"] == NOW + 12


@pytest.mark.parametrize("status", ["cancelled", "succeeded"])
def test_who_asked_for_what_was_handed_over_follows_it_to_its_end(
    world: World, status: str
) -> None:
    # GIVEN a redeploy whose request is settled as handed over, and ends later
    followed: list[Followed] = []

    def hand_over() -> None:
        (request,) = published(world)
        followed.append(Followed(world, request_id=request.request_id, reason="redeploy"))

    world.clock.then(hand_over)
    world.clock.then(lambda: None)
    world.clock.then(lambda: followed[0].end(status))
    # WHEN
    result = world.run("redeploy", "shop")
    # THEN
    assert result.exit_code == (0 if status == "succeeded" else 1), result.output
    assert "handed" not in result.output
    assert world.clock.waits == 3


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


@pytest.mark.parametrize(
    ("new_push", "says"),
    [
        ("wait", "waiting for the end of the rollout under way ({rollout})"),
        ("takeOver", "waiting for a host to take it"),
    ],
)
def test_a_push_that_waits_for_the_rollout_under_way_says_so(
    world: World, new_push: str, says: str
) -> None:
    # GIVEN a followed rollout, and a request behind it
    rollout = Followed(world)
    pipelines = [
        replace(p, rollout=replace(p.rollout, new_push=new_push))  # type: ignore[arg-type]
        for p in world.installation.pipelines
    ]
    settings = replace(world.installation, pipelines=tuple(pipelines))
    world.path.write_text(settings.to_json(), encoding="utf-8")
    # WHEN it has not begun
    result = world.run("redeploy", "shop", "--timeout", "3")
    # THEN no host is said to be waited for, unless one is woken
    assert f"shop: {says.format(rollout=rollout.deployment_id)}\n" in result.output


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
