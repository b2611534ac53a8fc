"""What is noted, and what is looked at, is taken out once; the histories must notice."""

from __future__ import annotations

import operator

import pytest

from tests.simulation.cases import (
    DECISION,
    ENDS,
    LEFT_BEHIND,
    PIPELINE,
    REQUESTS,
    SNAPSHOT,
    WANTS,
    Case,
    loose,
    noticed,
    patched,
)
from tests.simulation.drawn import plan_of
from tests.simulation.guards import Guard
from tests.simulation.plans import (
    building,
    crowded,
    often,
    paused_during_another,
    told_again,
    undrifted,
    with_faults,
)
from tests.simulation.stand_ins import (
    always_true,
    any_number,
    join_all,
    kept_unless_held,
    locked,
    never_paused,
    never_told,
    no_reply,
    only_silent,
    startable_though_held,
    unknown_to_the_worker,
    whatever_has_come,
)

NOTED = [
    Case(
        patched(
            "an earlier fetch serves a first attempt alone",
            "build_agent.deploy.Deployment._pushed",
            property(whatever_has_come),
        ),
        undrifted(crowded("agent killed", "push fails")),
        breaks="its tip is",
        first=70,
        most=130,
    ),
    Case(
        patched("a want is noted first", f"{WANTS}.note", always_true),
        with_faults("delivery lost", "Lambda crashes"),
        breaks="has no outcome",
    ),
    Case(
        patched("a settled request's want is cleared", f"{WANTS}.clear", no_reply),
        with_faults("delivery late"),
        breaks="no rest",
    ),
    Case(
        Guard("a Lambda that raised is tried again", parts=frozenset({"retries"})),
        with_faults("Lambda crashes", "call refused"),
        cost="seconds asleep with work",
        share=1.5,
        seeds=40,
    ),
    Case(
        patched(
            "another host where EC2 lacks capacity",
            "lambdas.decide.action.NO_CAPACITY",
            frozenset(),
        ),
        crowded("no capacity"),
        cost="seconds asleep with work",
        share=2,
    ),
    Case(
        patched("a powered-off host's lock keeps nobody", f"{SNAPSHOT}.kept_from_us", locked),
        often("host dies", "host dies"),
        cost="seconds asleep with work",
        share=5,
    ),
    Case(
        patched("a host's next boot has its lock", LEFT_BEHIND, operator.eq),
        often("host dies", "host dies"),
        cost="seconds until settled",
        share=1.08,
        seeds=30,
    ),
    Case(
        patched("what was told of is not told again", "build_agent.deploy.told_of", never_told),
        crowded(),
        breaks="a push was told twice",
    ),
    Case(
        patched("a host without progress is stopped", f"{DECISION}._why_broken", only_silent),
        often("hang", "worker hangs"),
        breaks="no rest",
    ),
    Case(
        patched("a held host is not started", f"{DECISION}._startable", startable_though_held),
        often("hold", every=1200),
        breaks="held, and is not left so",
    ),
    Case(
        Guard(
            "a held host is not stopped, by the snapshot or by the claim",
            conditions=((" AND (attribute_not_exists(held) OR held = :no)", ""),),
            patches=((f"{DECISION}._kept", kept_unless_held),),
        ),
        often("hold", "wrong counts"),
        breaks="held, and is not left so",
    ),
    Case(
        patched("a pause is looked at before the deployment", PIPELINE, never_paused),
        paused_during_another,
        breaks="is paused, and is deployed",
    ),
    Case(
        patched("the number is looked at first", f"{DECISION}._not_that_host", any_number),
        told_again,
        cost="writes refused",
        share=1.001,
        seeds=40,
    ),
    Case(
        patched("a run that had begun is not asked for", f"{ENDS}.leave_to_holder", join_all),
        building("delivery twice", "delivery late", "received twice"),
        cost="writes refused",
        share=1.02,
        seeds=30,
    ),
    Case(
        loose(
            "only a claim of one's own is renewed",
            "attribute_exists(rollout) AND step = :step AND claimed_by = :by"
            " AND claimed_until > :now",
            "attribute_exists(rollout)",
        ),
        crowded("host frozen", "held up", "call slow", "received twice"),
        breaks="without its claim",
    ),
    Case(
        Guard(
            "only who works on a deployment notes its commit",
            conditions=((" AND fence = :under", ""), (" AND fence <= :fence", "")),
        ),
        plan_of,
        breaks="names another commit",
        first=1754055,
    ),
    Case(
        patched("the worker knows what is settled", f"{REQUESTS}.settled", unknown_to_the_worker),
        with_faults("delivery late", "delivery twice", "old duplicate"),
        cost="awake seconds",
        share=1.02,
        seeds=30,
    ),
]


@pytest.mark.parametrize("case", NOTED, ids=[c.guard.name for c in NOTED])
def test_taking_this_note_or_look_out_is_noticed(case):
    noticed(case)
