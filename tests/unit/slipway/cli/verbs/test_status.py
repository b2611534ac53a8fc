"""What `slipway status` says of pipelines, queue, hosts and tips."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.messages import BuildRequest, request_id_of
from slipway.contracts.table.hosts import HostRun
from tests.unit.slipway.cli.rollouts import Followed
from tests.unit.slipway.cli.world import NOW, World, commit_of


def status(world: World, *arguments: str) -> Any:
    result = world.run("status", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_new_installation_runs_nothing_and_waits_for_nothing(world: World) -> None:
    # GIVEN an installation that never deployed
    # WHEN its status is asked for
    answer = status(world)

    # THEN both pipelines are there, and nothing is said to run
    assert [p["pipeline"] for p in answer["pipelines"]] == ["shop", "api"]
    assert all("running" not in p and "under_way" not in p for p in answer["pipelines"])
    assert answer["queue"] == {"waiting": 0, "held": 0, "dead_letters": 0}


def test_what_runs_is_told_with_commit_subject_since_and_by_whom(world: World) -> None:
    # GIVEN a pipeline whose last deployment succeeded
    deployment = world.deployed("shop", 7)
    world.runs("shop", deployment)

    # WHEN its status is asked for, for programs and for people
    running = status(world, "shop")["pipelines"][0]["running"]
    text = world.run("status", "shop").output

    # THEN both say it
    assert running["commit"] == commit_of(7).id
    assert running["subject"] == "Change 7"
    assert running["by"] == "arn:aws:iam::111111111111:user/ada"
    assert "00000000 Change 7" in text
    assert "ada" in text


def test_a_deployment_under_way_shows_stage_elapsed_and_the_usual_time(world: World) -> None:
    # GIVEN three past deployments of 101 s each and one in its build for 20 s
    for number in (1, 2, 3):
        world.deployed("shop", number)
    row = world.begin("shop", 4, started_at=NOW - 30)
    world.table.deployments.enter_stage(row.deployment_id, "fetch", NOW - 29)
    world.table.deployments.enter_stage(row.deployment_id, "build", NOW - 20)
    world.table.locks.take("shop", "i-1/boot", NOW - 30, ttl=600)

    # WHEN the status is asked for
    work = status(world)["pipelines"][0]["under_way"]

    # THEN stage and elapsed are the row's, the usual time is the median, and 40 + 30 s are left
    assert (work["stage"], work["deployment"]) == ("build", row.deployment_id)
    assert (work["elapsed"], work["usual"], work["remaining"]) == (30, 101, 70)


def test_a_lock_that_has_expired_is_no_deployment_under_way(world: World) -> None:
    # GIVEN a deployment whose host died: its row is open, its lock has expired
    world.begin("shop", 4, started_at=NOW - 3000)
    world.table.locks.take("shop", "i-1/boot", NOW - 3000, ttl=600)

    # WHEN, THEN nothing is under way
    assert "under_way" not in status(world)["pipelines"][0]


def test_waiting_requests_pauses_and_failures_are_told(world: World) -> None:
    # GIVEN a paused pipeline with a request that waits and two failures in a row
    request = BuildRequest(
        request_id="a" * 32, pipeline="api", pushed_by="ada", pushed_at=NOW, reason="push"
    )
    world.table.wants.note(request, NOW)
    world.table.pipelines.change("api", paused=True, paused_by="grace", failures=2)

    # WHEN the status is asked for
    api = status(world, "api")["pipelines"][0]
    text = world.run("status", "api").output

    # THEN it says so
    assert (api["waiting"], api["paused_by"], api["failures"]) == (1, "grace", 2)
    assert "paused by grace, 1 waiting" in text
    assert "failed 2 times in a row" in text


def test_services_that_were_left_apart_are_told(world: World) -> None:
    world.table.pipelines.change("api", mixed="web web:6, worker worker:5")
    api = status(world, "api")["pipelines"][0]
    assert api["mixed"] == "web web:6, worker worker:5"
    text = world.run("status", "api").output
    assert "versions of different deployments: web web:6, worker worker:5" in text


def test_dead_letters_and_the_queue_are_counted(world: World) -> None:
    # GIVEN two requests in the queue and one dead letter
    sqs = world.client("sqs")
    for _ in range(2):
        sqs.send_message(QueueUrl=world.queues["slipway-build"], MessageBody="{}")
    sqs.send_message(QueueUrl=world.queues["slipway-build-dead-letters"], MessageBody="{}")

    # WHEN, THEN
    assert status(world)["queue"] == {"waiting": 2, "held": 0, "dead_letters": 1}


def test_hosts_are_found_by_name_with_their_state_and_why(world: World) -> None:
    # GIVEN one running host that has two runs, and somebody else's instance
    host = world.add_host()
    world.client("ec2").run_instances(ImageId="ami-760aaa0f", MinCount=1, MaxCount=1)
    launched = world.client("ec2").describe_instances(InstanceIds=[host])
    launched_at = launched["Reservations"][0]["Instances"][0]["LaunchTime"].timestamp()
    world.clock.at = launched_at + 60
    world.table.hosts.arrive(host, "boot", launched_at + 30, slots=3)
    world.table.hosts.begin_work(host, "boot", launched_at + 40)
    world.table.locks.take("shop", f"{host}/boot/a.1", launched_at + 40, ttl=600)
    runs = [run("shop", "build", launched_at + 50), run("api", "fetch", launched_at + 45)]
    world.table.hosts.heartbeat(host, "boot", launched_at + 50, runs=runs)

    # WHEN the status is asked for
    (told,) = status(world)["hosts"]

    # THEN it is the one host, and why it is awake
    assert (told["host_id"], told["name"], told["state"]) == (host, "slipway-host-1", "running")
    assert told["why"] == "builds shop (build, 20 s) and api (fetch); 1 slot free"

    # AND what it is at, one by one
    assert told["slots"] == 3
    assert told["runs"] == [
        {
            "pipeline": "shop",
            "stage": "build",
            "builds": True,
            "since": launched_at + 40,
            "progress_at": launched_at + 50,
        },
        {"pipeline": "api", "stage": "fetch", "builds": True, "progress_at": launched_at + 45},
    ]


def test_a_request_behind_full_slots_says_which_they_are(world: World) -> None:
    # GIVEN the only host, with a slot that shop has, and a request for api
    world.table.hosts.arrive("i-1", "boot", NOW - 60)
    world.table.hosts.begin_work("i-1", "boot", NOW - 50)
    world.table.hosts.heartbeat("i-1", "boot", NOW - 5, runs=[run("shop", "build", NOW - 5)])
    note(world, "api")
    # WHEN, THEN
    api = status(world, "api")["pipelines"][0]
    assert api["waits_for"] == "a free build slot (1 of 1 taken: shop)"
    assert "waits for a free build slot (1 of 1 taken: shop)" in world.run("status", "api").output


def test_an_unreadable_tip_is_skipped_with_its_reason(world: World) -> None:
    # GIVEN a branch that CodeCommit does not have
    # WHEN the status is asked for
    shop = status(world)["pipelines"][0]

    # THEN the tip is unknown, says why, and the command does not fail
    assert shop["tip_verdict"] == "unknown"
    assert shop["tip_note"]


def test_where_the_branch_may_not_be_looked_at_the_reconcilers_last_look_is_told(
    world: World,
) -> None:
    # GIVEN a tip that the reconciler saw ahead two minutes ago, and no access of our own
    world.runs("shop", world.deployed("shop", 7))
    world.table.pipelines.change("shop", ahead_tip=commit_of(9).id, checked_at=NOW - 120)

    # WHEN
    shop = status(world)["pipelines"][0]
    text = world.run("status", "shop").output

    # THEN
    assert (shop["tip"], shop["tip_verdict"]) == (commit_of(9).id, "ahead")
    assert "is ahead (seen 2 min ago)" in text


@pytest.mark.parametrize(
    ("looked", "handled", "says"),
    [(51, 20, "up to date (seen 20 s ago)"), (20, 51, "up to date (seen 20 s ago)")],
    ids=["deployed since the look", "looked at since the deployment"],
)
def test_a_tip_was_seen_when_the_last_of_reconciler_and_deployments_saw_it(
    world: World, looked: int, handled: int, says: str
) -> None:
    # GIVEN a tip that was deployed, a look of the reconciler, and no access of our own
    world.runs("shop", world.deployed("shop", 7))
    seen = {"checked_at": NOW - looked, "handled_at": NOW - handled}
    world.table.pipelines.change("shop", **seen)
    # WHEN, THEN
    assert says in world.run("status", "shop").output


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_no_host_is_said_to_be_started_for_what_is_paused(world: World, state: str) -> None:
    # GIVEN a host, asleep, and work for a paused pipeline alone
    host = world.add_host()
    if state == "stopped":
        world.client("ec2").stop_instances(InstanceIds=[host])
    note(world, "api")
    world.table.pipelines.change("api", paused=True, paused_by="grace")
    # WHEN, THEN nothing is said to wait for that host
    (told,) = status(world)["hosts"]
    assert "work waits" not in told["why"]
    if state == "stopped":
        assert told["why"] == "what waits is paused (api)"
    # AND with another pipeline's work it is said again
    note(world, "shop")
    assert "work waits for shop" in status(world)["hosts"][0]["why"]


def test_a_followed_rollout_is_rolling_out_without_a_host(world: World) -> None:
    # GIVEN a rollout that was handed over, a push behind it, and a host that sleeps
    host = world.add_host()
    world.client("ec2").stop_instances(InstanceIds=[host])
    rollout = Followed(world)
    note(world, "shop")
    # WHEN
    told = status(world)
    text = world.run("status").output
    # THEN who follows and the next look are said, also to programs
    work = told["pipelines"][0]["under_way"]
    assert (work["deployment"], work["followed_by"]) == (rollout.deployment_id, "the follower")
    assert (work["stage"], work["next_look"]) == ("wait", NOW + 12)
    assert "rolling out, 1 min" in text
    assert "shop: followed by the follower, next look in 12 s; 1 request behind it" in text
    # AND no host is said to be started for what waits
    assert told["hosts"][0]["why"] == "what waits is for the end of a rollout (shop)"


def test_a_host_that_follows_is_named(world: World) -> None:
    Followed(world, claimed=100)

    assert status(world)["pipelines"][0]["under_way"]["followed_by"] == "host i-1"


def test_what_an_agent_builds_is_followed_by_nobody(world: World) -> None:
    world.begin("shop", 4, started_at=NOW - 30)
    world.table.locks.take("shop", "i-1/boot", NOW - 30, ttl=600)

    assert "followed_by" not in status(world)["pipelines"][0]["under_way"]


def run(pipeline: str, stage: str, progress_at: float) -> HostRun:
    return HostRun(run=1, pipeline=pipeline, stage=stage, progress_at=progress_at)


def note(world: World, pipeline: str) -> None:
    request = BuildRequest(
        request_id=request_id_of("1", pipeline, ""), pipeline=pipeline, pushed_by="ada",
        pushed_at=NOW, reason="push",
    )  # fmt: skip
    world.table.wants.note(request, NOW)


@pytest.mark.parametrize(
    ("running", "handled", "verdict"),
    [(9, 9, "up to date"), (7, 7, "ahead"), (7, 9, "not run")],
)
def test_the_tip_is_told_apart_from_what_runs(
    world: World, running: int, handled: int, verdict: str
) -> None:
    # GIVEN a branch whose tip is commit 9
    world.tips["shop-repository"] = commit_of(9).id
    world.runs("shop", world.deployed("shop", running))
    world.table.pipelines.change("shop", handled_tip=commit_of(handled).id)

    # WHEN, THEN it is up to date, ahead, or dealt with and not run
    assert status(world)["pipelines"][0]["tip_verdict"] == verdict


def test_an_unknown_pipeline_is_wrong_use_and_names_those_there_are(world: World) -> None:
    result = world.run("status", "shpo")

    assert result.exit_code == 2
    assert "'shpo' is not configured; configured: shop, api" in result.output


@pytest.mark.parametrize("hostile", ["\x1b[31mred\x1b[0m", "\u202eright to left", "a\nb\x00c"])
def test_a_hostile_subject_cannot_change_the_terminal(world: World, hostile: str) -> None:
    # GIVEN a commit whose subject holds control characters
    row = world.begin("shop", 7, commit=replace(commit_of(7), subject=hostile))
    world.end(row, "succeeded", at=row.started_at + 100)
    world.runs("shop", row.deployment_id)

    # WHEN its status is printed
    text = world.run("status", "shop").output

    # THEN none of them arrive
    assert not {"\x1b", "\u202e", "\x00"} & set(text)


def test_a_tip_that_concerns_others_is_up_to_date(world: World) -> None:
    # GIVEN commit 7 runs, and the branch is at 8, which touches none of the pipeline's paths
    world.runs("shop", world.deployed("shop", 7))
    tip = commit_of(8).id
    world.table.pipelines.change("shop", handled_tip=tip, untouched_tip=tip)

    # WHEN
    (shop,) = status(world, "shop")["pipelines"]
    text = world.run("status", "shop").output

    # THEN what runs is 7, and that is right
    assert shop["running"]["commit"] == commit_of(7).id
    assert (shop["tip"], shop["tip_verdict"]) == (tip, "untouched")
    assert f"up to date ({tip[:8]} is of other paths)" in text
