"""Pipelines of two services: all new, all old, or said otherwise; and what holds that."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from tests.simulation.cases import Case, noticed, patched
from tests.simulation.drawn import Plan, several_plan_of
from tests.simulation.history import run
from tests.simulation.invariants import check_at_rest
from tests.simulation.world import World, calm_world

HELD = "slipway.following.held"
ENDED = "slipway.following.several_ended"


def test_no_promise_is_broken_in_histories_of_two_services() -> None:
    together, faults = set(), Counter[str]()
    for seed in range(3_000_000, 3_000_080):
        plan = several_plan_of(seed)
        outcome = run(plan)
        assert not outcome.violation, outcome.told()
        together.add((plan.together, plan.takes_over))
        faults += outcome.faults
    assert together == {(a, b) for a in (False, True) for b in (False, True)}
    assert len(faults) > 20


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("good", ("succeeded", ["new", "new"])),
        ("rollout", ("rolled_back", ["before", "before"])),
        ("worker", ("rolled_back", ["before", "before"])),
    ],
)
def test_one_push_changes_both_services_or_none(
    kind: str, expected: tuple[str, list[str]], together: bool
) -> None:
    world = calm_world(services=2, together=together)
    world.people.push("shop", kind)
    world.clockwork.run_until(world.clockwork.time + 3600)
    (row,) = world.table.deployments.newest("shop", 9)
    assert row.result is not None
    assert (row.status, [one.runs for one in row.result.services or ()]) == expected
    assert world.slack.posted[row.deployment_id] == 1
    check_at_rest(world)
    assert _digests(world) == 1
    world.clockwork.end()


def _digests(world: World) -> int:
    return len({service.digest for service in world.services.values()})


def worker_fails(seed: int) -> Plan:
    """A good push, and one whose worker is bad."""
    actions = ((0.0, "push", (0, "good")), (600.0 + seed, "push", (0, "worker")))
    return Plan(seed, 1, 1, actions, frozenset(), 1200, long_builds=0.0, services=2)


def taken_over(*faults: str) -> Any:
    """Pushes that take each other's place; of every second one the worker is bad."""

    def plan(seed: int) -> Plan:
        dice = random.Random(seed)
        actions: list[tuple[float, str, Any]] = []
        for number in range(3):
            at = 400.0 * number
            if "host killed at update" in faults:
                actions.append((at, "kill at update", 0))
            actions.append((at, "push", (0, "good")))
            actions.append((at + dice.uniform(60, 250), "push", (0, "worker")))
        kinds = frozenset(faults)
        return Plan(
            seed, 1, 2, tuple(sorted(actions, key=lambda action: action[0])), kinds, 2400,
            long_builds=0.0, services=2, takes_over=True,
        )  # fmt: skip

    return plan


def _nothing_follows(_followed: Any, _now: float) -> tuple[()]:
    return ()


def _as_it_is(value: Any, *_more: Any) -> Any:
    return value


def _says_nothing(_result: Any, _row: Any) -> dict[str, Any]:
    return {}


GUARDS = [
    Case(
        patched("a failure has consequences", f"{HELD}.consequences", _nothing_follows),
        worker_fails,
        breaks="beside the old",
    ),
    Case(
        patched(
            "what has succeeded is taken back",
            "slipway.following.several._undone",
            lambda *_arguments: (),
        ),
        worker_fails,
        breaks="beside the old",
    ),
    Case(
        patched(
            "services that were left apart are kept in mind",
            "slipway.following.outcome._left_mixed",
            _says_nothing,
        ),
        taken_over(),
        breaks="of different versions",
    ),
    Case(
        patched("who gives way says what each service runs", f"{HELD}.with_services", _as_it_is),
        taken_over(),
        breaks="of different versions",
    ),
    Case(
        patched(
            "a change whose answer is not there may have been taken",
            f"{ENDED}.unsure_of_intent",
            _as_it_is,
        ),
        taken_over("host killed at update", "ECS event late", "follow message late"),
        breaks="shop",
    ),
]


@pytest.mark.parametrize("case", GUARDS, ids=[case.guard.name for case in GUARDS])
def test_taking_this_guard_of_several_services_out_is_noticed(case: Case) -> None:
    noticed(case)


def test_where_nothing_is_taken_out_the_same_histories_keep_the_promises() -> None:
    for plan in (
        worker_fails,
        taken_over(),
        taken_over("host killed at update", "ECS event late", "follow message late"),
    ):
        for seed in range(20):
            outcome = run(plan(seed))
            assert not outcome.violation, outcome.told()
