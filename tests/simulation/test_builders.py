"""Histories with builds of CodeBuild: every promise holds, and each guard is missed without it."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable

import pytest

from tests.simulation.builders import KINDS
from tests.simulation.cases import (
    BUILDING,
    LEFT_BEHIND,
    Case,
    noticed,
    patched,
)
from tests.simulation.guards import Guard, nothing
from tests.simulation.history import Plan, built_plan_of, run
from tests.simulation.stand_ins import (
    free_by_time,
    no_ends,
)

HISTORIES = 400
CHUNK = 100


@pytest.mark.parametrize("first", range(0, HISTORIES, CHUNK))
def test_every_promise_holds_with_builds_of_codebuild(first):
    for seed in range(first, first + CHUNK):
        outcome = run(built_plan_of(seed))
        again = f"python -m tests.simulation.soak --builders --seed {seed}"
        assert not outcome.violation, f"{outcome.told()}\nagain: {again}"


def test_the_histories_have_every_fault_and_both_engines():
    faults: set[str] = set()
    engines: set[str] = set()
    for seed in range(120):
        outcome = run(built_plan_of(seed))
        faults |= set(outcome.faults) & set(KINDS)
        engines.add(outcome.plan.when)
    assert faults == set(KINDS)
    assert engines == {"codeBuild", "overflow"}


# --- each guard taken out


def built(*faults: str, kills: bool = False, at_once: int = 1) -> Callable[[int], Plan]:
    """Two pipelines without a host, eight pushes, so many `at_once`; no build takes long.

    `kills`: their builds are stopped meanwhile.
    """

    def plan(seed: int) -> Plan:
        dice = random.Random(seed)
        apart = 60.0 * at_once
        actions = [(apart * (i // at_once) + seed % 30, "push", (i % 2, "good")) for i in range(8)]
        if kills:
            actions += [(dice.uniform(30, 500), "kill build", i % 2) for i in range(6)]  # type: ignore[misc]
        ordered = tuple(sorted(actions))
        return Plan(seed, 2, 0, ordered, frozenset(faults), 900, when="codeBuild", long_builds=0.0)

    return plan


GUARDS = [
    Case(
        patched("CodeBuild's word is asked for", "lambdas.decide.snapshot.ended_builds", no_ends),
        built("build event lost", "build killed", kills=True),
        breaks="nothing builds",
    ),
    Case(
        Guard("CodeBuild's event is heard", parts=frozenset({"build event"})),
        built(kills=True),
        cost="seconds until settled",
        share=1.2,
    ),
    Case(
        patched("a start without an answer is looked for", f"{BUILDING}._unanswered", nothing),
        built("call unanswered", "Lambda crashes"),
        breaks="nothing builds",
    ),
    Case(
        Guard(
            "the next generation is asked for by one, and CodeBuild knows its token",
            conditions=(
                (
                    "(generation = :before AND #s <> :asked AND #s <> :started)",
                    "attribute_exists(pk)",
                ),
            ),
            parts=frozenset({"token"}),
        ),
        built("delivery twice", "call slow", at_once=4),
        cost="builders",
        share=1.04,
        seeds=20,
    ),
    Case(
        patched(
            "what a builder held that is gone is free at once",
            "slipway.contracts.table.pending.PendingRow.is_free",
            free_by_time,
        ),
        built(kills=True),
        cost="builders",
        share=1.3,
        seeds=12,
    ),
    Case(
        patched("so is its lock", LEFT_BEHIND, operator.eq),
        built(kills=True),
        cost="seconds until settled",
        share=1.1,
        seeds=24,
    ),
]


@pytest.mark.parametrize("case", GUARDS, ids=[c.guard.name for c in GUARDS])
def test_without_this_guard_something_breaks(case):
    noticed(case)
