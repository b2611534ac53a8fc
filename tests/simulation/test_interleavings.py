"""A request that is only noted, its delivery lost, at every point of another one's deployment.

Histories meet such a race by chance; here it comes before each call to the table in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from contracts.messages import BuildRequest, request_id_of
from tests.simulation.dynamodb import FakeDynamoDB
from tests.simulation.guards import Guard
from tests.simulation.invariants import check_at_rest
from tests.simulation.world import START, Violation, World

CALLS = ("get_item", "query", "batch_get_item", "put_item", "update_item", "delete_item",
         "transact_write_items")  # fmt: skip
DEPLOYED = 900.0
"""Seconds in which the first push is deployed, and its host sleeps again."""
REST = 9000.0
EXACT = "request_id = :id"


def interrupted(client: FakeDynamoDB, at: int, meanwhile: Callable[[], None]) -> list[str]:
    """Have `meanwhile` happen right before the table's `at`-th call; the calls that there were."""
    made: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def made_call(**arguments: Any) -> Any:
            made.append(name)
            if len(made) == at:
                meanwhile()
            return call(**arguments)

        return made_call

    for name in CALLS:
        setattr(client, name, counted(name, getattr(client, name)))
    return made


def run_with_a_note(at: int, client: FakeDynamoDB) -> list[str]:
    """Push, note a second push before call `at`, run to rest; the calls of the first deployment."""
    world = World(
        1, pipelines=1, hosts=1, faults=frozenset(), calm_after=0.0, client=lambda: client
    )
    made = interrupted(client, at, lambda: note_a_push(world))
    world.push("shop", "good")
    world.clockwork.run_until(START + DEPLOYED)
    deployed = list(made)
    world.clockwork.run_until(START + REST)
    assert world.at_rest
    check_at_rest(world)
    if not all(world.table.requests.settled([request_id]) for request_id in world.started):
        raise Violation("what was noted was forgotten")
    return deployed


def note_a_push(world: World) -> None:
    """What a push leaves whose message never comes to the queue: its want, by the starter."""
    repository = world.repositories["shop"]
    repository.tips.append(f"{0xB:040x}")
    request = BuildRequest(
        request_id=request_id_of("second", "shop", repository.tip),
        pipeline="shop",
        commit_id=repository.tip,
        pushed_by="ada",
        pushed_at=world.clockwork.time,
        reason="push",
    )
    world.accepted[request.request_id] = request
    world._start(request.to_json(), request.request_id)


def violations(make: Callable[[], FakeDynamoDB]) -> Iterator[str]:
    """The promises that are broken, by the call before which the note comes."""
    for at in range(1, len(run_with_a_note(0, make())) + 1):
        try:
            run_with_a_note(at, make())
        except Violation as violation:
            yield f"before call {at}: {violation}"


def test_a_request_that_is_noted_in_between_has_its_outcome():
    assert list(violations(FakeDynamoDB)) == []


def test_without_the_exact_condition_a_want_is_cleared_for_another():
    guard = Guard(
        "a want is cleared for its own request", conditions=((EXACT, "attribute_exists(pk)"),)
    )
    with guard.out() as client:
        assert "what was noted was forgotten" in next(violations(client))
