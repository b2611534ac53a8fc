"""Waking and sleeping in every interleaving of small worlds, and without each guard in turn."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lambdas.decide import decision
from slipway.contracts.table.store import Write
from tests.simulation.explore import explore
from tests.simulation.guards import NOT_STOPPING, WITHOUT_DRIFT, Guard, nothing
from tests.simulation.model import Bounds, Model
from tests.simulation.stand_ins import over_or_not

SMALL = Bounds(pushes=1, lost=0, doubled=0, crashes=0)


def bounds(**values: Any) -> Bounds:
    return dataclasses.replace(SMALL, **values)


def awake(**values: Any) -> Bounds:
    """A world of orders, where no host is woken or stopped."""
    return bounds(held=True, at_once=1, copies=1, **values)


@pytest.mark.parametrize(
    "within",
    [
        bounds(pushes=2, at_once=1),
        bounds(crashes=1, copies=1),
        bounds(doubled=1, at_once=1),
        bounds(hosts=2, at_once=1, copies=1),
        bounds(hangs=1, at_once=1, copies=1),
        bounds(cancels=1, at_once=1, copies=1),
        bounds(pushes=0, rollbacks=1, crashes=1, at_once=1, copies=1),
        awake(cancels=1, hangs=1),
        awake(cancels=1, crashes=1),
        awake(cancels=1, pushes=2),
        awake(rollbacks=1),
        awake(rollbacks=2, pushes=0),
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


BOTH = awake(cancels=1, rollbacks=1)


def test_a_cancel_and_a_takeover_at_once_do_no_harm():
    """A rollback that is cancelled while it waits leaves its note: nothing gives way to it."""
    findings = explore(Model(BOTH), BOTH)
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
    (WITHOUT_DRIFT, {"lost": 1}, "no rest"),
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


# --- the guards of an operator's orders


def obeys_no_mark(held: Any) -> None:
    """In place of `Held._obey`."""
    lock = held._table.locks.get(held.row.pipeline)
    if lock.gives_way(held.followed.request):
        held._give_way(0.0)


def any_cancel(lock: Any, deployment_id: str | None) -> bool:
    return bool(deployment_id) and lock.cancelled is not None


def to_itself(lock: Any, request: Any) -> bool:
    """In place of `LockRow.gives_way`."""
    return lock.takeover is not None and lock.cancelled is None


def to_older(lock: Any, request: Any) -> bool:
    return to_itself(lock, request) and lock.takeover != request.request_id


def unlooked(request_id: str) -> Write:
    """In place of `not_begun`: a check that holds."""
    key = {"pk": f"REQUEST#{request_id}", "sk": "-"}
    return Write("check", key, condition="attribute_not_exists(pk) OR attribute_exists(pk)")


def patched(name: str, *patches: tuple[str, Any], parts: frozenset[str] = frozenset()) -> Guard:
    return Guard(name, patches=patches, parts=parts)


TABLE = "slipway.contracts.table"
ORDERED = {"held": True, "at_once": 1, "copies": 1}
CANCEL, ROLLBACK = {**ORDERED, "cancels": 1}, {**ORDERED, "rollbacks": 1}

GUARDS += [
    (
        patched(
            "a cancel's mark is obeyed",
            ("slipway.following.follower.Held._obey", obeys_no_mark),
        ),
        CANCEL,
        "was cancelled, and changes the service",
    ),
    (
        patched(
            "a cancel's note names its deployment", (f"{TABLE}.locks.LockRow.ends", any_cancel)
        ),
        {**CANCEL, "pushes": 2},
        "a cancel that was another's",
    ),
    (
        patched(
            "what is begun does not end as if it waited", (f"{TABLE}.unbegun.not_begun", unlooked)
        ),
        CANCEL,
        "as if nothing was begun",
    ),
    (
        loose(
            "one outcome at a time is to be told",
            "attribute_not_exists(untold)",
            "attribute_exists(sk)",
        ),
        {**CANCEL, **ROLLBACK},
        "forgotten",
    ),
    (
        Guard("an earlier outcome is told first", parts=frozenset({"earlier first"})),
        {**CANCEL, "pushes": 2},
        "forgotten",
    ),
    (
        Guard("a note is taken after the fetch", parts=DEV | {"note after fetch"}),
        {**CANCEL, "pushes": 2},
        "no rest",
    ),
    (
        patched(
            "a takeover ends with the lock that it is asked of",
            (f"{TABLE}.locks.NO_TAKEOVER", "nothing"),
            (f"{TABLE}.deployments.NO_TAKEOVER", "nothing"),
            (f"{TABLE}.locks.Locks.is_to_give_way", over_or_not),
        ),
        ROLLBACK,
        "which is over",
    ),
    (
        patched(
            "a rollback does not give way to itself",
            (f"{TABLE}.locks.LockRow.gives_way", to_itself),
            (f"{TABLE}.locks.Locks.is_to_give_way", over_or_not),
        ),
        ROLLBACK,
        "gives way",
    ),
    (
        patched(
            "nothing gives way to what is over",
            (f"{TABLE}.locks.Locks.is_to_give_way", over_or_not),
        ),
        {**ROLLBACK, "cancels": 1},
        "which is over",
    ),
    (
        patched(
            "nothing gives way to what is older", (f"{TABLE}.locks.LockRow.gives_way", to_older)
        ),
        {**ROLLBACK, "rollbacks": 2, "pushes": 0},
        "gives way",
    ),
    (
        patched(
            "a rollback undoes the pushes before it",
            ("slipway.following.outcome.undoes_rollback", lambda *_: False),
        ),
        ROLLBACK,
        "replaces push",
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
