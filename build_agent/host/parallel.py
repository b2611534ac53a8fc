"""Calls at the same time, and calls begun before their answers are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
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

    A function may ask for more: enough threads for one such at a time are `count`.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="parallel")

    def __call__(self, functions: Sequence[Callable[[], Any]]) -> list[Any]:
        if not functions:
            return []
        first, *others = functions
        futures = [self._pool.submit(function) for function in others]
        try:
            result = first()
        finally:
            wait(futures)
        return [result, *(future.result() for future in futures)]


def ahead(function: Callable[[], T]) -> Callable[[], T]:
    """Begin `function` now; the answer is a call that waits for its result, or raises its error."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    future = pool.submit(function)
    pool.shutdown(wait=False)
    return future.result
