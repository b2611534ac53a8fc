"""Simulated time: events in order, and code that waits in the middle of what it does.

All of the real code runs on one thread. Code that must be able to wait half-way (a worker in a
build, a slow Lambda) runs in a `Fiber`: a stack of its own that moves only while the main loop
waits for it, so that a seed fixes every step.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from greenlet import getcurrent, greenlet

LOOK = 0.25
"""Seconds between two looks of a fiber at those that it waits for."""


class Killed(BaseException):
    """The process is gone: nothing after this happens, cleaning up included."""


class Fiber:
    """A body that runs until it waits (`pause`), is resumed, and so on to its end."""

    def __init__(self, body: Callable[[], None]) -> None:
        self.done = False
        self.dead = False
        self.frozen_until = 0.0
        self.beside: list[Fiber] = []
        """Those that it has begun and will wait for (see `Clockwork.together`)."""
        self._body = body
        self._inside = greenlet(self._run)

    def resume(self) -> None:
        """Run it until it pauses or ends; raises what it raised, save Killed."""
        self._inside.parent = getcurrent()
        self._inside.switch()

    def pause(self) -> None:
        """Called from inside: hand over to whoever resumed; raises Killed if killed meanwhile."""
        self._inside.parent.switch()
        if self.dead:
            raise Killed

    def kill(self) -> None:
        self.dead = True
        if not self.done:
            self.resume()

    def freeze(self, until: float) -> None:
        """It does not move before `until`, nor what it has begun."""
        self.frozen_until = until
        for fiber in self.beside:
            fiber.freeze(until)

    def _run(self) -> None:
        try:
            if not self.dead:
                self._body()
        except Killed:
            pass
        finally:
            self.done = True


class Clockwork:
    """The time, and what happens when."""

    def __init__(self, start: float) -> None:
        self.time = start
        self.current: Fiber | None = None
        self.fibers: set[Fiber] = set()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def now(self) -> float:
        return self.time

    def at(self, time: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (max(time, self.time), self._count, event))

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self.at(self.time + seconds, event)

    def run_until(self, end: float, stop: Callable[[], bool] = lambda: False) -> bool:
        """Let everything happen until `end`; True if `stop` said so before."""
        while self._events and self._events[0][0] <= end:
            self.time, _, event = heapq.heappop(self._events)
            event()
            if stop():
                return True
        self.time = max(self.time, end)
        return False

    def spawn(self, body: Callable[[], None]) -> Fiber:
        """Begin `body` now; it may call `sleep`."""
        fiber = Fiber(body)
        self.adopt(fiber)
        return fiber

    def adopt(self, fiber: Fiber) -> None:
        """Run a fiber until it first waits."""
        self.fibers.add(fiber)
        self._step(fiber)

    def sleep(self, seconds: float) -> None:
        """Inside a fiber: let time pass. Elsewhere: nothing (what runs there takes no time)."""
        fiber = self.current
        if fiber is None:
            return
        self.after(seconds, lambda: self._step(fiber))
        fiber.pause()

    def together(
        self, functions: Sequence[Callable[[], Any]], delay: Callable[[], float]
    ) -> list[Any]:
        """As `parallel.Threads` of the agent: the first on the asking stack, each other on its own.

        Those begin `delay()` seconds later. Outside a fiber nothing waits: one after the other.
        """
        asking = self.current
        answers: list[Future[Any]] = [Future() for _ in functions]
        if asking is None or len(functions) < 2:
            for function, answer in zip(functions, answers, strict=True):
                _answer(function, answer)
            return [answer.result() for answer in answers]
        others = zip(functions[1:], answers[1:], strict=True)
        begun = [self._begin_in(delay(), function, answer) for function, answer in others]
        asking.beside += begun
        try:
            _answer(functions[0], answers[0])
            while not all(fiber.done for fiber in begun):
                self.sleep(LOOK)
        except Killed:
            for fiber in begun:
                self.kill(fiber)
            raise
        asking.beside = [fiber for fiber in asking.beside if fiber not in begun]
        if not all(answer.done() for answer in answers):
            raise Killed
        return [answer.result() for answer in answers]

    def _begin_in(self, delay: float, function: Callable[[], Any], answer: Future[Any]) -> Fiber:
        def body() -> None:
            self.sleep(delay)
            _answer(function, answer)

        return self.spawn(body)

    def kill(self, fiber: Fiber) -> None:
        self.fibers.discard(fiber)
        outer, self.current = self.current, fiber
        fiber.kill()
        self.current = outer

    def end(self) -> None:
        for fiber in list(self.fibers):
            self.kill(fiber)

    def _step(self, fiber: Fiber) -> None:
        if fiber.done or fiber.dead:
            return
        if fiber.frozen_until > self.time:
            self.at(fiber.frozen_until, lambda: self._step(fiber))
            return
        outer, self.current = self.current, fiber
        try:
            fiber.resume()
        finally:
            self.current = outer
            if fiber.done:
                self.fibers.discard(fiber)


def _answer(function: Callable[[], Any], answer: Future[Any]) -> None:
    try:
        answer.set_result(function())
    except Exception as error:  # noqa: BLE001 - whatever it is, the asker gets it
        answer.set_exception(error)
