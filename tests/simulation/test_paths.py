"""Histories with pushes that concern another pipeline: every promise holds, each guard is missed
without it.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from slipway.contracts.table.pipelines import PipelineRow
from tests.simulation.cases import Case, noticed
from tests.simulation.drawn import Plan, filtered_plan_of
from tests.simulation.guards import Guard
from tests.simulation.history import run
from tests.simulation.stand_ins import false

HISTORIES = 200
CHUNK = 100


@pytest.mark.parametrize("first", range(0, HISTORIES, CHUNK))
def test_every_promise_holds_where_pushes_concern_others(first: int) -> None:
    for seed in range(first, first + CHUNK):
        outcome = run(filtered_plan_of(seed))
        again = f"python -m tests.simulation.soak --paths --seed {seed}"
        assert not outcome.violation, f"{outcome.told()}\nagain: {again}"


def mixed(seed: int) -> Plan:
    """A pipeline whose every other push concerns others; some of its own fail."""
    dice = random.Random(seed)
    kinds = ["good", *dice.choices(("others", "build", "rollout", "undo", "good"), k=5), "others"]
    actions = [
        (500.0 * n + dice.uniform(0, 200), "push", (0, kind)) for n, kind in enumerate(kinds)
    ]
    return Plan(seed, 1, 1, tuple(actions), frozenset(), 4500, long_builds=0, paths=True)


def of_others(seed: int) -> Plan:
    """A push that is built, and then others' alone."""
    kinds = ("good", *("others",) * 5)
    actions = tuple((600.0 * n, "push", (0, kind)) for n, kind in enumerate(kinds))
    return Plan(seed, 1, 1, actions, frozenset(), 4500, long_builds=0, paths=True)


def rolled_back(seed: int) -> Plan:
    """Two pushes that run, a rollback, and a push that concerns others."""
    kinds = ((0.0, "good"), (900.0, "good"), (2700.0 + seed, "others"))
    pushes = [(at, "push", (0, kind)) for at, kind in kinds]
    actions = tuple(sorted([*pushes, (1800.0, "rollback", 0)], key=lambda action: action[0]))
    return Plan(seed, 1, 1, actions, frozenset(), 4500, long_builds=0, paths=True)


def last_push(before: PipelineRow) -> str | None:
    """In place of what runs: the tip that was handled last, whatever came of it."""
    return before.handled_tip


def what_runs(before: PipelineRow) -> str | None:
    """Though a rollback stands."""
    return before.running_commit


def comparing_with(stand_in: Any) -> Guard:
    places = ("build_agent.deploy", "lambdas.follower.paths", "lambdas.follower.unbuilt")
    return Guard(stand_in.__doc__, patches=tuple((f"{p}.to_compare", stand_in) for p in places))


CASES = [
    Case(comparing_with(last_push), mixed, breaks="its tip is"),
    Case(comparing_with(what_runs), rolled_back, cost="revisions", share=1.2, seeds=6),
    Case(
        Guard("paths", patches=(("build_agent.deploy.is_filtered", false),)),
        of_others,
        cost="builds",
        share=3,
        seeds=4,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=["what runs", "a rollback stands", "paths"])
def test_without_this_guard_something_breaks(case: Case) -> None:
    noticed(case)
