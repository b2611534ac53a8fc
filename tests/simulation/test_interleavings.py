"""Two workers' calls to the table in every order, where histories meet the race by chance.

A request that is only noted, its delivery lost, at every point of another one's deployment; and a
request that came to two hosts, which one joins to the other's run of that very request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from build_agent.queue.overtaken import Overtaken
from slipway.contracts.messages import BuildRequest, request_id_of
from slipway.contracts.table.requests import Requests, Settled
from tests.aws.answers import instead
from tests.simulation.dynamodb import FakeDynamoDB
from tests.simulation.guards import WITHOUT_DRIFT, Guard
from tests.simulation.invariants import check_at_rest
from tests.simulation.world import START, Violation, World, calm_world

CALLS = ("get_item", "query", "batch_get_item", "put_item", "update_item", "delete_item",
         "transact_write_items")  # fmt: skip
DEPLOYED = 900.0
"""Seconds in which the first push is deployed, and its host sleeps again."""
REST = 9000.0
EXACT = "request_id = :id"


def interrupted(client: FakeDynamoDB, steps: Callable[[int], None]) -> list[str]:
    """Have `steps` called with the number of each call to the table; the calls there were.

    What `steps` calls itself is not counted.
    """
    made: list[str] = []
    stepping = False

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def made_call(**arguments: Any) -> Any:
            nonlocal stepping
            if not stepping:
                made.append(name)
                stepping = True
                steps(len(made))
                stepping = False
            return call(**arguments)

        return made_call

    for name in CALLS:
        instead(client, name, counted(name, getattr(client, name)))
    return made


def run_with_a_note(at: int, client: FakeDynamoDB) -> list[str]:
    """Push, note a second push before call `at`, run to rest; the calls of the first deployment."""
    world = calm_world(lambda: client)
    world.long_builds = 0.0
    made = interrupted(client, lambda call: note_a_push(world) if call == at else None)
    world.people.push("shop", "good")
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
    repository.move(f"{0xB:040x}", world.clockwork.time)
    request = BuildRequest(
        request_id=request_id_of("second", "shop", repository.tip),
        pipeline="shop",
        commit_id=repository.tip,
        pushed_by="ada",
        pushed_at=world.clockwork.time,
        reason="push",
    )
    world.accepted[request.request_id] = request
    world.functions.start(request, {})


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


# --- a request that came to two hosts

GIT_IS_BACK = 40.0
"""Seconds until git answers: one attempt at the request fails by then, after it had begun."""


class SecondHost:
    """What a second host does with the same message: two calls, each at a moment of its own."""

    def __init__(self, world: World, asks_at: int, joins_at: int) -> None:
        self._world = world
        self._moments = asks_at, joins_at
        self.asked: BuildRequest | None = None

    def step(self, call: int) -> None:
        asks_at, joins_at = self._moments
        if call == asks_at:
            self._ask()
        if call == joins_at and self.asked is not None:
            self._join(self.asked)

    def _ask(self) -> None:
        (request,) = self._world.accepted.values()
        locks, now = self._world.table.locks, self._world.clockwork.time
        if locks.ask_again("shop", request.request_id, now, by="ada", pushed_at=request.pushed_at):
            self.asked = request

    def _join(self, request: BuildRequest) -> None:
        now = self._world.clockwork.time
        outcome = Settled(
            request_id=request.request_id, outcome="joined", pipeline="shop", settled_at=now
        )
        if self._world.table.requests.join(outcome, kept=9999.0):
            self._world.table.wants.clear([request])
            self._world.queues["build"].messages.clear()


def run_with_a_second_host(asks_at: int, joins_at: int) -> tuple[int, bool]:
    """Push, have the other host ask and join; the calls until git had failed, and if it asked.

    It asks in vain while nobody holds the pipeline's lock.
    """
    client = FakeDynamoDB()
    world = calm_world(lambda: client)
    world.git_is_back_at = START + GIT_IS_BACK
    other = SecondHost(world, asks_at, joins_at)
    made = interrupted(client, other.step)
    world.people.push("shop", "good")
    world.clockwork.run_until(START + GIT_IS_BACK)
    until_failed = len(made)
    world.clockwork.run_until(START + REST)
    assert world.at_rest
    check_at_rest(world)
    return until_failed, other.asked is not None


def lost_requests() -> Iterator[str]:
    """The promises that are broken, by the calls before which the other host asks and joins."""
    last, _ = run_with_a_second_host(0, 0)
    for asks_at in range(1, last + 1):
        for joins_at in range(asks_at, last + 1):
            try:
                _, asked = run_with_a_second_host(asks_at, joins_at)
            except Violation as violation:
                yield f"asks before call {asks_at}, joins before {joins_at}: {violation}"
            else:
                if not asked:
                    break


@pytest.fixture
def without_drift() -> Iterator[None]:
    with WITHOUT_DRIFT.out():
        yield


@pytest.mark.usefixtures("without_drift")
def test_a_request_that_came_to_two_hosts_is_not_joined_to_its_own_failing_run():
    assert list(lost_requests()) == []


def joined_whatever_was_begun(requests: Requests, outcome: Settled, *, kept: float) -> bool:
    return requests.settle_once(outcome, kept=kept)


def begun_whatever_was_joined(
    requests: Requests, request_id: str, deployment_id: str, now: float, *, kept: float
) -> str:
    row = {"pk": f"REQUEST#{request_id}", "sk": "-", "request_id": request_id}
    row["deployment_id"] = deployment_id
    requests._store.put(row, condition="attribute_not_exists(pk)")
    return requests.deployments_of([request_id])[request_id]


def taken_as_it_is_seen(overtaken: Overtaken) -> bool:
    row = overtaken._table.locks.get(overtaken._request.pipeline)
    if row.again is None:
        return False
    overtaken._table.locks.take_again(overtaken._work.lock, row.again)
    return True


@pytest.mark.usefixtures("without_drift")
@pytest.mark.parametrize(
    ("move", "stand_in"),
    [("join", joined_whatever_was_begun), ("point", begun_whatever_was_joined)],
)
def test_without_either_condition_a_request_is_lost_if_its_note_goes_before_the_fetch(
    move, stand_in
):
    target = f"slipway.contracts.table.requests.Requests.{move}"
    early = ("build_agent.queue.overtaken.Overtaken.is_joined", taken_as_it_is_seen)
    with Guard(move, patches=((target, stand_in), early)).out():
        assert "has no outcome" in next(lost_requests())
