"""Several pipelines at once on one host: what is received, which runs begin, and how each ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from build_agent.host.identity import HostIdentity
from build_agent.worker import Worker
from slipway.contracts.installation import Limits, RolloutSettings
from slipway.contracts.messages import BuildRequest, Target
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.test_rollouts import unanswered
from tests.unit.build_agent.world import World, make_installation, make_pipeline, make_request

NAMES = ("web", "api", "jobs")


class Later:
    """Begins runs when told: until then they are under way."""

    def __init__(self) -> None:
        self.bodies: list[Callable[[], None]] = []

    def __call__(self, _name: str, body: Callable[[], None]) -> Any:
        self.bodies.append(body)
        return self

    def is_alive(self) -> bool:
        return bool(self.bodies)

    def join(self, timeout: float | None = None) -> None:
        self.go()

    def go(self) -> None:
        while self.bodies:
            self.bodies.pop(0)()


def several(aws: Any, **rollout: Any) -> World:
    settings = RolloutSettings(**rollout)
    pipelines = tuple(make_pipeline(name, rollout=settings) for name in NAMES)
    return World(aws, make_installation(pipelines=pipelines))


def push_to(pipeline: str, number: int, **changes: Any) -> BuildRequest:
    return make_request(number, pipeline=pipeline, **changes)


# --- what is received


def test_as_many_runs_begin_as_there_are_slots_longest_waiting_first(aws: Any) -> None:
    # GIVEN pushes to three pipelines, and a host of two slots
    world, later = several(aws), Later()
    world.send(push_to("web", 3), push_to("api", 1), push_to("jobs", 2))
    worker = world.worker(slots=2, spawn=later)
    # WHEN
    worker.step()
    # THEN the two that wait longest are under way, and the third may be another host's at once
    assert worker._runs.pipelines == {"api", "jobs"}
    assert world.queued() == (1, 2)


def test_nothing_is_received_without_a_free_slot(aws: Any) -> None:
    world, later = several(aws), Later()
    world.send(push_to("web", 1))
    worker = world.worker(slots=1, spawn=later)
    worker.step()
    # WHEN another push comes while the slot is taken
    world.send(push_to("api", 2))
    assert worker.step() == "worked"
    # THEN it wears out no receive; once the slot is free its run begins
    assert world.queued() == (1, 1)
    later.go()
    worker.step()
    assert worker._runs.pipelines == {"api"}


def test_a_queue_that_holds_more_than_there_are_slots_for_is_not_emptied(aws: Any) -> None:
    # GIVEN the backlog of twenty pipelines
    pipelines = tuple(make_pipeline(f"p{n}") for n in range(20))
    world, later = World(aws, make_installation(pipelines=pipelines)), Later()
    world.send(*(push_to(p.name, n) for n, p in enumerate(pipelines)))
    received: list[int] = []
    worker = world.worker(slots=1, spawn=later)
    receive = worker._intake._inbox.receive

    def counted(wait: float) -> Any:
        messages = receive(wait)
        received.append(len(messages))
        return messages

    worker._intake._inbox.receive = counted  # type: ignore[method-assign]
    # WHEN
    worker.step()
    # THEN one receive was enough
    assert received == [10]
    assert world.queued() == (19, 1)


def test_a_worker_with_a_run_or_a_rollout_holds_something(aws: Any) -> None:
    world, later = several(aws), Later()
    world.services.script = unanswered
    worker = world.worker(slots=2, spawn=later)
    worker.step()
    assert worker.holds_nothing
    # WHEN a run is under way, beside which the worker polls
    world.send(push_to("web", 1))
    worker.step()
    assert not worker.holds_nothing
    # AND its rollout is followed here
    later.go()
    assert not worker._runs
    assert not worker.holds_nothing
    # THEN only who has let go of both holds nothing
    worker._rollouts.let_go()
    assert worker.holds_nothing


def test_a_slot_that_is_free_waits_for_no_rollout(aws: Any) -> None:
    # GIVEN a host of one slot that follows two rollouts, both due, and builds for a third
    pipelines = tuple(make_pipeline(name) for name in (*NAMES, "last"))
    world, later = World(aws, make_installation(pipelines=pipelines)), Later()
    world.services.script = unanswered
    worker = world.worker(slots=1, spawn=later)
    for name, tip in (("web", A), ("api", B)):
        world.source.tip = tip
        world.send(push_to(name, 1 + NAMES.index(name)))
        worker.step()
        later.go()
    world.send(push_to("jobs", 3))
    worker.step()
    # WHEN its slot is free while the first of the rollouts is looked at, and a request waits
    world.send(push_to("last", 4))
    world.clock.pass_by(30)
    looks, receives = [], []

    def look(result: Any) -> Any:
        looks.append(len(receives))
        world.services.script = unanswered  # the third's own first step
        later.go()
        world.services.script = look
        return unanswered(result)

    receive = worker._intake._inbox.receive

    def counted(wait: float) -> Any:
        receives.append(wait)
        return receive(wait)

    worker._intake._inbox.receive = counted  # type: ignore[method-assign]
    world.services.script = look
    Worker.step(worker)
    # THEN its run begins before anybody looks at the second
    assert (looks[0], receives) == (0, [0.0])
    assert worker._runs.pipelines == {"last"}
    assert len(looks) == 1


def test_what_waits_for_a_slot_is_told_once_it_is_free(aws: Any) -> None:
    # GIVEN a run that has built, whose rollout's first steps take long
    world, later, seen = several(aws), Later(), list[bool]()
    world.send(push_to("web", 1))
    worker = world.worker(slots=1, spawn=later)
    worker.step()

    def update(result: Any) -> Any:
        seen.append(worker._news.is_set())
        return result

    world.services.script = update
    # WHEN
    later.go()
    # THEN the worker need not await their end
    assert seen[0]


def test_a_rollback_needs_no_slot(aws: Any) -> None:
    # GIVEN two deployments of web, and a host whose one slot is taken by the time it looks
    world, later = several(aws), Later()
    for number, tip in ((1, A), (2, B)):
        world.source.tip = tip
        world.send(push_to("web", number))
        world.worker().step()
    earlier = world.table.deployments.newest("web", 2)[1]
    target = Target(kind="deployment", deployment_id=earlier.deployment_id)
    back = push_to("web", 4, reason="rollback", target=target)
    world.send(push_to("api", 3), back)
    worker = world.worker(slots=1, spawn=later)
    # WHEN
    worker.step()
    # THEN both are under way
    assert worker._runs.pipelines == {"api", "web"}
    later.go()
    assert world.outcome(back) in ("succeeded", "unchanged")


def test_a_request_that_comes_twice_makes_no_second_run(aws: Any) -> None:
    world, later = several(aws), Later()
    request = push_to("web", 1)
    world.send(request)
    worker = world.worker(slots=2, spawn=later)
    worker.step()
    # WHEN
    world.send_body(request.to_json())
    worker.step()
    # THEN
    assert len(later.bodies) == 1
    later.go()
    assert world.images.built == [A]


def test_another_run_of_the_same_agent_does_not_take_its_lock(world: World) -> None:
    here, after = (HostIdentity("i-1", "boot", "us-east-1", process) for process in "pq")
    locks, now = world.table.locks, world.clock.now()
    assert locks.take("web", here.holder(1), now, ttl=60)
    # THEN what a process before this one held is nobody's; what another run holds is that run's
    assert locks.take("web", here.holder(2), now, ttl=60) is None
    assert locks.take("web", after.holder(1), now, ttl=60)


# --- a run that does not get on


def stands_still(world: World) -> None:
    """In its build; the keeper beats on."""
    limits = world.installation.limits
    world.images.on_build = lambda: None
    world.clock.pass_by(limits.no_progress + 1)
    for lock in world.table.locks.all():
        world.table.locks._store.update(
            "LOCK", lock.pipeline, "SET expires_at = :e",
            parameters={":e": world.clock.now() + limits.lock_ttl},
        )  # fmt: skip
    world.keeper.beat()


def test_a_run_without_progress_is_ended_and_told_and_others_go_on(aws: Any) -> None:
    # GIVEN two pipelines, one of which stands still in its build
    world = several(aws)
    slow, good = push_to("web", 1), push_to("api", 2)
    world.images.on_build = lambda: stands_still(world)
    world.send(slow, good)
    # WHEN
    world.worker(slots=2).step()
    # THEN it has failed there, and the other is deployed
    assert (world.outcome(slow), world.outcome(good)) == ("failed", "succeeded")
    (row,) = world.table.deployments.newest("web", 9)
    assert (row.result.stage, row.result.cause) == ("build", "no progress for 1 h 5 min: ended")
    assert [r.status for r in world.topic.results] == ["failed", "succeeded"]


# --- telling, and stopping


def test_the_host_s_row_tells_each_run(aws: Any) -> None:
    world, seen = several(aws), []
    world.images.on_build = lambda: seen.append(world.table.hosts.get("i-1"))
    world.send(push_to("web", 1))
    worker = world.worker(slots=2)
    worker.step()
    (row,) = seen
    (run,) = row.runs
    assert (row.slots, row.free_slots, run.pipeline, run.builds) == (2, 1, "web", True)
    # THEN it has none when all are over
    assert world.table.hosts.get("i-1").runs == ()


def test_a_stop_gives_back_what_each_run_holds(aws: Any) -> None:
    world, later = several(aws), Later()
    world.send(push_to("web", 1), push_to("api", 2))
    worker = world.worker(slots=2, spawn=later)
    worker.step()
    assert world.queued() == (0, 2)
    # WHEN
    worker.request_stop("SIGTERM")
    worker.run()
    # THEN
    assert world.queued() == (2, 0)
    assert not any(lock.holder for lock in world.table.locks.all())


def test_a_run_that_fails_leaves_the_others_and_comes_again_later(aws: Any) -> None:
    # GIVEN a table that fails one of two runs when it takes its lock
    world = several(aws)
    world.send(push_to("web", 1), push_to("api", 2))
    worker = world.worker(slots=2)
    take = worker._runs._parts.table.locks.take

    def failing(pipeline: str, *more: Any, **named: Any) -> Any:
        if pipeline == "web":
            raise RuntimeError("the table is away")
        return take(pipeline, *more, **named)

    worker._runs._parts.table.locks.take = failing  # type: ignore[method-assign]
    # WHEN
    worker.step()
    # THEN
    assert world.outcome(push_to("api", 2)) == "succeeded"
    assert world.queued() == (0, 1)  # hidden for some seconds
    assert world.keeper.held == ()


def test_two_pipelines_share_nothing_but_the_slots(aws: Any) -> None:
    """A crash loop in one of them delays none of the others."""
    world = several(aws)
    bad, good = push_to("web", 1), push_to("api", 2)

    def once() -> None:
        world.images.on_build = lambda: None
        raise RuntimeError("docker is away")

    world.images.on_build = once
    world.send(bad, good)
    world.worker(slots=2).step()
    assert (world.outcome(bad), world.outcome(good)) == (None, "succeeded")


def test_the_idle_period_begins_at_the_hand_over(aws: Any) -> None:
    # GIVEN a build that takes longer than the idle period
    world, said = several(aws), []
    world.send(push_to("web", 1))
    worker = world.worker(slots=1)
    add = worker._rollouts.add

    def first_steps(*held: Any) -> None:
        # WHEN the worker looks at the queue while the first steps of the rollout are taken
        said.append(worker.step())
        add(*held)

    worker._rollouts.add = first_steps  # type: ignore[method-assign]

    def build() -> None:
        for _ in range(Limits().idle_period // 30):
            world.clock.pass_by(60)
            world.keeper.beat()

    world.images.on_build = build
    worker.step()
    # THEN the host says nothing of being idle
    assert said == ["idle"]
    assert not worker._presence.said_idle


def test_what_is_handed_over_is_looked_at_soon_though_nothing_else_is_to_do(aws: Any) -> None:
    # GIVEN a host whose idle period allows long polls, and whose last build is done
    world, asked = several(aws), []
    world.services.script = unanswered
    world.send(push_to("web", 1))
    worker = world.worker(slots=1, waits=True)
    add, receive = worker._rollouts.add, worker._intake._inbox.receive

    def noted(wait: float) -> Any:
        asked.append(wait)
        return receive(0.0)

    def first_steps(*held: Any) -> None:
        # WHEN the worker looks at the queue while the first steps of the rollout are taken
        worker.step()
        add(*held)

    worker._intake._inbox.receive = noted  # type: ignore[method-assign]
    worker._rollouts.add = first_steps  # type: ignore[method-assign]
    worker.step()
    # THEN it does not poll until the rollout's next look is long due
    assert asked[1:] == [0.0]
    # AND then neither
    worker.step()
    assert asked[2:] == [0.0]
