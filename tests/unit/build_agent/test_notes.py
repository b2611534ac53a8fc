"""The note of a push that has joined a run outlives whatever ends that run before its fetch."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import EndpointConnectionError

from slipway.contracts.errors import DeploymentFailed
from tests.aws.answers import instead
from tests.unit.build_agent.fakes import B
from tests.unit.build_agent.test_dispatch import push_to, several
from tests.unit.build_agent.test_newer_pushes import cancel, joined, joins_in_the_fetch
from tests.unit.build_agent.world import World


def repeating(client: Any) -> None:
    """The client got no answer to the taking of a note, and asks once more, as botocore does."""
    update = client.update_item

    def repeated(**request: Any) -> Any:
        if request["UpdateExpression"].startswith("REMOVE again"):
            update(**request)
        return update(**request)

    instead(client, "update_item", repeated)


def test_what_has_joined_is_built_though_an_answer_was_lost(aws: Any) -> None:
    # GIVEN a push that joins a run, and a lost answer as its note is taken
    world = several(aws)
    repeating(world.dynamodb)

    def noted() -> None:
        world.source.on_fetch = lambda: None
        world.source.tip = B
        joined(world, push_to("web", 2))

    world.source.on_fetch = noted
    world.send(push_to("web", 1))
    # WHEN
    world.worker(slots=1).step()
    # THEN no message of it is left, no want and no note
    assert world.table.locks.get("web").again is None
    assert world.images.built == [B]


def test_it_runs_though_the_cancel_of_that_run_could_not_be_told(aws: Any) -> None:
    # GIVEN a run that a push has joined, which is cancelled before it fetches that one
    world = several(aws)
    first, second = push_to("web", 1), push_to("web", 2)
    world.send(first)

    def cancelled() -> None:
        world.source.on_fetch = lambda: None
        world.topic.fail = EndpointConnectionError(endpoint_url="https://sns")
        cancel(world)

    joins_in_the_fetch(world, second, cancelled)
    worker = world.worker(slots=1)
    worker.step()
    # WHEN it comes again, and is only told and settled
    world.topic.fail = None
    world.redeliver(first)
    worker.step()
    # THEN the push that nobody cancelled is fetched
    assert world.outcome(first) == "cancelled"
    assert statuses(world) == ["cancelled", "succeeded"]


def test_it_comes_again_though_the_host_stood_still_as_that_run_was_cancelled(aws: Any) -> None:
    # GIVEN such a run, whose lock runs out, which nobody else wants
    world = several(aws)
    first, second = push_to("web", 1), push_to("web", 2)
    world.send(first)

    def cancelled() -> None:
        world.source.on_fetch = lambda: None
        world.source.tip = B
        (work,) = world.keeper.works
        assert world.table.following.ask_cancel(work.deployment_id or "", "eve")
        world.clock.pass_by(world.installation.limits.lock_ttl + 1)
        world.keeper.beat()
        work.stop.check()

    # WHEN its end is recorded all the same
    joins_in_the_fetch(world, second, cancelled)
    world.worker(slots=1).step()
    # THEN that push has its want, by which it comes again
    assert world.outcome(first) == "cancelled"
    assert [want.pushed_at for want in world.table.wants.all()] == [second.pushed_at]


def test_a_tip_that_is_refused_is_what_the_note_asked_for(aws: Any) -> None:
    # GIVEN a push that joins a run, and whose commit git refuses
    world = several(aws)

    def refused() -> None:
        raise DeploymentFailed("git refuses an object", stage="fetch", commit_id=B)

    joins_in_the_fetch(world, push_to("web", 2), refused)
    world.send(push_to("web", 1))
    # WHEN
    world.worker(slots=1).step()
    # THEN that is told once, and not asked of git again
    assert statuses(world) == ["failed"]
    assert world.source.fetched == [None, None]


def test_a_note_that_stays_is_fetched_for_once(aws: Any) -> None:
    # GIVEN a run that no message brought, and a push whose want stands beside its note
    world, third = several(aws), push_to("web", 3)
    fetches: list[int] = []

    def fails() -> None:
        world.images.on_build = lambda: fetches.append(len(world.source.fetched))
        world.source.on_fetch = half_joined
        joined(world, push_to("web", 2))
        raise DeploymentFailed("exit code 1", stage="build")

    def half_joined() -> None:
        world.source.on_fetch = lambda: None
        world.source.tip = B
        now = world.clock.now()
        world.table.wants.note(third, now)
        assert world.table.locks.ask_again("web", third.request_id, now, pushed_at=third.pushed_at)

    world.images.on_build = fails
    world.send(push_to("web", 1))
    # WHEN
    world.worker(slots=1).step()
    # THEN one fetch of each run came before its build, and one for the push that joins
    assert fetches == [3]


def statuses(world: World) -> list[str]:
    return sorted(row.status or "" for row in world.table.deployments.newest("web", 9))
