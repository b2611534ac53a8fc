"""What the simulation found: attempts that end half-way, and requests that nothing brings back."""

from __future__ import annotations

from collections.abc import Callable

from slipway.contracts.errors import WorldFailed
from slipway.contracts.messages import BuildRequest
from tests.unit.build_agent.world import make_request


def test_a_run_again_that_a_newer_push_overtook_is_ended(world):
    # GIVEN a run that another worker asked for, whose world fails: no message brings it back
    first, second, third = (make_request(n) for n in (1, 2, 3))
    world.send(first)
    lock_holder = world.worker()

    def join() -> None:
        world.images.on_build = lambda: None
        world.table.locks.ask_again(
            "web", second.request_id, world.clock.now(), by="ada", pushed_at=second.pushed_at
        )
        world.source.on_fetch = fail

    def fail() -> None:
        world.source.on_fetch = lambda: None
        raise WorldFailed("git did not answer")

    world.images.on_build = join
    lock_holder.step()
    lock_holder.step()
    (unended,) = [r for r in world.table.deployments.newest("web", 9) if r.ended_at is None]
    # WHEN a newer push takes its want over and is deployed
    world.send(third)
    world.worker().step()
    # THEN the run that was overtaken has an outcome, too
    ended = world.table.deployments.get(unended.deployment_id)
    assert (ended.status, world.outcome(third)) == ("superseded", "unchanged")


def test_so_is_one_whose_newer_push_an_older_request_runs(world):
    # GIVEN such a run, which fails once a newer push has joined it and taken its want away
    late, first, second, third = (make_request(n) for n in (1, 2, 3, 4))
    world.send(first)
    lock_holder = world.worker()

    def join(request: BuildRequest, then: Callable[[], None]) -> None:
        world.images.on_build = lambda: None
        world.source.on_fetch = then
        world.table.wants.note(request, world.clock.now())
        assert world.table.locks.ask_again(
            "web", request.request_id, world.clock.now(), pushed_at=request.pushed_at
        )
        world.table.wants.clear([request])

    def fail() -> None:
        join(third, lambda: None)
        raise WorldFailed("git did not answer")

    world.images.on_build = lambda: join(second, fail)
    lock_holder.step()
    lock_holder.step()
    (unended,) = [r for r in world.table.deployments.newest("web", 9) if r.ended_at is None]
    # WHEN an older request, which comes late, takes the note of the newer push
    world.send(late)
    world.worker().step()
    # THEN the run that was overtaken has an outcome, too
    ended = world.table.deployments.get(unended.deployment_id)
    assert (ended.status, world.outcome(late)) == ("superseded", "unchanged")
    assert world.table.locks.get("web").again is None
