"""A shape's check is whole before anybody has it, though two ask for it at once."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import botocore.model

from tests.aws.shapes import Shapes

TREE = {"type": "structure", "members": {"Branch": {"shape": "Tree"}}}


class SlowShape(botocore.model.StructureShape):
    """It is compiled until `end` is set; `begun` is set when that begins."""

    def __init__(self, begun: Event, end: Event) -> None:
        resolver = botocore.model.ShapeResolver({"Tree": TREE})
        super().__init__("Tree", TREE, resolver)
        self._begun, self._end = begun, end

    @property
    def members(self) -> Any:
        self._begun.set()
        assert self._end.wait(60)
        return super().members


def test_two_that_ask_for_a_shape_at_once_both_get_all_of_it() -> None:
    # GIVEN a shape that holds itself, and a thread that is just compiling it
    shapes, begun, end = Shapes("request"), Event(), Event()
    shape = SlowShape(begun, end)

    def look() -> None:
        shapes.check_of(shape)({"Branch": {"Branch": {}}})

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(look)
        assert begun.wait(60)
        # WHEN another asks for it
        second: Future[None] = threads.submit(look)
        early = _seen(second)
        end.set()
        # THEN it waits; without the lock it had a check that calls itself for ever
        assert not early
        first.result(60)
        second.result(60)


def _seen(asked: Future[None]) -> bool:
    """Whether it is over before the first has compiled the shape."""
    try:
        asked.exception(timeout=0.3)
    except TimeoutError:
        return False
    return True
