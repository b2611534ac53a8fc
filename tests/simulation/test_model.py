"""Waking and sleeping in every interleaving of small worlds, and without each guard in turn."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lambdas.decide import decision
from tests.simulation.explore import explore
from tests.simulation.guards import NOT_STOPPING, Guard, nothing
from tests.simulation.model import Bounds, Model

SMALL = Bounds(pushes=1, lost=0, doubled=0, crashes=0)


def bounds(**values: Any) -> Bounds:
    return dataclasses.replace(SMALL, **values)


@pytest.mark.parametrize(
    "within",
    [
        bounds(pushes=2, at_once=1),
        bounds(crashes=1, copies=1),
        bounds(doubled=1, at_once=1),
        bounds(hosts=2, at_once=1, copies=1),
        bounds(hangs=1, at_once=1, copies=1),
    ],
    ids=str,
)
def test_rest_is_within_reach_of_every_state_and_no_working_host_is_stopped(within):
    findings = explore(Model(within), within)
    assert findings.fine, "\n".join(findings.violation or findings.stuck or ["not complete"])
    assert findings.rests


def test_two_runs_of_one_pipeline_at_once_on_one_host_do_no_harm():
    """The request comes twice, and a run is begun for each: the lock alone keeps them apart."""
    within = bounds(doubled=1, at_once=1, copies=1)
    findings = explore(Model(within, without=frozenset({"under way"})), within)
    assert findings.fine, "\n".join(findings.violation or findings.stuck or ["not complete"])
    assert findings.rests


# --- each guard taken out

_differences = decision._not_that_host

DEV = frozenset({"dev side"})
"""The dev account does not answer: no drift check puts right what another guard let through."""


def any_number(host: Any, notice: Any) -> str:
    return _differences(host, dataclasses.replace(notice, idle_number=host.row.idle_number))


def same_host(holder: str, asker: str) -> bool:
    """In place of `_left_behind`: what any process or run of the host holds is its own."""
    return holder.split("/", maxsplit=1)[0] == asker.split("/", maxsplit=1)[0]


def loose(name: str, condition: str, instead: str = "") -> Guard:
    return Guard(name, conditions=((condition, instead),))


def without(name: str, rule: str, stand_in: Any = nothing, parts: frozenset[str] = DEV) -> Guard:
    return Guard(name, patches=((f"lambdas.decide.decision.{rule}", stand_in),), parts=parts)


GUARDS = [
    (Guard("a claim before the stop", parts=frozenset({"claim"})), {"pushes": 2}, "is stopped"),
    (
        loose("work begins under no claim", f"boot = :boot AND {NOT_STOPPING}", "boot = :boot"),
        {"pushes": 2},
        "is stopped",
    ),
    (
        loose(
            "a booting host honours a claim",
            " AND (attribute_not_exists(#s) OR #s <> :stopping OR claim_expires <= :now)",
        ),
        {"pushes": 2, "crashes": 1},
        "is stopped",
    ),
    (loose("only an idle host is claimed", " AND #s = :idle"), {"pushes": 2}, "is stopped"),
    (loose("the claim has the number", " AND idle_number = :number"), {"pushes": 2}, "late"),
    (
        loose("the claim has the boot", "boot = :boot AND #s = :idle", "#s = :idle"),
        {"pushes": 2, "crashes": 1},
        "late",
    ),
    (
        loose(
            "a broken host that arrives wins",
            "(boot = :boot AND #u = :unchanged)",
            "attribute_exists(pk)",
        ),
        {},
        "is stopped",
    ),
    (
        loose(
            "one claimer at a time",
            " AND (attribute_not_exists(#s) OR #s <> :stopping OR claim_expires <= :now)"
            " AND (attribute_not_exists(held)",
            " AND (attribute_not_exists(held)",
        ),
        {"doubled": 1},
        "is stopped",
    ),
    (
        Guard("requests are deleted last", parts=DEV | {"delete last"}),
        {"crashes": 1, "copies": 1},
        "no rest",
    ),
    (Guard("the schedule", parts=frozenset({"ticks"})), {"lost": 1}, "no rest"),
    (
        Guard("the stopped event, with no schedule", parts=frozenset({"stopped event", "ticks"})),
        {"pushes": 2},
        "no rest",
    ),
    (
        Guard(
            "idle is said again, or seen by the reconciler",
            patches=(("lambdas.decide.decision._forgotten", nothing),),
            parts=frozenset({"say idle again"}),
        ),
        {"lost": 1},
        "no rest",
    ),
    (without("a want is published again", "republished"), {"lost": 1}, "no rest"),
    (without("drift", "drift_actions", parts=frozenset()), {"lost": 1}, "no rest"),
    (without("the count as a hint", "_hinted", lambda snapshot: False), {"lost": 1}, "no rest"),
    (
        without("broken hosts are stopped", "_broken"),
        {"crashes": 1, "copies": 1},
        "no rest",
    ),
    (
        Guard("the lock", parts=frozenset({"lock"})),
        {"pushes": 2, "hosts": 2, "at_once": 1},
        "two hosts roll out",
    ),
    (
        Guard(
            "what is under way here begins no second run, where there is no lock",
            parts=frozenset({"under way", "lock"}),
        ),
        {"doubled": 1, "at_once": 1},
        "two runs roll out",
    ),
    (
        Guard(
            "a run's lock is its own, where a second run begins",
            patches=(("slipway.contracts.table.locks._left_behind", same_host),),
            parts=frozenset({"under way"}),
        ),
        {"doubled": 1, "at_once": 1},
        "two runs roll out",
    ),
    (
        loose(
            "a hand-over is under the run's own lock",
            "fence = :fence AND holder = :holder",
            "fence = :fence",
        ),
        {"pushes": 2, "hangs": 1, "at_once": 1},
        "roll out one pipeline",
    ),
]


@pytest.mark.parametrize(("guard", "world", "breaks"), GUARDS, ids=[g.name for g, _, _ in GUARDS])
def test_without_this_guard_something_breaks(guard, world, breaks):
    within = bounds(**world)
    with guard.out() as client:
        findings = explore(Model(within, without=guard.parts, client=client), within)
    ways = findings.violation or findings.stuck
    assert ways, f"{findings.states} states, and nothing noticed that {guard.name!r} is out"
    assert breaks in ways[-1]
