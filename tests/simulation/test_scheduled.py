"""Pipelines with scheduled tasks: all new, all old, or said otherwise; and what holds that."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from slipway.following.state import Followed
from slipway.rollout.state import RolloutState
from slipway.rollout.undoing import can_be_undone
from tests.simulation.cases import Case, noticed, patched
from tests.simulation.drawn import Plan, several_plan_of
from tests.simulation.history import run
from tests.simulation.invariants import check_at_rest
from tests.simulation.world import calm_world


def test_no_promise_is_broken_in_histories_with_scheduled_tasks() -> None:
    faults, histories, edits = Counter[str](), 0, 0
    for seed in range(5_400_000, 5_400_080):
        plan = several_plan_of(seed)
        if not plan.scheduled:
            continue
        outcome = run(plan)
        assert not outcome.violation, outcome.told()
        histories, faults = histories + 1, faults + outcome.faults
        edits += sum(verb == "edit" for _, verb, _ in plan.actions)
    assert histories > 20 and edits > 20 and len(faults) > 20


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("kind", "status", "runs"),
    [("good", "succeeded", ["new"] * 5), ("worker", "rolled_back", ["before"] * 5)],
)
def test_one_push_changes_services_and_scheduled_tasks_or_none(
    kind: str, status: str, runs: list[str], together: bool
) -> None:
    world = calm_world(services=2, together=together, scheduled=True)
    world.people.push("shop", kind)
    world.clockwork.run_until(world.clockwork.time + 3600)
    (row,) = world.table.deployments.newest("shop", 9)
    assert row.result is not None
    assert (row.status, [one.runs for one in row.result.services or ()]) == (status, runs)
    check_at_rest(world)
    world.clockwork.end()


def test_a_rollback_brings_scheduled_tasks_back_too() -> None:
    world = calm_world(services=2, scheduled=True)
    for _ in range(2):
        world.people.push("shop", "good")
        world.clockwork.run_until(world.clockwork.time + 3600)
    world.people.rollback("shop")
    world.clockwork.run_until(world.clockwork.time + 3600)
    last = max(world.table.deployments.newest("shop", 9), key=lambda row: row.started_at)
    assert (last.reason, last.status) == ("rollback", "succeeded")
    names = [target.names.rpartition("/")[2] for target in world.families["shop"].targets.values()]
    assert names == ["shop-job:2", "shop:2"]
    assert last.result is not None
    assert "task definition shop-shell stays as it is" in str(last.result.warning)
    check_at_rest(world)
    world.clockwork.end()


def cancelled(together: bool) -> Any:
    """A good push, and one that is cancelled somewhere on its way."""

    def plan(seed: int) -> Plan:
        at = random.Random(seed).uniform(700, 1200)
        actions = ((0.0, "push", (0, "good")), (600.0, "push", (0, "good")), (at, "cancel", 0))
        return Plan(
            seed, 1, 1, actions, frozenset({"ECS fails"}), 1800, long_builds=0.0, services=2,
            together=together, scheduled=True,
        )  # fmt: skip

    return plan


def _all_at_once(followed: Followed) -> tuple[int, ...]:
    there = enumerate(followed.rollouts)
    return tuple(number for number, state in there if state.result is None)


def _services_alone(state: RolloutState) -> bool:
    return can_be_undone(state) and not state.plan.is_companion


GUARDS = [
    Case(
        patched(
            "they wait for all services", "slipway.following.held.in_hand", _all_at_once
        ),
        cancelled(together=True),
        breaks="is set while a service is not steady",
    ),
    Case(
        patched(
            "they go back with the services",
            "slipway.following.several.can_be_undone",
            _services_alone,
        ),
        cancelled(together=False),
        breaks="beside the old",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", GUARDS, ids=[case.guard.name for case in GUARDS])
def test_taking_this_guard_of_scheduled_tasks_out_is_noticed(case: Case) -> None:
    noticed(case)


def test_where_nothing_is_taken_out_the_same_histories_keep_the_promises() -> None:
    for together in (False, True):
        for seed in range(20):
            outcome = run(cancelled(together)(seed))
            assert not outcome.violation, outcome.told()
