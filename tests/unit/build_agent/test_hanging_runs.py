"""Runs that hang, whatever they are at: their pipeline, their slot and their requests come free."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from build_agent.queue.lease import Work
from build_agent.runs import ASIDE
from tests.unit.build_agent.fakes import B
from tests.unit.build_agent.test_dispatch import Later, push_to, several, stands_still


def test_a_run_that_does_not_even_end_is_given_up(aws: Any) -> None:
    # GIVEN a run that hangs for ever: it neither gets on nor ends when it is told to
    world, later = several(aws), Later()
    world.send(push_to("web", 1))
    worker = world.worker(slots=1, spawn=later)
    worker.step()
    limits, seen = world.installation.limits, []

    def hangs() -> None:
        (work,) = world.keeper.works
        stands_still(world)
        world.clock.pass_by(2 * limits.heartbeat + 1)
        world.keeper.beat()
        worker.step()
        seen.append((worker._runs.room, worker._runs.pipelines, world.keeper.held))
        seen.append(work.stop.is_given_up)
        world.clock.pass_by(limits.lock_ttl)
        world.keeper.beat()
        seen.append(world.table.locks.get("web").taken(world.clock.now()))

    world.images.on_build = hangs
    later.go()
    # THEN its slot is free, nothing is held for it, nobody waits for it, and its lock has ended
    assert seen == [(1, set(), ()), True, False]
    # AND it changes nothing when it goes on after all
    assert world.services.plans == []


def test_a_run_that_does_not_end_when_it_is_told_to_is_given_up_after_a_lock_s_time(
    aws: Any,
) -> None:
    # GIVEN a run that hangs for ever in what it does last, once its lock was lost
    world, later = several(aws), Later()
    world.send(push_to("web", 1))
    worker = world.worker(slots=1, spawn=later)
    worker.step()
    seen = []

    def hangs() -> None:
        world.clock.pass_by(1)
        (work,) = world.keeper.works
        work.stop.request("the pipeline lock was lost")
        world.keeper.beat()
        for _ in range(2):
            world.clock.pass_by(world.installation.limits.lock_ttl / 2 + 1)
            world.keeper.beat()
            worker.step()
            seen.append((worker._runs.pipelines, worker._runs.room))

    world.images.on_build = hangs
    later.go()
    # THEN
    assert seen == [({"web"}, 0), (set(), 1)]


def test_a_run_that_hangs_after_its_hand_over_keeps_no_later_push_waiting(aws: Any) -> None:
    # GIVEN a rollout that was handed over, in whose first step the run's thread hangs
    world, hung = several(aws), []
    world.send(push_to("web", 1))

    class Hung(BaseException):
        """As far as the worker sees, the thread never comes back."""

    def never_back(_name: str, body: Callable[[], None]) -> Any:
        hung.append(body)
        with contextlib.suppress(Hung):
            body()
        return world

    worker = world.worker(slots=1, spawn=never_back)

    def hang(*_held: Any) -> None:
        worker._runs._end = lambda *_run: None  # type: ignore[method-assign]
        raise Hung

    worker._rollouts.add = hang  # type: ignore[method-assign]
    worker.step()
    (first,) = world.table.deployments.newest("web", 5)
    assert first.is_followed
    # WHEN
    assert not worker._runs
    world.source.tip = B
    world.send(push_to("web", 2))
    worker.step()
    # THEN the later push has a run of its own
    assert len(hung) == 2


def test_a_run_that_hangs_before_its_work_holds_its_pipeline_for_two_minutes(aws: Any) -> None:
    # GIVEN a run whose thread never comes to its work
    world, later = several(aws), Later()
    world.send(push_to("web", 1))
    worker = world.worker(slots=1, spawn=later)
    worker.step()
    world.clock.pass_by(ASIDE - 1)
    worker.step()
    assert worker._runs.pipelines == {"web"}
    # WHEN
    world.clock.pass_by(2)
    worker._runs.tidy()
    # THEN it counts no more, its slot is free, and its request is not kept from others
    assert (worker._runs.pipelines, worker._runs.room) == (set(), 1)
    assert world.keeper.held == ()


def test_a_run_at_its_work_is_the_keeper_s_to_watch(aws: Any) -> None:
    world, later = several(aws), Later()
    world.send(push_to("web", 1))
    worker = world.worker(slots=1, spawn=later)
    worker.step()
    lock = world.table.locks.take("web", "i-1/b/p.1", world.clock.now(), ttl=330)
    assert lock is not None
    world.keeper.begin(Work(run=1, pipeline="web", lock=lock, renewed_at=world.clock.now()))
    # WHEN it takes long
    world.clock.pass_by(10 * ASIDE)
    worker._runs.tidy()
    # THEN
    assert worker._runs.pipelines == {"web"}
