"""Histories in which a guard matters, each made of a seed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

from tests.simulation.drawn import Plan, plan_of


def calm(seed: int, faults: frozenset[str] = frozenset(), **changes: Any) -> Plan:
    return dataclasses.replace(plan_of(seed), faults=faults, **changes)


def with_faults(*faults: str) -> Callable[[int], Plan]:
    return lambda seed: calm(seed, frozenset(faults))


def crowded(*faults: str) -> Callable[[int], Plan]:
    """Two hosts, two pipelines, many pushes in little time."""

    def plan(seed: int) -> Plan:
        actions = [(20.0 * i + seed % 20, "push", (i % 2, "good")) for i in range(10)]
        if "host frozen" in faults:
            actions += [(60.0 * i, "freeze", i % 2) for i in range(1, 4)]
        if "agent killed" in faults:
            actions += [(50.0 * i + seed % 40, "kill agent", i % 2) for i in range(1, 5)]
        return Plan(seed, 2, 2, tuple(sorted(actions, key=lambda a: a[0])), frozenset(faults), 900)

    return plan


def undrifted(plan: Callable[[int], Plan]) -> Callable[[int], Plan]:
    """The same without the drift check, which would find a push that is lost."""
    return lambda seed: dataclasses.replace(plan(seed), drift=False)


def building(*faults: str) -> Callable[[int], Plan]:
    """Two hosts that build for most of the time, so that what comes twice meets a taken lock."""

    def plan(seed: int) -> Plan:
        actions = tuple((400.0 * i + seed % 20, "push", (i % 2, "good")) for i in range(10))
        return Plan(seed, 2, 2, actions, frozenset(faults), 5000, long_builds=0.7)

    return plan


def while_stopping(seed: int) -> Plan:
    """A push in the minutes in which a host slowly stops."""
    actions = ((0.0, "push", (0, "good")), (480.0 + 7 * (seed % 40), "push", (0, "good")))
    return Plan(seed, 1, 1, actions, frozenset({"slow stop"}), 3000, long_builds=0)


def rolled_back(seed: int) -> Plan:
    """Pushes, some of them heard of late, and then an operator goes back."""
    pushes = tuple((500.0 * i, "push", (0, "good")) for i in range(4))
    actions = (*pushes, (1700.0, "rollback", 0))
    return Plan(seed, 1, 1, actions, frozenset({"delivery late", "delivery twice"}), 3600)


def rolled_back_meanwhile(seed: int) -> Plan:
    """Two pushes that run, and a third: an operator goes back while it is built or rolled out."""
    pushes = tuple((at, "push", (0, "good")) for at in (0.0, 500.0, 1000.0))
    actions = (*pushes, (1010.0 + seed % 20 * 10, "rollback", 0))
    return Plan(
        seed, 1, 1, actions, frozenset({"received twice", "delivery twice", "call slow"}), 1200
    )


def often(verb: str, *faults: str, every: int = 300) -> Callable[[int], Plan]:
    """Eight pushes, `every` so many seconds, and after each what the verb says."""

    def plan(seed: int) -> Plan:
        dice = random.Random(seed)
        actions: list[tuple[float, str, Any]] = []
        for at in range(0, 8 * every, every):
            actions.append((at + dice.uniform(0, 100), "push", (0, "good")))
            actions.append((at + every * dice.uniform(0.2, 0.8), verb, 0))
        return Plan(seed, 1, 1, tuple(sorted(actions)), frozenset(faults), 8 * every + 600)

    return plan


def paused_during_another(seed: int) -> Plan:
    """A build that will fail; while it runs another run is asked for, and then a pause."""
    at = 80.0 + 5 * (seed % 30)
    actions = ((0.0, "push", (0, "build")), (at - 10, "push", (0, "good")), (at, "pause", 0))
    return Plan(seed, 1, 1, actions, frozenset(), 1800, slots=2, long_builds=1.0)


def told_again(seed: int) -> Plan:
    """Idle notices come again and again; counts that are wrong keep hosts awake for longer."""
    dice = random.Random(seed)
    pushes = [(900.0 * i + dice.uniform(0, 60), "push", (0, "good")) for i in range(8)]
    notices = [(at + dice.uniform(0, 20), "old notice", 0) for at in range(0, 7500, 20)]
    actions = tuple(sorted([*pushes, *notices]))
    return Plan(seed, 1, 1, actions, frozenset({"wrong counts"}), 7800, long_builds=0)


def cancelled(seed: int) -> Plan:
    """A push, and a cancel while it is rolled out."""
    actions = ((0.0, "push", (0, "good")), (60.0 + 3 * (seed % 40), "cancel", 0))
    return Plan(seed, 1, 1, actions, frozenset(), 900, long_builds=0.0)


def dying(*faults: str) -> Callable[[int], Plan]:
    """Pushes whose hosts die right after UpdateService, and the next push while it is followed."""

    def plan(seed: int) -> Plan:
        dice = random.Random(seed)
        actions: list[tuple[float, str, Any]] = []
        for number in range(6):
            at = 700.0 * number + dice.uniform(0, 60)
            actions.append((at, "kill at update", 0))
            actions.append((at, "push", (0, "good")))
            actions.append((at + dice.uniform(100, 300), "push", (0, "good")))
        kinds = frozenset({"host killed at update", *faults})
        return Plan(seed, 1, 2, tuple(sorted(actions)), kinds, 5400, long_builds=0.0)

    return plan


def in_a_row(seed: int) -> Plan:
    """Pushes to an awake host, each while the last one is rolled out."""
    dice = random.Random(seed)
    actions = tuple((90.0 * n + dice.uniform(0, 80), "push", (0, "good")) for n in range(8))
    return Plan(seed, 1, 1, tuple(sorted(actions)), frozenset(), 1800, long_builds=0.0)
