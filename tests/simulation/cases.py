"""A guard that is taken out, the histories in which it matters, and what has to be noticed then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.simulation.drawn import Plan
from tests.simulation.guards import Guard
from tests.simulation.history import Outcome, run


@dataclass(frozen=True)
class Case:
    """`plan` makes a history of a seed in which the guard matters; `most`: how many to try, from
    seed `first` on (near where it is known to be found: another seed will do as well, later).
    `seeds`: how many histories a cost is summed over.
    """

    guard: Guard
    plan: Callable[[int], Plan]
    breaks: str = ""
    cost: str = ""
    share: float = 1.0
    seeds: int = 16
    most: int = 200
    first: int = 0


def patched(name: str, target: str, stand_in: Any) -> Guard:
    return Guard(name, patches=((target, stand_in),))


def loose(name: str, condition: str, instead: str = "") -> Guard:
    return Guard(name, conditions=((condition, instead),))


WORKER = "build_agent.worker.Worker"
ENDS = "build_agent.ends.Ends"
FOLLOWERS_WORLD = "lambdas.follower.world.World"
BUILDING = "lambdas.decide.building"
LOCK = "slipway.contracts.table.locks.LockRow"
ENDING = "slipway.following.ending.Ending"
FOLLOWING = "slipway.contracts.table.following.Following"
SETTLER = "build_agent.queue.settle.Settler"
KEEPER = "build_agent.queue.lease.Keeper"
DECISION = "lambdas.decide.decision"
SNAPSHOT = "lambdas.decide.situation.Snapshot"
FOLLOWER = "slipway.following.follower"
PIPELINE = "slipway.contracts.table.pipelines.Pipelines.get"
WANTS = "slipway.contracts.table.wants.Wants"
LEFT_BEHIND = "slipway.contracts.table.locks._left_behind"
REQUESTS = "slipway.contracts.table.requests.Requests"
ROUGH_CALLS = ("ECS fails", "fetch fails", "call lost", "call refused", "received twice")


def costs(case: Case, plans: list[Plan], **how: Any) -> tuple[Counter[str], list[Outcome]]:
    total: Counter[str] = Counter()
    outcomes = [run(plan, **how) for plan in plans]
    for outcome in outcomes:
        total += outcome.costs
    return total, outcomes


def noticed(case: Case) -> None:
    """Take the guard out: a promise must break, or a cost rise; fails otherwise."""
    if case.cost:
        plans = [case.plan(seed) for seed in range(case.seeds)]
        before, _ = costs(case, plans)
        with case.guard.out() as client:
            after, _ = costs(case, plans, client=client, without=case.guard.parts)
        assert after[case.cost] >= case.share * before[case.cost], (before, after)
        return
    found: list[str] = []
    with case.guard.out() as client:
        for seed in range(case.first, case.first + case.most):
            outcome = run(case.plan(seed), client=client, without=case.guard.parts)
            if outcome.violation:
                found.append(outcome.violation)
            if case.breaks in outcome.violation and outcome.violation:
                return
    pytest.fail(f"{case.most} histories, and nothing noticed; but: {found[:3]}")
