"""Kills, interruptions and a failing world: what was done is found again, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.answers import instead
from tests.unit.build_agent.fakes import A, B, digest_of
from tests.unit.build_agent.world import (
    Killed,
    Topic,
    World,
    make_request,
)


def kill_in(world: World, place: str) -> None:
    """Kill the worker when it gets to `place`, once."""

    def kill() -> None:
        world.source.on_fetch = world.images.on_build = world.images.on_push = lambda: None
        world.services.on_step = lambda _step: None
        instead(world.topic, "publish", Topic.publish.__get__(world.topic))
        world.kill()

    def kill_at_step(step: str) -> None:
        if step == place:
            kill()

    def kill_after_publish(**message: Any) -> None:
        Topic.publish(world.topic, **message)
        kill()

    if place == "fetch":
        world.source.on_fetch = kill
    elif place == "build":
        world.images.on_build = kill
    elif place == "push":
        world.images.on_push = kill
    elif place == "record":
        instead(world.topic, "publish", lambda **_message: kill())
    elif place == "announce":
        instead(world.topic, "publish", kill_after_publish)
    else:
        world.services.on_step = kill_at_step


@pytest.mark.parametrize(
    ("place", "builds", "rollouts"),
    [
        ("fetch", 1, 1),
        ("build", 2, 1),
        ("push", 2, 1),
    ],
)
def test_after_a_kill_anywhere_the_request_ends_as_if_nothing_had_happened(
    world: World, place: str, builds: int, rollouts: int
) -> None:
    # GIVEN a worker that is killed
    request = make_request(1)
    world.send(request)
    kill_in(world, place)
    with pytest.raises(Killed):
        world.worker().step()
    assert world.outcome(request) is None
    assert len(world.table.wants.all()) == 1
    # WHEN its request comes again, to another boot
    world.redeliver(request)
    assert world.worker(boot="2027-01-15T09:00:00Z").step() == "worked"
    # THEN one deployment, one outcome, and nothing was done twice that was found done
    (row,) = world.table.deployments.newest("web", 9)
    assert (row.status, world.outcome(request)) == ("succeeded", "succeeded")
    assert len(world.images.built) == builds
    assert len(world.services.plans) == rollouts
    assert world.table.wants.all() == []
    assert [r.deployment_id for r in world.topic.results] == [row.deployment_id]


@pytest.mark.parametrize("place", ["register", "update", "wait", "record", "announce"])
def test_after_a_kill_in_the_rollout_the_follower_goes_on_and_no_host_is_asked(
    world: World, place: str
) -> None:
    # GIVEN a worker that is killed once its deployment's row owns the rollout
    request = make_request(1)
    world.send(request)
    kill_in(world, place)
    with pytest.raises(Killed):
        world.worker().step()
    # WHEN its claim has ended, and the follow message comes
    world.follow()
    world.follow(after=world.installation.limits.lock_ttl + 1)
    # THEN one outcome, told; what had been registered was not registered again
    (row,) = world.table.deployments.newest("web", 9)
    assert (row.status, world.outcome(request)) == ("succeeded", "succeeded")
    assert world.table.locks.get("web").holder == ""
    assert world.table.locks.get("web").untold is None
    assert world.services.newest == 2
    assert {r.deployment_id for r in world.topic.results} == {row.deployment_id}
    assert len(world.topic.results) == (2 if place == "announce" else 1)
    # AND whoever meets its request deletes it
    assert world.table.wants.all() == []
    world.redeliver(request)
    world.worker(boot="2027-01-15T09:00:00Z").step()
    assert world.queued()[0] == 0
    assert len(world.images.built) == 1


def test_a_kill_after_settling_only_deletes_again(world: World) -> None:
    request = make_request(1)
    world.send(request)
    worker = world.worker()
    real = world.sqs.delete_message_batch
    instead(world.sqs, "delete_message_batch", lambda **_members: world.kill())
    with pytest.raises(Killed):
        worker.step()
    instead(world.sqs, "delete_message_batch", real)
    world.follow(after=world.installation.limits.lock_ttl + 1)
    world.redeliver(request)
    world.worker(boot="2027-01-15T09:00:00Z").step()
    assert len(world.topic.results) == 1
    assert world.table.wants.all() == []


def test_after_a_kill_the_tip_of_now_is_deployed_not_the_one_of_then(world: World) -> None:
    # GIVEN a deployment of A that is killed in its push to ECR, and a push of B
    request = make_request(1)
    world.send(request)
    kill_in(world, "push")
    with pytest.raises(Killed):
        world.worker().step()
    world.source.tip = B
    # WHEN
    world.redeliver(request)
    world.worker(boot="2027-01-15T09:00:00Z").step()
    # THEN B runs, in one deployment
    (result,) = world.topic.results
    assert result.commit is not None and result.commit.id == B
    assert world.images.built == [A, B]
    assert world.services.plans[-1].images != {}


def test_a_killed_deployment_whose_push_is_superseded_ends_too(world: World) -> None:
    # GIVEN a killed deployment, and a newer push beside its request
    first, second = make_request(1), make_request(2)
    world.send(first)
    kill_in(world, "build")
    with pytest.raises(Killed):
        world.worker().step()
    world.redeliver(first)
    world.send(second)
    # WHEN
    world.worker(boot="2027-01-15T09:00:00Z").step()
    # THEN both have one outcome, told
    assert [world.outcome(r) for r in (first, second)] == ["superseded", "succeeded"]
    assert [r.status for r in world.topic.results] == ["superseded", "succeeded"]
    assert [r.status for r in world.table.deployments.newest("web", 5)] == [
        "succeeded",
        "superseded",
    ]


def test_what_ecr_holds_is_found_by_the_build_key_not_by_the_commit(world: World) -> None:
    # GIVEN an image in ECR under the commit alone, as a crash in the push leaves it
    world.images.ecr[A] = digest_of("build-" + "9" * 32)
    world.send(make_request(1))
    world.worker().step()
    assert world.images.built == [A]
