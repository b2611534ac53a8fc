"""What is steady is proved: all new, all old, one notice; and what holds that."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.simulation.cases import Case, noticed, patched
from tests.simulation.deploying import PROOFS
from tests.simulation.drawn import Plan, several_plan_of
from tests.simulation.history import run
from tests.simulation.invariants import check_at_rest
from tests.simulation.stand_ins import false
from tests.simulation.world import calm_world


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("kind", ["good", *PROOFS])
def test_what_is_not_proved_leaves_all_as_they_were(kind: str, together: bool) -> None:
    world = calm_world(services=2, together=together, proofs=True)
    world.people.push("shop", kind)
    world.clockwork.run_until(world.clockwork.time + 3600)
    (row,) = world.table.deployments.newest("shop", 9)
    assert row.result is not None
    expected = ("succeeded", ["new"] * 2) if kind == "good" else ("rolled_back", ["before"] * 2)
    assert (row.status, [one.runs for one in row.result.services or ()]) == expected
    assert world.slack.posted[row.deployment_id] == 1
    assert "prove" in row.stages
    check_at_rest(world)
    world.clockwork.end()


def test_no_promise_is_broken_in_histories_with_proofs() -> None:
    kinds = set()
    for seed in range(7_000_000, 7_000_120):
        plan = several_plan_of(seed)
        if plan.proofs:
            kinds |= {argument[1] for _, verb, argument in plan.actions if verb == "push"}
            outcome = run(plan)
            assert not outcome.violation, outcome.told()
    assert kinds >= set(PROOFS)


def side_by_side(seed: int) -> Plan:
    """Pushes of two services that are rolled out side by side, and proved."""
    dice = random.Random(seed)
    actions: list[tuple[float, str, Any]] = [
        (900.0 * number + dice.uniform(0, 60), "push", (0, "good")) for number in range(3)
    ]
    return Plan(
        seed, 1, 1, tuple(actions), frozenset(), 3600, long_builds=0.0, services=2,
        together=True, proofs=True,
    )  # fmt: skip


def not_proved(seed: int) -> Plan:
    """A push, and one whose alarm goes off."""
    actions = ((0.0, "push", (0, "good")), (900.0 + seed, "push", (0, "alarm")))
    return Plan(seed, 1, 1, actions, frozenset(), 3000, long_builds=0.0, services=2, proofs=True)


GUARDS = [
    Case(
        patched(
            "what is proved for all waits until all are steady",
            "slipway.following.several._waits_for_others",
            false,
        ),
        side_by_side,
        breaks="all are proved",
    ),
    Case(
        patched(
            "an alarm that goes off is a failure",
            "slipway.rollout.baking._gone_off",
            lambda *_arguments: (),
        ),
        not_proved,
        breaks="which is bad",
    ),
]


@pytest.mark.parametrize("case", GUARDS, ids=[case.guard.name for case in GUARDS])
def test_taking_this_guard_of_proofs_out_is_noticed(case: Case) -> None:
    noticed(case)
