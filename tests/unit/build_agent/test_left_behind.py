"""What the simulation found: attempts that end half-way, and requests that nothing brings back."""

from __future__ import annotations

from slipway.contracts.errors import WorldFailed
from tests.unit.build_agent.fakes import A, B
from tests.unit.build_agent.world import World, make_request


def fail_once(world: World, step: str) -> None:
    """The world fails once at a step of the rollout, after it took effect."""

    def raise_once(name: str) -> None:
        if name == step:
            world.services.on_step = lambda _name: None
            raise WorldFailed("the answer was lost")

    world.services.on_step = raise_once


def test_an_attempt_at_a_newer_tip_does_not_follow_the_older_revision(world):
    # GIVEN an attempt at A that updated the service and lost the answer
    request = make_request()
    world.send(request)
    fail_once(world, "wait")
    world.worker().step()
    assert world.outcome(request) is None
    # AND an attempt at B, the tip by now, that failed before it registered anything
    world.source.tip = B

    def lost(*_arguments, **_members):
        raise WorldFailed("ECS did not answer")

    roll_out, world.services.roll_out = world.services.roll_out, lost
    world.redeliver(request)
    world.worker().step()
    world.services.roll_out = roll_out
    # WHEN it is tried once more, THEN B is what runs, not A's revision under B's name
    world.redeliver(request)
    world.worker().step()
    assert world.outcome(request) == "succeeded"
    assert world.row.running_commit == B
    assert world.row.running_digest in world.services.images[world.services.revision]["app"]
    assert world.images.built == [A, B]


def test_a_run_again_that_a_newer_push_overtook_is_ended(world):
    # GIVEN a run that another worker asked for, whose world fails: no message brings it back
    first, second, third = (make_request(n) for n in (1, 2, 3))
    world.send(first)
    lock_holder = world.worker()

    def join() -> None:
        world.source.on_fetch = lambda: None
        world.table.locks.ask_again(
            "web", second.request_id, world.clock.now(), by="ada", pushed_at=second.pushed_at
        )
        world.source.on_fetch = fail

    def fail() -> None:
        world.source.on_fetch = lambda: None
        raise WorldFailed("git did not answer")

    world.source.on_fetch = join
    lock_holder.step()
    (unended,) = [r for r in world.table.deployments.newest("web", 9) if r.ended_at is None]
    # WHEN a newer push takes its want over and is deployed
    world.send(third)
    world.worker().step()
    # THEN the run that was overtaken has an outcome, too
    ended = world.table.deployments.get(unended.deployment_id)
    assert (ended.status, world.outcome(third)) == ("superseded", "unchanged")
