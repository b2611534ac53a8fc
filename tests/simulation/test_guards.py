"""Every guard of the agent and of the Lambdas is taken out once, and the histories must notice.

A guard is either `needed`: without it a promise is broken in some history; or it has a `cost`:
without it the same histories take more of something, by at least the share that is named.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.simulation.cases import (
    DECISION,
    ENDING,
    ENDS,
    FOLLOWERS_WORLD,
    KEEPER,
    LOCK,
    ROUGH_CALLS,
    SETTLER,
    Case,
    noticed,
    patched,
)
from tests.simulation.guards import WITHOUT_DRIFT, Guard, nothing
from tests.simulation.plans import (
    calm,
    crowded,
    rolled_back,
    rolled_back_meanwhile,
    told_again,
    while_stopping,
    with_faults,
)
from tests.simulation.stand_ins import (
    any_boot,
    as_often_as_delivered,
    deleted_at_once,
    each_by_itself,
    false,
    no_reply,
    over_or_not,
    settled_first,
    whoever_asks,
)


def new_each_time(requests: Any, request_id: str, deployment_id: str, *_a: Any, **_n: Any) -> str:
    return deployment_id


CASES = [
    # section 4
    Case(
        Guard("the schedule", parts=frozenset({"schedule"})),
        with_faults("Lambda is lost", "delivery lost", "event lost"),
        breaks="no rest",
    ),
    Case(
        Guard("the stopped event", parts=frozenset({"stopped event"})),
        while_stopping,
        cost="seconds asleep with work",
        share=3,
    ),
    Case(
        patched("a want is published again", f"{DECISION}.republished", nothing),
        with_faults("delivery lost"),
        breaks="no rest",
    ),
    Case(
        WITHOUT_DRIFT,
        with_faults("Lambda is lost"),
        breaks="its tip is",
    ),
    Case(
        patched("the count as a hint", f"{DECISION}._hinted", false),
        with_faults("Lambda is lost", "Lambda crashes"),
        breaks="no rest",
    ),
    Case(
        patched("work keeps a host awake", f"{DECISION}._kept", lambda snapshot, host: ""),
        with_faults("delivery late"),
        cost="boots",
        share=1.02,
        seeds=40,
    ),
    Case(
        patched(
            "a refused stop's claim is taken back",
            "slipway.contracts.table.hosts.Hosts.take_back_claim",
            no_reply,
        ),
        with_faults("stop refused"),
        cost="awake seconds",
        share=1.05,
    ),
    Case(
        patched("the boot is looked at first", f"{DECISION}._not_that_host", any_boot),
        told_again,
        cost="writes refused",
        share=1.1,
        seeds=8,
    ),
    Case(
        patched("silent hosts are stopped", f"{DECISION}._broken", nothing),
        with_faults("silent boot", "host frozen"),
        breaks="no rest",
    ),
    Case(
        Guard(
            "a request that is settled leaves no want",
            conditions=(
                ("attribute_not_exists(pk)", "attribute_not_exists(pk) OR attribute_exists(pk)"),
            ),
        ),
        with_faults("delivery twice", "delivery late", "old duplicate"),
        cost="boots",
        share=1.01,
    ),
    # section 5
    Case(
        Guard(
            "requests are deleted last",
            patches=(("build_agent.queue.inbox.Inbox.receive", deleted_at_once),),
        ),
        with_faults("agent killed", "host dies", "ECS fails", "fetch fails"),
        breaks="is deleted, and nobody owns it",
    ),
    Case(
        patched("an outcome is announced before it is settled", f"{SETTLER}.close", settled_first),
        with_faults("call lost", "call refused"),
        breaks="nobody was told",
    ),
    Case(
        patched(
            "older pushes are superseded", "build_agent.queue.supersede.Kept.take", each_by_itself
        ),
        crowded(),
        cost="seconds until settled",
        share=1.04,
        seeds=40,
    ),
    Case(
        patched(
            "a request finds its deployment again",
            "slipway.contracts.table.requests.Requests.point",
            new_each_time,
        ),
        with_faults("agent killed", "ECS fails", "call lost"),
        breaks="has no outcome",
    ),
    Case(
        patched("runs that a newer push overtook are ended", f"{ENDS}.end_left_behind", no_reply),
        crowded(*ROUGH_CALLS),
        cost="seconds until settled",
        share=1.1,
        seeds=40,
    ),
    Case(
        patched(
            "a change that is signed late is not sent",
            "slipway.rollout.fence.Fence.check",
            no_reply,
        ),
        crowded("host frozen", "held up"),
        breaks="without its claim",
    ),
    Case(
        patched("the lock is renewed", f"{KEEPER}._renew", no_reply),
        lambda seed: dataclasses.replace(crowded()(seed), long_builds=1.0),
        cost="writes refused",
        share=1.3,
    ),
    Case(
        patched("leases are renewed", f"{KEEPER}._extend", no_reply),
        lambda seed: dataclasses.replace(crowded()(seed), long_builds=0.5),
        cost="receives",
        share=1.1,
    ),
    Case(
        patched("the heartbeat", f"{KEEPER}._heartbeat", no_reply),
        lambda seed: calm(seed, long_builds=1.0),
        cost="boots",
        share=1.1,
    ),
    Case(
        patched(
            "another run is asked of the holder",
            "slipway.contracts.table.locks.Locks.ask_again",
            false,
        ),
        crowded(),
        cost="receives",
        share=1.2,
    ),
    # a rollout that its deployment's row owns
    Case(
        patched("nobody is left alone with a rollout", f"{DECISION}.followed_up", nothing),
        with_faults("follow message lost", "ECS event lost", "agent killed", "host dies"),
        breaks="no rest",
    ),
    Case(
        patched("an image is found in ECR", "tests.simulation.deploying.Images.find", no_reply),
        with_faults(),
        breaks="its image is in ECR",
    ),
    Case(
        patched("what runs is tagged in ECR", f"{ENDING}.keep_images", no_reply),
        with_faults(),
        breaks="ECR may remove",
    ),
    Case(
        patched("a rollback stands", "build_agent.run.undoes_rollback", false),
        rolled_back,
        breaks="undid",
    ),
    Case(
        Guard(
            "a request takes no place of its own, nor does one that is over any other's",
            patches=(
                (f"{LOCK}.gives_way", whoever_asks),
                ("slipway.contracts.table.locks.Locks.is_to_give_way", over_or_not),
            ),
        ),
        rolled_back_meanwhile,
        breaks="its tip is",
    ),
    Case(
        patched("one message on its way", f"{FOLLOWERS_WORLD}.come_again", as_often_as_delivered),
        rolled_back_meanwhile,
        cost="invocations",
        share=1.2,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[c.guard.name for c in CASES])
def test_taking_this_guard_out_is_noticed(case):
    noticed(case)
