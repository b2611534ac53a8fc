"""What an awake host follows between its builds, lets go of, and takes over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from build_agent.ends import TAKEN_OVER_DELAY
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import RolloutSettings
from slipway.following.backoff import LOCKED_DELAY
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import World, make_installation, make_pipeline, make_request


def unanswered(_result: Any) -> Any:
    raise WorldFailed("ECS did not answer")


def under_way(world: World, request: Any) -> Any:
    """A worker that follows a rollout which is not over; its next step is due later."""
    world.services.script = unanswered
    worker = world.worker()
    world.send(request)
    worker.step()
    assert world.table.locks.get("web").is_followed
    return worker


def test_a_push_during_a_rollout_waits_for_its_end_and_keeps_no_message(world: World) -> None:
    # GIVEN a rollout of A that goes on
    first, second = make_request(1), make_request(2)
    worker = under_way(world, first)
    # WHEN B is pushed
    world.source.tip = B
    world.send(second)
    worker.step()
    # THEN it is settled into what comes after, and no want keeps a host awake
    assert world.outcome(second) == "joined"
    assert (world.queued(), world.table.wants.all()) == ((0, 0), [])
    assert world.images.built == [A]
    # AND when the rollout is over it is asked for, and deployed
    world.services.script = lambda result: result
    world.clock.pass_by(30)
    worker.step()
    worker.step()
    assert world.images.built == [A, B]
    assert [result.status for result in world.topic.results] == ["succeeded", "succeeded"]


def test_a_push_takes_over_where_its_pipeline_is_configured_so(aws: Any) -> None:
    settings = make_pipeline(rollout=RolloutSettings(new_push="takeOver"))
    world = World(aws, replace(make_installation(), pipelines=(settings,)))
    first, second = make_request(1), make_request(2)
    worker = under_way(world, first)
    # WHEN B is pushed
    world.services.script = lambda result: result
    world.source.tip = B
    world.send(second)
    world.clock.pass_by(3)
    worker.step()
    world.clock.pass_by(3)
    world.send_body(second.to_json())  # what was given back
    worker.step()
    # THEN the rollout of A is superseded, and B runs
    assert [world.outcome(r) for r in (first, second)] == ["superseded", "succeeded"]
    assert world.row.running_commit == B


def test_what_takes_over_and_has_to_wait_comes_again_ever_later(aws: Any) -> None:
    # GIVEN a pipeline whose pushes take over, and a rollout that does not give way at once
    settings = make_pipeline(rollout=RolloutSettings(new_push="takeOver"))
    world = World(aws, replace(make_installation(), pipelines=(settings,)))
    worker = under_way(world, make_request(1))
    ends, second = worker._ends, make_request(2)
    # THEN it is looked at again soon, and after that as rarely as a lock that is another's
    assert ends._take_over(second) == TAKEN_OVER_DELAY
    assert ends._take_over(second) == LOCKED_DELAY


def test_an_older_push_takes_nothing_over(aws: Any) -> None:
    # GIVEN a pipeline whose pushes take over, and the rollout of push 2
    settings = make_pipeline(rollout=RolloutSettings(new_push="takeOver"))
    world = World(aws, replace(make_installation(), pipelines=(settings,)))
    first, second = make_request(1), make_request(2)
    worker = under_way(world, second)
    # WHEN push 1 comes late
    world.send(first)
    world.clock.pass_by(3)
    worker.step()
    # THEN it asks nobody to give way, and does not come again and again
    lock = world.table.locks.get("web")
    assert (lock.takeover, lock.again) == (None, first.request_id)
    assert world.outcome(first) == "joined"


def test_what_is_followed_is_followed_on_during_a_build(world: World) -> None:
    # GIVEN a rollout that this host follows
    worker = under_way(world, make_request(1))
    held: list[Any] = []
    world.images.on_build = lambda: held.append(
        world.table.deployments.newest("web", 1)[0].followed_by(world.clock.now())
    )
    # WHEN it builds for another pipeline
    world.source.tip = B
    world.send(make_request(2, pipeline="api"))
    worker.step()
    # THEN it is still this host's to follow
    assert held == ["host i-1"]


def test_a_stop_lets_go_of_what_is_followed(world: World) -> None:
    worker = under_way(world, make_request(1))
    (row,) = world.table.deployments.newest("web", 1)
    assert row.followed_by(world.clock.now()) == "host i-1"
    # WHEN
    worker.request_stop("SIGTERM")
    worker.run()
    # THEN
    (row,) = world.table.deployments.newest("web", 1)
    assert row.claimed_by is None
    assert world.sent[-1][0].step == row.step


def test_a_host_that_only_follows_says_that_it_is_idle(world: World) -> None:
    worker = under_way(world, make_request(1))
    # WHEN its idle period is over, counted from its last build
    world.clock.pass_by(world.installation.limits.idle_period + 1)
    worker.step()
    # THEN
    host = world.table.hosts.get("i-1")
    assert host is not None and host.state == "idle"
    assert [notice.kind for notice in world.topic.notices] == ["idle"]


def test_what_was_handed_over_is_not_given_up_where_its_message_cannot_be_deleted(
    world: World,
) -> None:
    # GIVEN a request that the world has failed often, and a queue that deletes nothing just now
    request = make_request(1)
    limits = world.installation.limits
    for _ in range(limits.max_attempts - 1):
        world.table.requests.count_attempt(request.request_id, world.clock.now(), kept=1e6)
    worker = world.worker()
    forget = worker._settler.forget

    def refused(_delivery: Any) -> None:
        raise WorldFailed("SQS does not answer")

    worker._settler.forget = refused  # type: ignore[method-assign]
    world.send(request)
    # WHEN its rollout is handed over
    worker.step()
    worker._settler.forget = forget  # type: ignore[method-assign]
    # THEN it is no dead letter: the rollout goes on, is told, and its message is found settled
    world.clock.pass_by(30)
    world.redeliver(request)
    worker.step()
    worker.step()
    assert world.queued(world.dead) == (0, 0)
    assert [result.status for result in world.topic.results] == ["succeeded"]
    assert world.queued()[0] == 0
