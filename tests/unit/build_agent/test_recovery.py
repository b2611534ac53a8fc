"""Kills, interruptions and a failing world: what was done is found again, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from build_agent.host.stop import Interrupted
from build_agent.image.disk import FOR_BUILD, FOR_FETCH
from build_agent.queue.backoff import LOCKED_DELAY
from build_agent.queue.inbox import Delivery
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.messages import Target
from slipway.contracts.sentences import runs_now
from slipway.contracts.table.requests import Settled
from tests.aws.answers import instead
from tests.unit.build_agent.world import A, B, Killed, Topic, World, digest_of, make_request

THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "Publish")


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
        ("register", 1, 2),
        ("update", 1, 2),
        ("wait", 1, 2),
        ("record", 1, 1),
        ("announce", 1, 1),
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
    assert {r.deployment_id for r in world.topic.results} == {row.deployment_id}
    assert len(world.topic.results) == (2 if place == "announce" else 1)
    # AND a rollout that had been begun is followed, not made again
    if place in ("update", "wait"):
        assert world.services.plans[-1].target == row.task_definition_after
        assert world.services.newest == 2


def test_a_kill_after_settling_only_deletes_again(world: World) -> None:
    request = make_request(1)
    world.send(request)
    worker = world.worker()
    real = world.sqs.delete_message_batch
    instead(world.sqs, "delete_message_batch", lambda **_members: world.kill())
    with pytest.raises(Killed):
        worker.step()
    instead(world.sqs, "delete_message_batch", real)
    world.redeliver(request)
    world.worker(boot="2027-01-15T09:00:00Z").step()
    assert len(world.topic.results) == 1
    assert world.table.wants.all() == []


def test_after_a_kill_the_tip_of_now_is_deployed_not_the_one_of_then(world: World) -> None:
    # GIVEN a deployment of A that is killed after its update, and a push of B
    request = make_request(1)
    world.send(request)
    kill_in(world, "update")
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


# --- the world is wrong


def fail_with(error: Exception, times: int) -> Callable[[], None]:
    left = [times]

    def fail() -> None:
        if left[0]:
            left[0] -= 1
            raise error

    return fail


def test_the_worlds_failure_is_tried_again_in_the_same_deployment(world: World) -> None:
    request = make_request(1)
    world.send(request)
    world.images.on_push = fail_with(WorldFailed("registry is down"), 1)
    worker = world.worker()
    worker.step()
    # THEN nothing is settled or told, the attempt is counted, the lock is free, it waits
    assert (world.outcome(request), world.topic.results) == (None, [])
    assert world.table.requests.attempts(request.request_id).count == 1
    assert world.table.locks.get("web").holder == ""
    assert world.queued() == (0, 1)
    # AND the next attempt ends the same deployment
    world.redeliver(request)
    worker.step()
    (row,) = world.table.deployments.newest("web", 5)
    assert (row.status, world.outcome(request)) == ("succeeded", "succeeded")


@pytest.mark.parametrize("error", [WorldFailed("down"), THROTTLED, RuntimeError("a bug")])
def test_after_enough_failed_attempts_it_is_given_up_and_said(
    world: World, error: Exception
) -> None:
    request = make_request(1)
    world.images.on_push = fail_with(error, 99)
    worker = world.worker()
    limit = world.installation.limits.max_attempts
    world.send(request)
    for _ in range(limit):
        worker.step()
        world.redeliver(request)
    worker.step()
    # THEN
    (result,) = world.topic.results
    assert (result.status, world.outcome(request)) == ("gave_up", "gave_up")
    assert f"given up after {limit} failed attempts" in (result.cause or "")
    assert world.queued(world.dead) == (1, 0)
    assert world.table.wants.all() == []
    assert world.row.handled_tip == A


def test_a_service_that_an_earlier_attempt_touched_is_not_called_untouched(world: World) -> None:
    # GIVEN an attempt that updated the service and never heard of it, and then no fetch any more
    request = make_request(1)
    world.services.script = raising(WorldFailed("the answer was lost"))
    worker = world.worker()
    world.send(request)
    worker.step()
    assert world.services.revision == 2
    world.source.on_fetch = fail_with(WorldFailed("down"), 99)
    # WHEN it is given up
    for _ in range(world.installation.limits.max_attempts):
        world.redeliver(request)
        worker.step()
    # THEN it is not said that the version before runs
    (result,) = world.topic.results
    assert (result.status, result.task_definition_after) == ("gave_up", "web:2")
    assert runs_now(result) == "It is not known which version runs now."


def raising(error: Exception) -> Callable[[Any], Any]:
    def fail(_result: Any) -> Any:
        raise error

    return fail


def test_a_fetch_that_fails_after_an_update_does_not_say_what_runs(world: World) -> None:
    # GIVEN a first attempt that updated the service, and a branch that is gone by the second
    request = make_request(1)
    world.services.script = raising(WorldFailed("the answer was lost"))
    worker = world.worker()
    world.send(request)
    worker.step()
    world.source.on_fetch = fail_with(DeploymentFailed("no branch", stage="fetch"), 1)
    world.redeliver(request)
    worker.step()
    (result,) = world.topic.results
    assert (result.status, result.now_running) == ("failed", None)
    assert runs_now(result) == "It is not known which version runs now."


def test_it_is_given_up_after_six_hours_whatever_the_count(world: World) -> None:
    request = make_request(1)
    world.images.on_push = fail_with(WorldFailed("down"), 99)
    worker = world.worker()
    world.send(request)
    worker.step()
    world.clock.pass_by(world.installation.limits.give_up_after)
    world.redeliver(request)
    worker.step()
    assert world.outcome(request) == "gave_up"


def test_an_outcome_that_cannot_be_announced_is_kept_and_announced_later(world: World) -> None:
    # GIVEN a topic that is down for longer than attempts last
    request = make_request(1)
    world.topic.fail = THROTTLED
    worker = world.worker()
    world.send(request)
    for _ in range(world.installation.limits.max_attempts + 2):
        worker.step()
        world.redeliver(request)
    assert world.outcome(request) is None
    # WHEN it is back
    world.topic.fail = None
    worker.step()
    # THEN the outcome of the one deployment is told; nothing was built again or given up
    assert [r.status for r in world.topic.results] == ["succeeded"]
    assert world.images.built == [A]
    assert world.queued(world.dead) == (0, 0)


def test_a_lost_queue_never_ends_the_loop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = world.worker()
    calls: list[float] = []

    def fails(**_members: Any) -> None:
        raise THROTTLED

    def wait(seconds: float) -> bool:
        calls.append(seconds)
        if len(calls) == 3:
            worker.request_stop("enough")
        return True

    instead(world.sqs, "receive_message", fails)
    monkeypatch.setattr(worker._stop, "wait", wait)
    worker.run()
    assert len(calls) == 3
    assert calls[0] < calls[2] <= 60


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


@pytest.mark.parametrize("fails", [False, True])
def test_what_the_build_lacks_is_told_however_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: bool
) -> None:
    # GIVEN a tree with an empty folder, as git lays out a submodule
    (tmp_path / "theme").mkdir()
    monkeypatch.setattr(world.source, "tree", lambda *_a, **_k: nullcontext(tmp_path))
    world.images.on_build = failing_build if fails else lambda: None
    request = make_request(1)
    world.send(request)
    world.worker().step()
    # THEN the notice says it, and the log
    (result,) = (n.result for n in world.topic.notices if n.result)
    assert result.status == ("failed" if fails else "succeeded")
    assert result.warning == "submodules are empty folders in the build: theme"


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
        world.table.locks.ask_takeover("web", "cli:ada", world.clock.now())
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


# --- locked elsewhere


def test_a_tip_request_joins_the_run_of_the_holder_which_runs_once_more(world: World) -> None:
    # GIVEN a worker that builds A when B is pushed and another host gets the request
    first, second = make_request(1), make_request(2)
    world.send(first)
    other = world.worker("i-2", boot="2027-01-15T07:00:00Z")
    holder = world.worker()

    def push() -> None:
        world.images.on_build = lambda: None
        world.source.tip = B
        world.send(second)
        other.step()
        # THEN the other settles it at once, and is not kept awake by it
        assert world.outcome(second) == "joined"
        assert world.table.wants.all() == []
        assert world.table.locks.get("web").again == second.request_id

    world.images.on_build = push
    holder.step()
    # AND the holder deploys B in a deployment of its own
    assert [r.commit and r.commit.id for r in world.topic.results] == [A, B]
    assert world.topic.results[1].pushed_by == second.pushed_by
    assert world.table.locks.get("web").again is None
    assert world.table.locks.get("web").holder == ""
    assert world.table.wants.all() == []


def test_several_who_join_cause_one_more_run_and_one_who_joins_that_another(world: World) -> None:
    requests = [make_request(n) for n in range(1, 5)]
    world.send(requests[0])
    other = world.worker("i-2", boot="2027-01-15T07:00:00Z")
    holder = world.worker()
    builds: list[int] = []

    def push() -> None:
        builds.append(1)
        world.source.tip = {1: B, 2: "c" * 40}.get(len(builds), world.source.tip)
        for request in {1: requests[1:3], 2: requests[3:]}.get(len(builds), []):
            world.send(request)
            other.step()

    world.images.on_build = push
    holder.step()
    assert world.images.built == [A, B, "c" * 40]
    assert [world.outcome(r) for r in requests] == ["succeeded", "joined", "joined", "joined"]


def test_a_kill_in_the_run_that_was_asked_for_leaves_a_want(world: World) -> None:
    first, second = make_request(1), make_request(2)
    world.send(first)
    other = world.worker("i-2", boot="2027-01-15T07:00:00Z")
    holder = world.worker()

    def push() -> None:
        world.source.tip = B
        world.send(second)
        other.step()
        world.images.on_build = lambda: world.dead_lives.add(world.lives)

    world.images.on_build = push
    with pytest.raises(Killed):
        holder.step()
    (want,) = world.table.wants.all()
    assert want.request.is_tip
    assert want.request_id not in (first.request_id, second.request_id)


def test_a_named_target_waits_for_the_holder_uncounted(world: World) -> None:
    world.table.locks.take("web", "cli:ada", world.clock.now(), ttl=120)
    request = make_request(1, target=Target(kind="commit", commit_id=B))
    world.send(request)
    world.worker().step()
    assert world.outcome(request) is None
    assert world.queued() == (0, 1)
    assert world.table.requests.attempts(request.request_id).count == 0
    assert LOCKED_DELAY >= 30


def test_a_request_whose_own_deployment_runs_elsewhere_is_not_joined(world: World) -> None:
    # GIVEN a deployment under way, and a second delivery of its request at another host
    request = make_request(1)
    world.send(request)
    other = world.worker("i-2", boot="2027-01-15T07:00:00Z")
    holder = world.worker()

    def deliver() -> None:
        world.send_body(request.to_json())
        other.step()

    world.images.on_build = deliver
    holder.step()
    # THEN it has one outcome, and no second run
    assert world.outcome(request) == "succeeded"
    assert len(world.topic.results) == 1


def test_a_request_that_another_joins_before_it_begins_is_run_as_that_other_asked(
    world: World,
) -> None:
    # GIVEN a request that came to two hosts: while one is about to begin it, the other joins it
    request = make_request(1)
    world.send(request)
    other, holder = world.worker("i-2", boot="2027-01-15T07:00:00Z"), world.worker()
    begin = holder._recorder.begin

    def begin_late(*arguments: Any) -> Any:
        holder._recorder.begin = begin  # type: ignore[method-assign]
        world.send_body(request.to_json())
        other.step()
        return begin(*arguments)

    holder._recorder.begin = begin_late  # type: ignore[method-assign]
    holder.step()
    # THEN nothing begins for it: the run that was asked for deploys the tip, once
    assert world.outcome(request) == "joined"
    assert [r.commit and r.commit.id for r in world.topic.results] == [A]
    assert world.table.requests.deployments_of([request.request_id]) == {}
    assert (world.queued(), world.table.wants.all()) == ((0, 0), [])


def test_a_request_that_begins_before_another_joins_it_is_not_joined(world: World) -> None:
    # GIVEN the same two, of which the other looked before anything had begun
    request = make_request(1)
    world.send(request)
    other, holder = world.worker("i-2", boot="2027-01-15T07:00:00Z"), world.worker()

    def join() -> None:
        other._ends.leave_to_holder(Delivery(request, []))
        # THEN the run that is under way keeps its request
        assert world.outcome(request) is None

    world.images.on_build = join
    holder.step()
    assert world.outcome(request) == "succeeded"
    assert world.images.built == [A]


def test_a_request_that_another_settled_meanwhile_is_not_deployed_again(world: World) -> None:
    # GIVEN a request that another host settles between this one's receive and its lock
    request = make_request(1)
    world.send(request)
    worker = world.worker()
    take = worker._table.locks.take

    def take_late(*arguments: Any, **members: Any) -> Any:
        outcome = Settled(
            request_id=request.request_id, outcome="succeeded", pipeline="web", settled_at=1.0
        )
        world.table.requests.settle([outcome], kept=1000)
        return take(*arguments, **members)

    worker._table.locks.take = take_late  # type: ignore[method-assign]
    worker.step()
    # THEN it is only deleted
    assert world.source.fetched == []
    assert (world.queued(), world.table.wants.all()) == ((0, 0), [])


def test_what_ecr_holds_is_found_by_the_build_key_not_by_the_commit(world: World) -> None:
    # GIVEN an image in ECR under the commit alone, as a crash in the push leaves it
    world.images.ecr[A] = digest_of("build-" + "9" * 32)
    world.send(make_request(1))
    world.worker().step()
    assert world.images.built == [A]
