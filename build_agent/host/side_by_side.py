"""Jobs of one run, side by side where build slots are free: one fails, the others end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from build_agent.host.stop import Stop

T = TypeVar("T")


class SlotsLike(Protocol):
    """What `slots.Slots` is."""

    def take(self) -> bool: ...

    def give_back(self) -> None: ...


def side_by_side(jobs: Sequence[Callable[[Stop], T]], *, slots: SlotsLike, stop: Stop) -> list[T]:
    """The results of `jobs`, in their order; each is given the stop that ends it.

    The first runs in the caller's own slot; for each slot that is free a thread helps, which has
    ended when this returns. Raises what the first that failed has raised, when all have ended.
    """
    return _SideBySide(jobs, slots, stop).run()


class _SideBySide(Generic[T]):
    def __init__(self, jobs: Sequence[Callable[[Stop], T]], slots: SlotsLike, stop: Stop) -> None:
        self._whole = stop
        self._left = deque(enumerate(jobs))
        self._slots = slots
        self._stop = Stop(of=stop)
        self._mutex = threading.Lock()
        self._helpers: list[threading.Thread] = []
        self._results: dict[int, T] = {}
        self._failure: BaseException | None = None

    def run(self) -> list[T]:
        with self._whole.waking(lambda: self._stop.request(self._whole.reason)):
            self._work()
            while self._helpers:
                self._helpers.pop().join()
        if self._failure is not None:
            raise self._failure
        return [self._results[number] for number in sorted(self._results)]

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            self._ask_for_help()
            number, job = taken
            try:
                self._results[number] = job(self._stop)
            except BaseException as error:  # noqa: BLE001 - raised by `run`, in the caller's thread
                self._fail(error)

    def _take(self) -> tuple[int, Callable[[Stop], T]] | None:
        with self._mutex:
            if self._failure is not None or not self._left:
                return None
            return self._left.popleft()

    def _ask_for_help(self) -> None:
        """One more thread, where there is work and a slot for it; it asks for the next."""
        if not self._left or not self._slots.take():
            return
        helper = threading.Thread(target=self._help, name="builds", daemon=True)
        try:
            helper.start()
        except RuntimeError:  # the machine has no thread for us: it goes on without
            self._slots.give_back()
            return
        self._helpers.append(helper)

    def _help(self) -> None:
        try:
            self._work()
        finally:
            self._slots.give_back()

    def _fail(self, error: BaseException) -> None:
        with self._mutex:
            if self._failure is None:
                self._failure = error
        self._stop.request("another image of this pipeline failed")
