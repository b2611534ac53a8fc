"""Interrupted: by a stop, a full disk, a lost lock, an operator who takes over."""

from __future__ import annotations

from build_agent.host.stop import Interrupted
from build_agent.image.disk import FOR_BUILD, FOR_FETCH
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from tests.unit.build_agent.fakes import B
from tests.unit.build_agent.world import World, make_request


# --- interrupted
def test_sigterm_in_a_build_gives_everything_back_at_once(world: World) -> None:
    requests = [make_request(1), make_request(2, pipeline="api")]
    worker = world.worker()

    def stop() -> None:
        worker.request_stop("SIGTERM")
        raise Interrupted("SIGTERM")

    world.images.on_build = stop
    world.send(*requests)
    worker.step()
    assert world.queued() == (2, 0)
    assert world.table.locks.get("web").holder == ""
    assert [world.table.requests.attempts(r.request_id).count for r in requests] == [0, 0]
    assert world.topic.results == []


def test_a_stop_that_came_first_starts_nothing(world: World) -> None:
    worker = world.worker()
    worker.step()
    world.send(make_request(1))
    worker.request_stop("SIGTERM")
    worker.step()
    assert world.source.fetched == []
    assert world.queued() == (1, 0)


def test_a_step_that_found_no_room_is_not_to_blame(world: World) -> None:
    # GIVEN a step that fails with an exit code of its own, as the disk has become full
    request = make_request(1)
    world.send(request)

    def fill() -> None:
        world.disk.free = 0
        raise DeploymentFailed("Dockerfile step 3/3 failed with exit code 1", stage="build")

    world.images.on_build = fill
    world.worker().step()
    # THEN it is tried again, AND it is the commit's where there is room
    assert world.table.requests.attempts(request.request_id).count == 1
    world.disk.free = FOR_BUILD
    world.images.on_build = failing_build
    world.redeliver(request)
    world.worker().step()
    assert world.outcome(request) == "failed"


def failing_build() -> None:
    raise DeploymentFailed("Dockerfile step 3/3 failed with exit code 1", stage="build")


def test_room_is_made_before_the_fetch_and_before_the_build(world: World) -> None:
    request = make_request(1)
    world.send(request)
    # WHEN the disk is full, THEN nothing is fetched, and it is tried again
    world.disk.free = 0
    world.worker().step()
    assert world.source.fetched == []
    assert world.table.requests.attempts(request.request_id).count == 1
    # WHEN there is room for a fetch only, THEN nothing is built
    world.disk.free = FOR_FETCH
    world.redeliver(request)
    world.worker().step()
    assert (world.source.fetched, world.images.built) == ([None], [])
    # WHEN there is room, THEN it is deployed; an image that is in ECR needs room for a fetch only
    world.disk.free = FOR_BUILD
    world.redeliver(request)
    world.worker().step()
    assert world.outcome(request) == "succeeded"
    world.disk.free = FOR_FETCH
    again = make_request(2, pushed_at=world.clock.now() + 1)
    world.send(again)
    world.worker().step()
    assert world.outcome(again) == "unchanged"


def test_a_worker_that_lost_its_lock_changes_nothing_in_ecs(world: World) -> None:
    # GIVEN a worker whose lock expired during its build, and another that took it
    request = make_request(1)
    world.send(request)

    def lose() -> None:
        ttl = world.installation.limits.lock_ttl
        world.clock.pass_by(ttl + 1)
        assert world.table.locks.take("web", "i-2/boot", world.clock.now(), ttl=ttl)

    world.images.on_build = lose
    world.worker().step()
    # THEN nothing is registered, recorded or settled, and the other's lock stands
    assert world.services.newest == 1
    assert world.topic.results == []
    assert world.table.locks.get("web").holder == "i-2/boot"
    assert world.queued() == (0, 1)


def test_a_worker_that_lost_its_lock_records_nothing(world: World) -> None:
    # GIVEN a lock that is lost after the build has failed, unseen by the keeper
    request = make_request(1)
    world.send(request)
    worker = world.worker()
    worker._keeper.check = lambda work: None  # type: ignore[method-assign]

    def lose() -> None:
        world.clock.pass_by(1000)
        world.table.locks.take("web", "i-2/boot", world.clock.now(), ttl=60)
        raise DeploymentFailed("no")

    world.images.on_build = lose
    worker.step()
    # THEN the recording itself refuses (fencing)
    (row,) = world.table.deployments.newest("web", 5)
    assert (row.status, world.row.failures, world.outcome(request)) == (None, 0, None)
    assert world.table.requests.attempts(request.request_id).count == 0


def test_an_operator_may_take_over(world: World) -> None:
    request = make_request(1)
    world.send(request)

    def ask() -> None:
        world.table.locks.ask_takeover(make_request(2, reason="rollback"), world.clock.now())
        world.keeper.beat()

    world.images.on_build = ask
    world.worker().step()
    assert world.services.newest == 1
    assert world.outcome(request) is None
    assert world.table.locks.get("web").holder == ""


def test_a_commit_that_git_refuses_is_the_one_that_is_told_and_dealt_with(world: World) -> None:
    # GIVEN a first attempt that fetched A and met a failing world, before B was pushed
    request = make_request(1)
    world.send(request)

    def fail() -> None:
        raise WorldFailed("docker: no answer")

    world.images.on_build = fail
    worker = world.worker()
    worker.step()

    def refuse() -> None:
        raise DeploymentFailed("git refuses an object", stage="fetch", commit_id=B)

    # WHEN the second is refused B
    world.source.on_fetch = refuse
    world.redeliver(request)
    worker.step()
    # THEN B is what failed, for the notice, the table and the drift check
    (row,) = world.table.deployments.newest("web", 5)
    assert row.commit and row.commit.id == B
    assert [(r.status, r.commit and r.commit.id) for r in world.topic.results] == [("failed", B)]
    assert world.row.handled_tip == B
