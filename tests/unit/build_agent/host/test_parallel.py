"""What is done at the same time, and that nothing that was received is lost by it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from build_agent.host.parallel import Parallel, Threads, ahead, one_by_one
from build_agent.host.stop import Stop
from build_agent.queue.inbox import Message
from slipway.contracts.errors import WorldFailed
from tests.unit.build_agent.host.several import Run
from tests.unit.build_agent.world import World, make_request

PATIENCE = 10.0


def failing() -> Any:
    raise WorldFailed("no")


@pytest.mark.parametrize("parallel", [one_by_one, Threads(2)])
def test_the_results_are_in_order(parallel: Parallel) -> None:
    assert parallel([]) == []
    assert parallel([lambda: 1, lambda: 2, lambda: 3]) == [1, 2, 3]


def test_they_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=PATIENCE)
    Threads(1)([both.wait, both.wait])


@pytest.mark.parametrize("failing_first", [True, False])
def test_an_error_is_raised_when_all_have_ended(failing_first: bool) -> None:
    begun, ended = threading.Event(), []

    def slow() -> None:
        begun.wait(PATIENCE)
        ended.append("slow")

    def fails() -> None:
        begun.set()
        failing()

    with pytest.raises(WorldFailed):
        Threads(2)([fails, slow] if failing_first else [slow, fails])
    assert ended == ["slow"]


def test_one_of_them_may_ask_for_more() -> None:
    threads = Threads(3)
    many: list[Callable[[], int]] = [lambda: 1] * 20
    assert threads([lambda: threads(many), lambda: threads(many)]) == [[1] * 20, [1] * 20]


def test_runs_that_ask_for_more_never_wait_for_each_others_threads() -> None:
    # GIVEN two runs at once, each of whose functions asks for more, and one thread for both
    threads = Threads(1)
    inside = threading.Barrier(2, timeout=PATIENCE)

    def asks(_stop: Stop) -> list[Any]:
        def nested() -> list[int]:
            return threads([lambda: 1, lambda: 2])

        def first() -> list[int]:
            inside.wait()
            return nested()

        return threads([first, nested, nested])

    runs = [Run(asks), Run(asks)]
    assert [run.result() for run in runs] == [[[1, 2]] * 3] * 2


def test_what_is_begun_ahead_answers_or_raises_when_asked() -> None:
    begun = threading.Event()
    answer = ahead(lambda: begun.set() or 7)
    assert begun.wait(PATIENCE)
    assert (answer(), answer()) == (7, 7)
    with pytest.raises(WorldFailed):
        ahead(failing)()


def test_what_was_received_while_the_rest_failed_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN more than one receive brings, and a table that fails while the rest is received
    world.send(*(make_request(number) for number in range(25)))
    worker = world.worker(parallel=Threads(20))
    held = threading.Event()
    hold = world.keeper.hold

    def holding(messages: list[Message]) -> None:
        hold(messages)
        if len(world.keeper.held) > 10:
            held.set()

    def settled(_ids: list[str]) -> dict[str, Any]:
        failing()
        raise AssertionError

    monkeypatch.setattr(world.keeper, "hold", holding)
    monkeypatch.setattr(worker._intake._table.requests, "settled", settled)
    # WHEN
    with pytest.raises(WorldFailed):
        worker.step()
    # THEN all were received, and all are back in the queue
    assert held.is_set()
    assert world.queued() == (25, 0)
    assert world.keeper.held == ()


def test_the_service_is_looked_at_while_the_commit_is_fetched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)
    running = world.services.running

    def looking(*positional: Any, **named: Any) -> Any:
        both.wait()
        return running(*positional, **named)

    monkeypatch.setattr(world.services, "running", looking)
    world.source.on_fetch = lambda: (both.wait(), None)[1]
    request = make_request(1)
    world.send(request)
    assert world.worker(parallel=Threads(20)).step() == "worked"
    assert world.outcome(request) == "succeeded"
