"""Histories with builds of CodeBuild: every promise holds, and each guard is missed without it."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.installation import BuildersSettings
from slipway.contracts.messages import BuildRequest
from slipway.contracts.requesting import publish_request
from tests.simulation.builders import KINDS
from tests.simulation.cases import (
    BUILDING,
    DECISION,
    ENDS,
    LEFT_BEHIND,
    Case,
    noticed,
    patched,
)
from tests.simulation.drawn import Plan, built_plan_of
from tests.simulation.guards import Guard, nothing
from tests.simulation.history import run
from tests.simulation.invariants import check_at_rest
from tests.simulation.stand_ins import (
    all_have,
    always_true,
    false,
    free_by_time,
    no_ends,
    no_reply,
    taken_by_all,
)
from tests.simulation.world import World

SNAPSHOTS = "lambdas.decide.snapshot"
ROWS = "slipway.contracts.table.builders"

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


# --- a request that ends its builders


def world_of(seed: int) -> World:
    """Without a fault; two pipelines, no host."""
    return World(
        seed, pipelines=2, hosts=0, faults=frozenset(), calm_after=0.0,
        builders=BuildersSettings(when="codeBuild"),
    )  # fmt: skip


def to_rest(world: World) -> None:
    world.clockwork.run_until(world.clockwork.time + 5 * 3600)
    assert world.at_rest
    check_at_rest(world)


def test_a_request_that_always_ends_its_builder_is_given_up_and_can_be_asked_for_again():
    world = world_of(1)
    # WHEN a push always takes its builder's container with it, and another pipeline's does not
    world.people.push("shop", "kill")
    world.people.push("blog", "good")
    to_rest(world)
    # THEN it has one outcome, after as many builds as attempts may fail, told once, and kept
    most = world.installation.limits.max_attempts
    (row,) = world.table.deployments.newest("shop", 9)
    assert row.result is not None
    assert (row.status, row.stage) == ("gave_up", "build")
    assert row.result.cause == f"given up: {most} builds ended before their work did"
    assert world.slack.posted[row.deployment_id] == 1
    (letter,) = world.queues["dead letters"].messages.values()
    builds = [build for build in world.codebuild.builds.values() if build.pipeline == "shop"]
    assert [build.status for build in builds] == ["FAILED"] * most + ["SUCCEEDED"]
    assert world.services["blog"].primary == 2
    # AND its builders begin anew, without a pause
    assert world.table.builders.get("shop").failures == 0
    # WHEN what killed them is mended outside, and it is asked for again, as `slipway redrive` does
    world.repositories["shop"].bad.clear()
    again = replace(BuildRequest.from_json(letter.body), request_id="e" * 32)
    publish_request(world.sns, world.installation.request_topic_arn, again)
    to_rest(world)
    # THEN it is built
    assert world.table.deployments.newest("shop", 1)[0].status == "succeeded"
    world.clockwork.end()


def test_a_push_that_comes_meanwhile_is_built_and_ends_the_other():
    world = world_of(2)
    world.people.push("shop", "kill")
    world.clockwork.run_until(world.clockwork.time + 600)
    world.people.push("shop", "good")
    to_rest(world)
    good, bad = world.table.deployments.newest("shop", 9)
    assert (bad.status, good.status) == ("superseded", "succeeded")
    assert not world.queues["dead letters"].messages
    world.clockwork.end()


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


def deadly(seed: int) -> Plan:
    """A push whose build ends its builder, each time, and a good one of another pipeline."""
    actions = ((10.0 + seed, "push", (0, "kill")), (60.0 * seed, "push", (1, "good")))
    return Plan(seed, 2, 0, tuple(sorted(actions)), frozenset(), 900, when="codeBuild")


def silent(*faults: str, hang: bool = False) -> Callable[[int], Plan]:
    """Pushes whose builders freeze, or never begin; `hang`: their workers hang."""

    def plan(seed: int) -> Plan:
        actions: list[Any] = [(90.0 * i + seed, "push", (i % 2, "good")) for i in range(6)]
        if hang:
            actions += [(90.0 * i + seed + 70, "hang", i % 2) for i in range(6)]
        return Plan(
            seed, 2, 0, tuple(sorted(actions)), frozenset(faults), 900, when="codeBuild",
            timeout=28800.0,
        )  # fmt: skip

    return plan


def at_once(seed: int) -> Plan:
    """Three pipelines, one place, and pushes in the same seconds."""
    dice = random.Random(seed)
    actions = [
        (200.0 * i + dice.uniform(0, 4), "push", (name, "good"))
        for i in range(8)
        for name in range(3)
    ]
    kinds = frozenset({"call slow", "delivery twice"})
    return Plan(seed, 3, 0, tuple(sorted(actions)), kinds, 2400, when="codeBuild", limit=1)


def left_alone(seed: int) -> Plan:
    """Pushes to two pipelines, of which one is configured no more while its builds are killed."""
    dice = random.Random(seed)
    actions: list[Any] = [(60.0 * i + seed % 30, "push", (i % 2, "good")) for i in range(8)]
    actions += [(dice.uniform(30, 500), "kill build", 1) for _ in range(6)]
    actions.append((dice.uniform(60, 480), "unconfigure", 1))
    kinds = frozenset({"build killed", "builds refused", "build starts late"})
    return Plan(seed, 2, 0, tuple(sorted(actions)), kinds, 900, when="codeBuild")


GUARDS = [
    Case(
        patched(
            "what its builders end under, again and again, is given up on",
            f"{ENDS}.wears_builders_out",
            false,
        ),
        deadly,
        breaks="no rest",
        most=3,
    ),
    Case(
        patched("a silent builder is stopped", f"{DECISION}.silent_builders", nothing),
        silent("build freezes"),
        breaks="is silent, and keeps",
    ),
    Case(
        patched("so is one that never begins", f"{SNAPSHOTS}.machines_since", no_ends),
        silent("build hangs first"),
        breaks="is silent, and keeps",
    ),
    Case(
        patched("so is one that stands still", "lambdas.decide.silence.AGENT_FIRST", 1e9),
        silent("worker hangs", hang=True),
        breaks="stands still, and keeps",
    ),
    Case(
        patched("one that waits for its machine is not", f"{SNAPSHOTS}.machines_since", all_have),
        silent("build starts late"),
        breaks="is stopped while it waits for its machine",
    ),
    Case(
        patched("a place has one taker", f"{ROWS}.taking", taken_by_all),
        at_once,
        breaks="more than the limit",
    ),
    Case(
        patched(
            "a place is free once its builder is over",
            "slipway.contracts.table.places.Place.is_free",
            always_true,
        ),
        at_once,
        breaks="more than the limit",
    ),
    Case(
        patched(
            "what is left of a pipeline is dealt with", f"{DECISION}.unconfigured_actions", nothing
        ),
        left_alone,
        breaks="no rest",
        most=20,
    ),
    Case(
        patched("never in silence", "lambdas.decide.giving_up.dead_letter", no_reply),
        left_alone,
        breaks="given up on in silence",
    ),
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
            patches=((f"{ROWS}.taking", taken_by_all),),
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
