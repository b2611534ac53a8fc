"""Calls at the same time, and calls begun before their answers are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")

Parallel = Callable[[Sequence[Callable[[], Any]]], list[Any]]
"""Runs functions, perhaps at the same time; their results in order. Raises what the first of them
raised, and only when all have ended."""


def one_by_one(functions: Sequence[Callable[[], Any]]) -> list[Any]:
    """In their order; what comes after one that raises is not begun."""
    return [function() for function in functions]


class Threads:
    """At the same time, the first in the thread that asks; boto3's clients may be shared.

    What no thread has begun by then, the thread that asks does itself: so a function may ask for
    more, in any number of runs at once, and nobody waits for a thread that waits for another.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="parallel")

    def __call__(self, functions: Sequence[Callable[[], Any]]) -> list[Any]:
        if not functions:
            return []
        first, *others = functions
        begun = [(self._pool.submit(function), function) for function in others]
        ended = [_done(first)]
        # From the back: the pool begins them from the front.
        late = [_done(fn) if future.cancel() else future for future, fn in reversed(begun)]
        wait(futures := [*ended, *reversed(late)])
        return [future.result() for future in futures]

    def end(self) -> None:
        """Begin nothing more, and let each thread go once its call is over; waits for none."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _done(function: Callable[[], T]) -> Future[T]:
    """What `function` came to, here and now."""
    future: Future[T] = Future()
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 - raised once all have ended
        future.set_exception(error)
    return future


def ahead(function: Callable[[], T]) -> Callable[[], T]:
    """Begin `function` now; the answer is a call that waits for its result, or raises its error."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    future = pool.submit(function)
    pool.shutdown(wait=False)
    return future.result
