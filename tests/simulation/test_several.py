"""What holds several runs on one host together is taken out once; the histories must notice."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.cases import KEEPER, LEFT_BEHIND, Case, noticed, patched
from tests.simulation.drawn import Plan
from tests.simulation.guards import Guard
from tests.simulation.history import run
from tests.simulation.stand_ins import always_true, no_reply

RUNS = "build_agent.runs.Runs"


def busy(*faults: str, verb: str = "", every: float = 240.0) -> Callable[[int], Plan]:
    """One host of three slots and three pipelines; after some pushes what `verb` says."""

    def plan(seed: int) -> Plan:
        dice = random.Random(seed)
        actions: list[tuple[float, str, Any]] = []
        for number in range(9):
            at = every * (number // 3) + dice.uniform(0, 60)
            actions.append((at, "push", (number % 3, "good")))
            if verb and number % 3 == 0:
                actions.append((at + dice.uniform(30, 200), verb, 0))
        ordered = tuple(sorted(actions))
        return Plan(seed, 3, 1, ordered, frozenset(faults), 3600, long_builds=0.5, slots=3)

    return plan


def nobody(_runs: Any) -> frozenset[str]:
    """As if nothing were under way here."""
    return frozenset()


SEVERAL = [
    Case(
        Guard(
            "a pipeline has one run on a host, by what is under way and by the lock",
            patches=((f"{RUNS}.pipelines", property(nobody)), (LEFT_BEHIND, always_true)),
        ),
        busy("delivery twice", "delivery late", "received twice"),
        breaks="",
    ),
    Case(
        patched("a run that does not get on is ended by its agent", f"{KEEPER}._look_at", no_reply),
        busy("worker hangs", verb="hang"),
        cost="boots",
        share=1.05,
        seeds=30,
    ),
]


@pytest.mark.parametrize("case", SEVERAL, ids=[c.guard.name for c in SEVERAL])
def test_taking_this_guard_of_several_runs_out_is_noticed(case: Case) -> None:
    noticed(case)


def test_several_runs_are_under_way_at_once() -> None:
    """And each promise holds; with the same pushes and one slot it takes longer."""
    plans = [busy()(seed) for seed in range(20)]
    at_once = [run(plan) for plan in plans]
    one = [run(dataclasses.replace(plan, slots=1)) for plan in plans]
    assert [outcome.violation for outcome in (*at_once, *one)] == [""] * 40
    waited = "seconds until settled"
    assert sum(o.costs[waited] for o in one) > 1.5 * sum(o.costs[waited] for o in at_once)
