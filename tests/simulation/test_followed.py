"""What holds a rollout together that its row owns is taken out once; the histories must notice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.cases import ENDING, FOLLOWER, SNAPSHOT, Case, loose, noticed, patched
from tests.simulation.guards import Guard
from tests.simulation.plans import cancelled, crowded, dying, in_a_row, often, with_faults
from tests.simulation.stand_ins import always_true, false, no_reply, settles_nothing

FOLLOWED = [
    Case(
        loose(
            "the claim is renewed before a change, and saved with it",
            " AND step = :step AND claimed_by = :by AND claimed_until > :now",
        ),
        crowded("held up"),
        breaks="without its claim",
    ),
    Case(
        Guard(
            "a step has one claimer, by a look and by the claim",
            conditions=(
                (" AND (attribute_not_exists(claimed_until) OR claimed_until <= :now)", ""),
            ),
            patches=(("slipway.contracts.table.deployments.DeploymentRow.claimed", false),),
        ),
        dying("ECS is slow", "held up", "follow message late"),
        breaks="without its claim",
    ),
    Case(
        patched(
            "a hand-over settles its request",
            "slipway.contracts.table.following.settled_write",
            settles_nothing,
        ),
        often("kill agent", "agent killed"),
        breaks="is deleted, and nobody owns it",
    ),
    Case(
        Guard("the chain of follow messages", parts=frozenset({"chain"})),
        often("kill agent", "agent killed"),
        cost="seconds until the outcome",
        share=1.1,
    ),
    Case(
        Guard("ECS's events call the follower", parts=frozenset({"ECS events"})),
        often("kill agent", "agent killed"),
        cost="seconds until settled",
        share=1.04,
    ),
    Case(
        patched("only the live chain's message takes a step", f"{FOLLOWER}._is_live", always_true),
        often("rollback", "received twice", every=400),
        cost="steps",
        share=1.3,
    ),
    Case(
        patched("what ended is closed by whoever comes", f"{FOLLOWER}.Follower.close", no_reply),
        with_faults("agent killed", "Lambda crashes", "call lost"),
        breaks="no rest",
    ),
    Case(
        patched("an end decides anew", f"{ENDING}.decide_anew", no_reply),
        in_a_row,
        cost="seconds until live",
        share=1.03,
    ),
    Case(
        Guard(
            "what is followed wakes nobody, by its wait or by its lock",
            patches=((f"{SNAPSHOT}.waits", false), (f"{SNAPSHOT}.kept_from_us", false)),
        ),
        dying(),
        breaks="which is followed",
    ),
    Case(
        patched("a cancel is looked for at each step", f"{FOLLOWER}.Held._obey", no_reply),
        cancelled,
        breaks="was cancelled, and went on to succeed",
    ),
    Case(
        patched(
            "a host lets go before it sleeps", "build_agent.rollouts.Rollouts.let_go", no_reply
        ),
        often("stop by hand", "host is stopped"),
        cost="seconds until the outcome",
        share=1.05,
    ),
    Case(
        Guard(
            "the lock is looked at, and held against, at the hand-over",
            conditions=(("fence = :fence AND holder = :holder", "attribute_exists(fence)"),),
            patches=(("build_agent.queue.lease.Keeper.check", no_reply),),
        ),
        crowded("host frozen"),
        breaks="",
    ),
]


@pytest.mark.parametrize("case", FOLLOWED, ids=[c.guard.name for c in FOLLOWED])
def test_taking_this_guard_of_a_followed_rollout_out_is_noticed(case: Any) -> None:
    noticed(case)
