"""What runs together in simulated time: answers in order, errors, nesting, kills, freezing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.clockwork import Clockwork


class Ran:
    """A fiber that asks for things together; what happened when, and how it ended."""

    def __init__(self, ask: Callable[[Ran], Any]) -> None:
        self.clock = Clockwork(0.0)
        self.happened: list[str] = []
        self.answer: Any = None
        self.fiber = self.clock.spawn(lambda: self._run(ask))

    def _run(self, ask: Callable[[Ran], Any]) -> None:
        self.answer = ask(self)

    def together(self, *functions: Callable[[], Any]) -> list[Any]:
        return self.clock.together(functions, lambda: 0.1)

    def after(self, seconds: float, name: str) -> Callable[[], str]:
        """A function that takes so long."""

        def function() -> str:
            self.clock.sleep(seconds)
            self.happened.append(f"{name} {self.clock.time:.1f}")
            return name

        return function


def test_what_is_asked_together_overlaps_and_is_answered_in_order():
    ran = Ran(lambda r: r.together(r.after(3, "a"), r.after(1, "b"), r.after(2, "c")))
    ran.clock.run_until(10)
    assert ran.answer == ["a", "b", "c"]
    assert ran.happened == ["b 1.1", "c 2.1", "a 3.0"]
    assert ran.fiber.done


def test_one_that_asks_for_more_itself_does_not_end_the_waiting():
    # GIVEN the first of two asks for two more, and is done before the second
    def ask(ran: Ran) -> Any:
        def more() -> Any:
            return ran.together(ran.after(1, "a"), ran.after(1, "b"))

        return ran.together(more, ran.after(5, "c"))

    ran = Ran(ask)
    ran.clock.run_until(10)
    assert ran.answer == [["a", "b"], "c"]
    assert ran.fiber.beside == []


def test_an_error_is_raised_when_all_have_ended():
    def fails() -> None:
        raise OSError("no")

    def ask(ran: Ran) -> Any:
        with pytest.raises(OSError, match="no"):
            ran.together(fails, ran.after(2, "b"))
        return ran.happened

    ran = Ran(ask)
    ran.clock.run_until(10)
    assert ran.answer == ["b 2.1"]


def test_killed_or_frozen_with_the_one_that_asked():
    ran = Ran(lambda r: r.together(r.after(3, "a"), r.after(3, "b")))
    ran.fiber.freeze(5.0)
    ran.clock.run_until(4)
    assert ran.happened == []
    ran.clock.kill(ran.fiber)
    ran.clock.run_until(10)
    assert ran.happened == []
    assert not ran.clock.fibers
