"""What the simulation found: attempts that end half-way, and requests that nothing brings back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table.deployments import DeploymentRow
from tests.unit.build_agent.test_failing_world import fail_with
from tests.unit.build_agent.test_newer_pushes import joined
from tests.unit.build_agent.world import Killed, World, make_request


def run_again(
    world: World, first: BuildRequest, second: BuildRequest, on_fetch: Callable[[], None]
) -> None:
    """The run of `first`, which fails, and the one that no message brings, of `second`, which had
    joined it. `on_fetch` is called once, as that one fetches.
    """

    def fetches() -> None:
        world.source.on_fetch = lambda: None
        on_fetch()

    def fails() -> None:
        world.images.on_build = lambda: None
        world.source.on_fetch = fetches
        joined(world, second)
        raise DeploymentFailed("exit code 1", stage="build")

    world.images.on_build = fails
    world.send(first)
    world.worker().step()


def unended(world: World) -> DeploymentRow:
    (row,) = [r for r in world.table.deployments.newest("web", 9) if r.ended_at is None]
    return row


def test_a_run_again_that_a_newer_push_overtook_is_ended(world: World) -> None:
    # GIVEN a run that another worker asked for, whose world fails: no message brings it back
    first, second, third = (make_request(n) for n in (1, 2, 3))
    run_again(world, first, second, fail_with(WorldFailed("git did not answer"), 1))
    overtaken = unended(world)
    assert world.queued() == (0, 0)
    # WHEN a newer push takes its want over and is deployed
    world.send(third)
    world.worker().step()
    # THEN the run that was overtaken has an outcome, too
    ended = world.table.deployments.get(overtaken.deployment_id)
    assert (ended and ended.status, world.outcome(third)) == ("superseded", "succeeded")


def test_so_is_one_whose_newer_push_an_older_request_runs(world: World) -> None:
    # GIVEN such a run, which fails once a newer push has joined it and taken its want away
    late, first, second, third = (make_request(n) for n in (1, 2, 3, 4))

    def fail() -> None:
        joined(world, third)
        raise WorldFailed("git did not answer")

    run_again(world, first, second, fail)
    overtaken = unended(world)
    assert (world.queued(), world.table.wants.all()) == ((0, 0), [])
    # WHEN an older request, which comes late, takes the note of the newer push
    world.send(late)
    world.worker().step()
    # THEN the run that was overtaken has an outcome, too
    ended = world.table.deployments.get(overtaken.deployment_id)
    assert (ended and ended.status, world.outcome(late)) == ("superseded", "succeeded")
    assert world.table.locks.get("web").again is None


def test_a_run_that_no_message_brought_has_its_want_once_what_stood_in_its_way_is_ended(
    world: World,
) -> None:
    # GIVEN a push that the world failed, and whose starter is late; a run again of older ones
    first, second, failed, joins = (make_request(n) for n in (1, 2, 3, 4))
    world.send_body(failed.to_json())
    world.source.on_fetch = fail_with(WorldFailed("git did not answer"), 1)
    world.worker().step()

    def noted() -> None:
        joined(world, joins)
        world.table.wants.note(failed, world.clock.now())
        world.images.on_build = world.kill

    # WHEN that run takes the note of a still newer push, and its host is lost in the build
    with pytest.raises(Killed):
        run_again(world, first, second, noted)
    # THEN it comes again by its want
    row = unended(world)
    assert [want.request_id for want in world.table.wants.all()] == [row.request_id]


def test_nor_does_it_take_the_note_of_a_push_whose_want_still_stands(world: World) -> None:
    # GIVEN a run that no message brought, and a push that leaves its note, and clears its want then
    first, second, third = (make_request(n) for n in (1, 2, 3))

    def noted() -> None:
        now = world.clock.now()
        world.table.wants.note(third, now)
        assert world.table.locks.ask_again("web", third.request_id, now, pushed_at=third.pushed_at)
        world.source.on_fetch = joins

    def joins() -> None:
        world.table.wants.clear([third])
        world.kill()

    # WHEN the host is lost in its next fetch
    with pytest.raises(Killed):
        run_again(world, first, second, noted)
    # THEN whoever comes next finds the note
    assert world.table.wants.all() == []
    assert world.table.locks.get("web").again == third.request_id
