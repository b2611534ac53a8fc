"""Jobs of one run, where slots are free."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from build_agent.host.side_by_side import side_by_side
from build_agent.host.slots import RunSlots, Slots
from build_agent.host.stop import Interrupted, Stop
from slipway.contracts.errors import DeploymentFailed
from tests.unit.build_agent.host.several import PATIENCE, Door, Run, until

Job = Callable[[Stop], int]


def numbered(count: int, door: Door) -> list[Job]:
    def job(number: int) -> Job:
        def do(_stop: Stop) -> int:
            door()
            return number

        return do

    return [job(number) for number in range(count)]


def test_as_many_as_there_are_slots_and_the_results_in_order() -> None:
    door, slots = Door(), Slots(2)
    run = Run(lambda stop: side_by_side(numbered(5, door), slots=slots, stop=stop))
    until(lambda: door.reached == 3)  # its own slot, and two that were free
    door.open()
    assert run.result() == [0, 1, 2, 3, 4]
    assert (door.at_once, slots.free) == (3, 2)


def test_without_a_free_slot_it_is_one_by_one_in_the_callers_thread() -> None:
    here: list[threading.Thread] = []

    def job(_stop: Stop) -> int:
        here.append(threading.current_thread())
        return len(here)

    assert side_by_side([job, job, job], slots=Slots(0), stop=Stop()) == [1, 2, 3]
    assert set(here) == {threading.current_thread()}


def test_a_slot_that_becomes_free_is_taken() -> None:
    slots, both = Slots(1), threading.Barrier(2, timeout=PATIENCE)
    assert slots.take()

    def first(_stop: Stop) -> int:
        slots.give_back()
        return 1

    def meets(_stop: Stop) -> int:
        both.wait()
        return 2

    assert side_by_side([first, meets, meets], slots=slots, stop=Stop()) == [1, 2, 2]
    assert slots.free == 1


def waits(stop: Stop) -> int:
    assert stop.wait(PATIENCE)
    raise Interrupted(stop.reason)


def test_the_first_failure_ends_the_others_and_is_told() -> None:
    begun, slots = threading.Event(), Slots(1)
    not_begun: list[int] = []
    ended: list[bool] = []

    def fails(_stop: Stop) -> int:
        assert begun.wait(PATIENCE)
        raise DeploymentFailed("no Dockerfile")

    def waits_for_its_end(stop: Stop) -> int:
        begun.set()
        ended.append(stop.wait(PATIENCE))
        raise Interrupted(stop.reason)

    def comes_too_late(_stop: Stop) -> int:
        not_begun.append(1)
        return 1

    jobs: list[Job] = [waits_for_its_end, fails, comes_too_late]
    with pytest.raises(DeploymentFailed, match="no Dockerfile"):
        side_by_side(jobs, slots=slots, stop=Stop())
    assert (ended, not_begun, slots.free) == ([True], [], 1)


def test_a_stop_of_the_run_ends_them_all() -> None:
    slots = Slots(1)
    run = Run(lambda stop: side_by_side([waits, waits, waits], slots=slots, stop=stop))
    until(lambda: slots.free == 0)
    run.stop.request("SIGTERM")
    with pytest.raises(Interrupted, match="SIGTERM"):
        run.result()
    assert slots.free == 1


def test_no_thread_outlives_its_run() -> None:
    before = set(threading.enumerate())
    door = Door()
    door.open()
    side_by_side(numbered(20, door), slots=Slots(8), stop=Stop())
    assert set(threading.enumerate()) <= before


def test_more_slots_are_not_given_back_than_there_are() -> None:
    slots = Slots(1)
    with pytest.raises(AssertionError, match="nobody had taken"):
        slots.give_back()
    assert (slots.take(), slots.take(), slots.free) == (True, False, 0)


def test_what_a_run_is_given_up_with_is_free_at_once() -> None:
    # GIVEN a run with a slot of its own, and a helper that hangs in another
    slots, door = Slots(2), Door()
    mine = RunSlots(slots)
    assert mine.take()
    run = Run(lambda stop: side_by_side(numbered(2, door), slots=mine, stop=stop))
    until(lambda: door.reached == 2)
    assert (mine.held, slots.free) == (2, 0)
    # WHEN
    assert mine.let_go()
    # THEN both are free, AND what ends later gives back nothing, and takes nothing
    assert (mine.held, slots.free, mine.take()) == (0, 2, False)
    door.open()
    assert run.result() == [0, 1]
    mine.give_back()
    assert (slots.free, mine.let_go()) == (2, False)


def test_a_part_of_what_is_given_up_is_given_up() -> None:
    whole, seen = Stop(), []

    def job(part: Stop) -> int:
        whole.give_up()
        seen.append(part.is_given_up)
        return 1

    assert side_by_side([job], slots=Slots(0), stop=whole) == [1]
    assert seen == [True]
