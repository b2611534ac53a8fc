"""Walks through every state of the model and says what is wrong with it, with the way there."""

from __future__ import annotations

import gc
import time
from array import array
from collections import deque
from dataclasses import dataclass, field

from tests.simulation.model import Bounds, Model, State, Violation, at_rest, start


@dataclass
class Findings:
    """`violation` / `stuck`: the shortest way to the first one, in words; empty: there is none.

    `complete`: every state within the bounds was seen, not only the first `limit`.
    """

    states: int = 0
    steps: int = 0
    rests: int = 0
    seconds: float = 0.0
    complete: bool = True
    violation: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    stuck_states: int = 0

    @property
    def fine(self) -> bool:
        return self.complete and not self.violation and not self.stuck


def explore(model: Model, bounds: Bounds, *, limit: int = 2_000_000) -> Findings:
    """Breadth first from the start; stops at the first violation or after `limit` states."""
    collecting = gc.isenabled()
    gc.disable()  # millions of tuples without a cycle: looking through them again costs most of all
    try:
        return _explore(model, bounds, limit)
    finally:
        if collecting:
            gc.enable()


def _explore(model: Model, bounds: Bounds, limit: int) -> Findings:
    began = time.monotonic()
    findings = Findings()
    first = start(bounds)
    known: dict[State, int] = {first: 0}
    order = [first]
    came: list[tuple[int, str]] = [(-1, "start")]
    sources, targets = array("L"), array("L")
    ahead = deque([0])
    while ahead:
        index = ahead.popleft()
        try:
            for label, fault, after in model.steps(order[index]):
                found = known.get(after)
                if found is None:
                    found = known[after] = len(order)
                    order.append(after)
                    came.append((index, label))
                    ahead.append(found)
                if not fault:
                    sources.append(index)
                    targets.append(found)
                findings.steps += 1
        except Violation as violation:
            findings.violation = [*_way(came, index), str(violation)]
            break
        if len(order) > limit:
            findings.complete = False
            break
    findings.states = len(order)
    rests = [i for i, state in enumerate(order) if at_rest(state, bounds)]
    findings.rests = len(rests)
    if findings.complete and not findings.violation:
        stuck = _without_way_to(rests, len(order), sources, targets)
        findings.stuck_states = len(stuck)
        if stuck:
            findings.stuck = [*_way(came, stuck[0]), "from here no rest can be reached"]
    findings.seconds = time.monotonic() - began
    return findings


def _way(came: list[tuple[int, str]], index: int) -> list[str]:
    way: list[str] = []
    while index >= 0:
        index, label = came[index]
        way.append(label)
    return way[::-1]


def _without_way_to(
    rests: list[int], count: int, sources: array[int], targets: array[int]
) -> list[int]:
    """The states from which no path leads to one of `rests`, in order of discovery."""
    first = array("L", [0]) * (count + 1)
    for target in targets:
        first[target + 1] += 1
    for index in range(count):
        first[index + 1] += first[index]
    place = array("L", first)
    before = array("L", [0]) * len(sources)
    for source, target in zip(sources, targets, strict=True):
        before[place[target]] = source
        place[target] += 1
    reached = bytearray(count)
    ahead = list(rests)
    for index in rests:
        reached[index] = 1
    while ahead:
        index = ahead.pop()
        for source in before[first[index] : first[index + 1]]:
            if not reached[source]:
                reached[source] = 1
                ahead.append(source)
    return [index for index in range(count) if not reached[index]]
