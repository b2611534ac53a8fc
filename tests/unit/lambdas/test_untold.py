"""What follows from an outcome is done, whatever happens to the lock between the two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.follower import unbuilt
from slipway.contracts.errors import WorldFailed
from slipway.contracts.messages import Target
from tests import scripted_ecs as ecs
from tests.unit.lambdas.test_unbuilt import V6, A, B, Here, request_of, rollback


def refused(_result: Any) -> None:
    raise WorldFailed("the topic does not answer")


class Untold(Here):
    """A redeploy whose outcome is recorded, and told to nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.ran(V6)
        self.built(A)
        self.hears(request_of("redeploy"))
        deployment = self.chain.said.deployment
        self.chain.said.deployment = refused  # type: ignore[method-assign]
        self.scripted.clock.sleep(60.0)
        _due, self.message = self.chain.queue.pop()
        self.receives(self.message)
        self.chain.said.deployment = deployment  # type: ignore[method-assign]
        self.chain.queue.clear()
        self.first = self.row().deployment_id
        assert self.row().status == "succeeded"
        assert self.table.locks.get("web").untold == self.first

    def told(self) -> list[str]:
        return [result.deployment_id for result in self.chain.said.told]


def test_the_next_outcome_is_recorded_after_what_was_not_told() -> None:
    # GIVEN an outcome whose recorder died, and whose message is lost
    here = Untold()
    # WHEN a rollback comes to its end before the reconciler's look
    here.hears(rollback(2))
    here.goes_on()
    # THEN both are told, in order
    assert here.told() == [here.first, here.row().deployment_id]
    assert here.table.locks.get("web").untold is None


def test_its_message_tells_it_though_the_lock_has_forgotten_it() -> None:
    here = Untold()
    here.table.locks.told("web", here.first)
    here.receives(here.message)
    assert here.told() == [here.first]
    # AND once only
    here.receives(here.message)
    assert here.told() == [here.first]


def test_what_waits_with_its_want_alone_is_asked_for_though_the_lock_is_taken() -> None:
    # GIVEN a rollout under way, and a redeploy that waits for its end
    here = Here(ecs.becomes_healthy(2.0))
    here.built(A)
    here.built(B)
    here.hears(request_of("redeploy"))
    waiting = request_of("redeploy", 2, target=Target(kind="commit", commit_id=B))
    here.hears(waiting)
    assert (here.back, here.asked) == ([], [])
    # WHEN an agent takes the lock as soon as it is free
    deployment = here.chain.said.deployment

    def taken(result: Any) -> None:
        assert here.table.locks.take("web", "i-1/boot", here.scripted.clock.now(), ttl=330)
        deployment(result)

    here.chain.said.deployment = taken  # type: ignore[method-assign]
    push = request_of("push", 3)
    here.table.wants.note(push, here.scripted.clock.now(), builder=True)
    here.goes_on()
    # THEN the one comes again; the other lies in the build queue, where the agent finds it
    published = [request.request_id for request in here.chain.said.published]
    assert published == [waiting.request_id]


def test_nothing_gives_way_to_a_rollback_that_will_be_refused() -> None:
    # GIVEN a rollout under way
    here = Here(ecs.never_steady)
    here.built(A)
    here.hears(request_of("redeploy"))
    # WHEN a rollback to what never ran comes, THEN it waits for the end, and is refused then
    request = rollback(2)
    here.hears(request)
    assert here.row().is_followed
    assert here.table.locks.get("web").takeover is None
    assert here.back == [(request, unbuilt.GIVES_WAY)]


def test_who_could_not_give_way_is_followed_at_once() -> None:
    # GIVEN a rollout whose outcome cannot be recorded just now
    here = Here(ecs.never_steady)
    here.ran(V6)
    here.built(A)
    here.hears(request_of("redeploy"))
    here.scripted.clock.sleep(3.0)
    finish = here.table.deployments.finish

    def unanswered(*_arguments: Any, **_values: Any) -> bool:
        raise WorldFailed("the table does not answer")

    here.table.deployments.finish = unanswered
    # WHEN a rollback asks it to give way
    here.hears(rollback(2))
    here.table.deployments.finish = finish
    # THEN nobody keeps its claim
    assert here.table.deployments.newest("web", 1)[0].claimed_by is None


def test_what_is_recorded_is_never_given_up() -> None:
    # GIVEN a rollback that was refused, and a topic that does not answer for long
    here = Here()
    here.chain.said.deployment = refused  # type: ignore[method-assign]
    request = rollback()
    for _ in range(12):
        here.hears(request)
    # THEN it is tried again each time; it is no dead letter
    assert here.chain.said.dead == []
    assert len(here.back) == 12


@pytest.mark.parametrize("healthy", [True, False])
def test_a_pipeline_that_is_not_configured_any_more_is_told_of(healthy: bool) -> None:
    # GIVEN a rollout whose pipeline is taken out of the configuration
    here = Here(ecs.becomes_healthy(2.0) if healthy else ecs.breaker_fails)
    here.built(A)
    here.hears(request_of("redeploy"))
    whole = here.world

    def without() -> Any:
        world = whole()
        installation = replace(world.installation, pipelines=())
        ending = replace(world.parts.ending, installation=installation)
        parts = replace(world.parts, installation=installation, ending=ending)
        return replace(world, installation=installation, parts=parts)

    here.world = without  # type: ignore[method-assign]
    # WHEN
    here.goes_on()
    # THEN
    assert [told.status for told in here.chain.said.told] == [
        "succeeded" if healthy else "rolled_back"
    ]
    assert here.table.locks.get("web").untold is None


def test_a_crash_after_the_record_is_told_by_the_next_delivery() -> None:
    # GIVEN a rollback that was refused, whose telling failed
    here = Here()
    deployment = here.chain.said.deployment
    here.chain.said.deployment = refused  # type: ignore[method-assign]
    request = rollback()
    here.hears(request)
    assert here.row().status == "failed"
    here.chain.said.deployment = deployment  # type: ignore[method-assign]
    # WHEN
    here.hears(request)
    # THEN
    assert [told.status for told in here.chain.said.told] == ["failed"]
    assert here.table.wants.all() == []
