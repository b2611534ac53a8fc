"""What several runs want at once: done by one, with what the others get of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from build_agent.host import waiting
from build_agent.host.flights import Flights
from build_agent.host.gate import Gate
from build_agent.host.stop import Interrupted, Stop
from slipway.contracts.errors import DeploymentFailed
from tests.unit.build_agent.host.several import PATIENCE, Door, Run, until


class Airport:
    """Work that is numbered as it is done, and stands still at a door."""

    def __init__(self) -> None:
        self.flights: Flights[int] = Flights()
        self.door = Door()
        self.done = 0

    def ask(self, what: str = "w", *, lane: str = "lane", work: Callable[[], int] | None = None
            ) -> Run[int]:  # fmt: skip
        waits = self.flights.waits(lane)
        asked = Run(lambda stop: self.flights.share(lane, what, work or self.work, stop=stop))
        until(lambda: self.flights.waits(lane) > waits)
        return asked

    def work(self) -> int:
        self.door()
        self.done += 1
        return self.done


@pytest.fixture
def airport() -> Airport:
    return Airport()


def under_way(airport: Airport) -> Run[int]:
    """A first run, whose work has begun."""
    first = airport.ask()
    until(lambda: airport.door.reached == 1)
    return first


def test_who_asks_during_the_work_shares_the_next_and_not_this_one(airport: Airport) -> None:
    first = under_way(airport)
    late = [airport.ask() for _ in range(5)]
    airport.door.open()
    assert first.result() == 1
    assert [run.result() for run in late] == [2] * 5
    assert airport.done == 2


def test_other_work_in_the_lane_waits_and_in_another_lane_does_not(airport: Airport) -> None:
    first = under_way(airport)
    other, elsewhere = airport.ask("other"), airport.ask(lane="elsewhere")
    until(lambda: airport.door.reached == 2)
    airport.door.open()
    assert {first.result(), elsewhere.result(), other.result()} == {1, 2, 3}
    assert airport.door.at_once == 2


def test_who_waits_and_is_stopped_leaves_at_once(airport: Airport) -> None:
    first = under_way(airport)
    late = airport.ask()
    late.stop.request("SIGTERM")
    with pytest.raises(Interrupted, match="SIGTERM"):
        late.result()
    assert not first.is_over
    airport.door.open()
    assert (first.result(), airport.done) == (1, 1)


@pytest.mark.parametrize("error", [Interrupted("stopped"), DeploymentFailed("no branch")])
def test_the_failure_of_one_is_nobody_elses(airport: Airport, error: Exception) -> None:
    # GIVEN two that wait, and one of them whose work will fail
    first = under_way(airport)

    def fail() -> int:
        raise error

    failing, late = airport.ask(work=fail), airport.ask()
    airport.door.open()
    # THEN the other does it by itself
    first.result()
    with pytest.raises(type(error)):
        failing.result()
    assert late.result() == 2


def test_a_long_wait_gives_signs_of_life(airport: Airport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PULSE", 0.001)
    first, signs = under_way(airport), []
    late = Run(lambda stop: airport.flights.share(
        "lane", "w", airport.work, stop=stop, waiting=lambda: signs.append("waits")
    ))  # fmt: skip
    until(lambda: len(signs) > 2)
    airport.door.open()
    assert (first.result(), late.result()) == (1, 2)


def test_nothing_is_kept_of_what_is_over(airport: Airport) -> None:
    airport.door.open()
    for _ in range(3):
        airport.flights.share("lane", "w", airport.work, stop=Stop())
    assert airport.flights._wishes == {}


def test_nobody_waits_for_work_that_hangs_once_its_run_is_given_up(airport: Airport) -> None:
    # GIVEN work that is told to end and does not, and one who waits for it
    hanging = under_way(airport)
    late = airport.ask(work=lambda: 7)
    hanging.stop.request("no progress")
    assert not late.is_over
    # WHEN
    hanging.stop.give_up()
    airport.flights._board._wake()  # as each pulse does
    # THEN the other does it, and what the hanging one comes to in the end is its own
    assert late.result() == 7
    airport.door.open()
    assert hanging.result() == 1
    assert airport.flights.waits("lane") == 0


def test_who_ends_after_it_was_given_up_lets_nobody_begin_beside_its_successor() -> None:
    # GIVEN two that waited together; the first of them hangs, and the second is at it in its place
    airport, doors = Airport(), [Door() for _ in range(4)]
    before = airport.ask(work=lambda: (doors[0](), 0)[1])
    hanging = airport.ask(work=lambda: (doors[1](), 1)[1])
    successor = airport.ask(work=lambda: (doors[2](), 2)[1])
    doors[0].open()
    assert before.result() == 0
    until(lambda: doors[1].reached)
    hanging.stop.give_up()
    airport.flights._board._wake()
    until(lambda: doors[2].reached)
    # WHEN the first ends after all
    doors[1].open()
    assert hanging.result() == 1
    # THEN whoever comes now waits for the second, which has its own result
    late = airport.ask(work=lambda: (doors[3](), 3)[1])
    assert doors[3].reached == 0
    doors[2].open()
    assert successor.result() == 2
    doors[3].open()
    assert late.result() == 3


# --- the gate


def test_many_use_it_at_once_and_who_changes_it_is_alone() -> None:
    gate, inside, changing = Gate(), Door(), Door()

    def use(stop: Stop) -> None:
        with gate.use(stop=stop):
            inside()

    def change(stop: Stop) -> int:
        with gate.alone(stop=stop):
            changing()
            return gate.using

    users = [Run(use), Run(use)]
    until(lambda: inside.reached == 2)
    # WHEN one wants to change it, THEN he waits, and who comes after him waits for him
    changer = Run(change)
    until(lambda: gate._wanting)
    later = Run(use)
    inside.open()
    for user in users:
        user.result()
    until(lambda: changing.reached)
    assert (inside.reached, later.is_over) == (2, False)
    changing.open()
    assert changer.result() == 0
    later.result()


def test_the_gate_waits_for_nobody_who_is_given_up() -> None:
    gate, inside, alone = Gate(), Door(), Door()

    def use(stop: Stop) -> None:
        with gate.use(stop=stop):
            inside()

    def change(stop: Stop) -> None:
        with gate.alone(stop=stop):
            alone()

    # GIVEN one who hangs inside, and one who waits to be alone
    hanging = Run(use)
    until(lambda: gate.using == 1)
    changer = Run(change)
    until(lambda: gate._wanting)
    # WHEN the first is given up THEN the other is alone, and hangs, too
    hanging.stop.give_up()
    gate._board._wake()
    until(lambda: alone.reached)
    # WHEN that one is given up THEN whoever comes is let in, as if neither were there
    changer.stop.give_up()
    with gate.use(stop=Stop()):
        assert gate.using == 1
        inside.open()
        alone.open()
        hanging.result()
        changer.result()
        assert gate.using == 1
    assert gate.using == 0


def test_who_gives_up_the_wait_leaves_the_gate_open() -> None:
    gate, inside = Gate(), Door()

    def use(stop: Stop) -> None:
        with gate.use(stop=stop):
            inside()

    def change(stop: Stop) -> None:
        with gate.alone(stop=stop):
            raise AssertionError("somebody is inside")

    user = Run(use)
    until(lambda: inside.reached)
    changer = Run(change)
    until(lambda: gate._wanting)
    changer.stop.request("SIGTERM")
    with pytest.raises(Interrupted):
        changer.result()
    inside.open()
    user.result()
    Run(use).result()


# --- the stop itself


def test_a_stop_wakes_who_waits_and_who_comes_after_it() -> None:
    stop, woken = Stop(), threading.Event()
    with stop.waking(woken.set):
        stop.request("now")
        assert woken.wait(PATIENCE)
    late: list[str] = []
    with stop.waking(lambda: late.append(stop.reason)):
        assert late == ["now"]
    stop.request("again")
    assert late == ["now"]
