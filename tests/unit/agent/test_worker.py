"""The worker's main path and its ends, against moto's queue and table and scripted parts."""

from __future__ import annotations

from tests.unit.agent.world import A, B, World, make_request


def test_a_push_is_deployed_announced_settled(world: World) -> None:
    # GIVEN a push
    request = make_request(1, commit_id=A)
    world.send(request)
    worker = world.worker()
    # WHEN the worker does a round
    assert worker.step() == "worked"
    # THEN the service runs the image by digest, and everything that says so is there
    (plan,) = world.services.plans
    digest = next(iter(world.images.ecr.values()))
    assert plan.images == {"app": f"127.0.0.1:4566/app@{digest}"}
    assert world.outcome(request) == "succeeded"
    assert world.table.wants.all() == []
    assert world.queued() == (0, 0)
    (result,) = world.topic.results
    assert (result.status, result.commit and result.commit.id) == ("succeeded", A)
    (row,) = world.table.deployments.newest("web", 5)
    assert row.announced_at is not None
    assert set(row.stages) >= {"received", "fetch", "build", "push", "register", "update", "wait"}
    assert world.row.running_commit == world.row.handled_tip == A
    assert world.table.locks.get("web").holder == ""


def test_the_newest_of_many_pushes_is_built_once(world: World) -> None:
    # GIVEN 33 pushes, unordered
    requests = [make_request(n) for n in range(33)]
    world.send(*requests[20:], *requests[:20])
    # WHEN
    world.worker().step()
    # THEN one deployment settles them all
    (result,) = world.topic.results
    assert (result.request_id, result.settles) == (requests[-1].request_id, 33)
    assert world.images.built == [A]
    assert {world.outcome(r) for r in requests[:-1]} == {"superseded"}
    assert world.queued() == (0, 0)
    assert world.table.wants.all() == []
    _ = B
