"""Every guard of the agent and of the Lambdas is taken out once, and the histories must notice.

A guard is either `needed`: without it a promise is broken in some history; or it has a `cost`:
without it the same histories take more of something, by at least the share that is named.
"""

from __future__ import annotations

import dataclasses
import operator
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from build_agent.ends import Ends
from build_agent.queue.inbox import Inbox
from build_agent.queue.supersede import _join
from lambdas.decide import decision
from slipway.contracts.table.pipelines import Pipelines
from slipway.contracts.table.requests import Requests
from tests.simulation.guards import Guard, nothing
from tests.simulation.history import Outcome, Plan, plan_of, run
from tests.simulation.weather import KINDS

EVERYTHING = frozenset(KINDS)
ROUGH = frozenset({"agent killed", "host frozen", "delivery twice", "delivery late", "call slow"})


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


def calm(seed: int, faults: frozenset[str] = frozenset(), **changes: Any) -> Plan:
    return dataclasses.replace(plan_of(seed), faults=faults, **changes)


def with_faults(*faults: str) -> Callable[[int], Plan]:
    return lambda seed: calm(seed, frozenset(faults))


def crowded(*faults: str) -> Callable[[int], Plan]:
    """Two hosts, two pipelines, many pushes in little time."""

    def plan(seed: int) -> Plan:
        actions = [(20.0 * i + seed % 20, "push", (i % 2, "good")) for i in range(10)]
        if "host frozen" in faults:
            actions += [(60.0 * i, "freeze", i % 2) for i in range(1, 4)]
        if "agent killed" in faults:
            actions += [(50.0 * i + seed % 40, "kill agent", i % 2) for i in range(1, 5)]
        return Plan(seed, 2, 2, tuple(sorted(actions, key=lambda a: a[0])), frozenset(faults), 900)

    return plan


def building(*faults: str) -> Callable[[int], Plan]:
    """Two hosts that build for most of the time, so that what comes twice meets a taken lock."""

    def plan(seed: int) -> Plan:
        actions = tuple((400.0 * i + seed % 20, "push", (i % 2, "good")) for i in range(10))
        return Plan(seed, 2, 2, actions, frozenset(faults), 5000, long_builds=0.7)

    return plan


def while_stopping(seed: int) -> Plan:
    """A push in the minutes in which a host slowly stops."""
    actions = ((0.0, "push", (0, "good")), (480.0 + 7 * (seed % 40), "push", (0, "good")))
    return Plan(seed, 1, 1, actions, frozenset({"slow stop"}), 3000, long_builds=0)


def rolled_back(seed: int) -> Plan:
    """Pushes, some of them heard of late, and then an operator goes back."""
    pushes = tuple((500.0 * i, "push", (0, "good")) for i in range(4))
    actions = (*pushes, (1700.0, "rollback", 0))
    return Plan(seed, 1, 1, actions, frozenset({"delivery late", "delivery twice"}), 3600)


def often(verb: str, *faults: str, every: int = 300) -> Callable[[int], Plan]:
    """Eight pushes, `every` so many seconds, and after each what the verb says."""

    def plan(seed: int) -> Plan:
        dice = random.Random(seed)
        actions: list[tuple[float, str, Any]] = []
        for at in range(0, 8 * every, every):
            actions.append((at + dice.uniform(0, 100), "push", (0, "good")))
            actions.append((at + every * dice.uniform(0.2, 0.8), verb, 0))
        return Plan(seed, 1, 1, tuple(sorted(actions)), frozenset(faults), 8 * every + 600)

    return plan


def paused_during_another(seed: int) -> Plan:
    """Both pipelines are pushed to, and paused while the one build runs."""
    at = 60.0 + 5 * (seed % 30)
    actions = ((0.0, "push", (0, "good")), (1.0, "push", (1, "good")), (at, "pause", 0),
               (at, "pause", 1))  # fmt: skip
    return Plan(seed, 2, 1, actions, frozenset(), 1800)


def told_again(seed: int) -> Plan:
    """Idle notices come again and again; counts that are wrong keep hosts awake for longer."""
    dice = random.Random(seed)
    pushes = [(900.0 * i + dice.uniform(0, 60), "push", (0, "good")) for i in range(8)]
    notices = [(at + dice.uniform(0, 20), "old notice", 0) for at in range(0, 7500, 20)]
    actions = tuple(sorted([*pushes, *notices]))
    return Plan(seed, 1, 1, actions, frozenset({"wrong counts"}), 7800, long_builds=0)


def patched(name: str, target: str, stand_in: Any) -> Guard:
    return Guard(name, patches=((target, stand_in),))


def loose(name: str, condition: str, instead: str = "") -> Guard:
    return Guard(name, conditions=((condition, instead),))


def no_reply(*arguments: Any, **named: Any) -> None:
    return None


def never_told(*arguments: Any, **named: Any) -> None:
    return None


def false(*arguments: Any, **named: Any) -> bool:
    return False


def any_boot(host: Any, notice: Any) -> str:
    return _differences(host, dataclasses.replace(notice, boot=host.row.boot))


def always_true(*arguments: Any, **named: Any) -> bool:
    return True


def any_number(host: Any, notice: Any) -> str:
    return _differences(host, dataclasses.replace(notice, idle_number=host.row.idle_number))


def kept_unless_held(snapshot: Any, host: Any) -> str:
    return "" if host.row.held else _kept(snapshot, host)


def startable_though_held(host: Any, now: float) -> bool:
    return host.ec2_state == "stopped" and host.row.next_start_at <= now


def only_silent(snapshot: Any, host: Any) -> Any:
    found = _why_broken(snapshot, host)
    return None if found and found.unchanged == "progress_at" else found


def locked(snapshot: Any, pipeline: str) -> bool:
    return bool(snapshot.locked(pipeline))


def never_paused(pipelines: Any, pipeline: str) -> Any:
    return dataclasses.replace(_row_of(pipelines, pipeline), paused=False)


def join_all(ends: Any, delivery: Any) -> None:
    delivery.deployment_id = None
    _leave_to_holder(ends, delivery)


def unknown_to_the_worker(requests: Any, request_ids: Any) -> Any:
    caller = sys._getframe(1).f_globals["__name__"]
    return {} if caller in WORKERS_OWN else _settled(requests, request_ids)


def deleted_at_once(inbox: Inbox, wait: float) -> Any:
    messages = _receive(inbox, wait)
    inbox.delete(messages)
    return messages


def settled_first(settler: Any, delivery: Any, result: Any, *, announced: bool) -> None:
    settler.settle(delivery, result.status, result.deployment_id)
    if not announced:
        settler._recorder.announce(result)


def each_by_itself(kept: Any, delivery: Any) -> None:
    _join(kept.named, delivery)


def new_each_time(requests: Any, request_id: str, deployment_id: str, *_a: Any, **_n: Any) -> str:
    return deployment_id


_receive = Inbox.receive
_differences, _kept, _why_broken = decision._not_that_host, decision._kept, decision._why_broken
_row_of, _settled = Pipelines.get, Requests.settled
_leave_to_holder = Ends.leave_to_holder
WORKER = "build_agent.worker.Worker"
ENDS = "build_agent.ends.Ends"
SETTLER = "build_agent.queue.settle.Settler"
WORKERS_OWN = (
    "build_agent.worker",
    "build_agent.ends",
    "build_agent.queue.intake",
    "build_agent.queue.settle",
)
KEEPER = "build_agent.queue.lease.Keeper"
DECISION = "lambdas.decide.decision"
SNAPSHOT = "lambdas.decide.situation.Snapshot"
DEPLOYMENT = "build_agent.deploy.Deployment"
PIPELINE = "slipway.contracts.table.pipelines.Pipelines.get"
WANTS = "slipway.contracts.table.wants.Wants"
SAME_WORKER = "slipway.contracts.table.locks._same_worker"
REQUESTS = "slipway.contracts.table.requests.Requests"
ROUGH_CALLS = ("ECS fails", "fetch fails", "call lost", "call refused", "received twice")

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
        patched("drift", f"{DECISION}.drift_actions", nothing),
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
        share=1.05,
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
        share=1.3,
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
        cost="seconds until settled",
        share=1.2,
        seeds=8,
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
        share=1.1,
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
        breaks="has no outcome",
        most=700,
        first=300,
    ),
    Case(
        patched("the lock is looked at before a change", f"{KEEPER}.check", no_reply),
        crowded("host frozen"),
        breaks="without its lock",
    ),
    Case(
        patched(
            "a change that is signed late is not sent",
            "slipway.rollout.fence.Fence.check",
            no_reply,
        ),
        crowded("host frozen", "held up"),
        breaks="without its lock",
    ),
    Case(
        patched("the lock is renewed", f"{KEEPER}._renew", no_reply),
        lambda seed: dataclasses.replace(crowded()(seed), long_builds=1.0),
        cost="receives",
        share=1.05,
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
    Case(
        loose(
            "a lock with the note `again` is kept",
            "fence = :fence AND attribute_not_exists(again)",
            "fence = :fence",
        ),
        crowded(),
        cost="seconds until settled",
        share=1.05,
    ),
    Case(
        patched("an image is found in ECR", "tests.simulation.deploying.Images.find", no_reply),
        with_faults(),
        breaks="its image is in ECR",
    ),
    Case(
        patched("what runs is tagged in ECR", f"{ENDS}._keep_images", no_reply),
        with_faults(),
        breaks="ECR may remove",
    ),
    Case(
        patched("a rollback stands", "build_agent.worker.undoes_rollback", false),
        rolled_back,
        breaks="undid",
    ),
    # what is noted, and what is looked at
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
        share=5,
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
        patched("a host's next boot has its lock", SAME_WORKER, operator.eq),
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
        patched("SIGTERM gives work back", f"{WORKER}.request_stop", no_reply),
        often("stop by hand", "host is stopped"),
        cost="seconds until settled",
        share=1.03,
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
        share=1.02,
        seeds=8,
    ),
    Case(
        patched("a revision that was registered is found", f"{DEPLOYMENT}._is_resumed", false),
        crowded("agent killed", "ECS fails", "ECS is slow", "call lost"),
        cost="revisions",
        share=1.02,
        seeds=48,
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
            "only a lock of one's own is renewed",
            "fence = :fence AND holder = :h AND expires_at > :now",
            "attribute_exists(fence)",
        ),
        crowded("host frozen", "held up", "call slow", "received twice"),
        breaks="without its lock",
        first=95,
    ),
    Case(
        patched("the worker knows what is settled", f"{REQUESTS}.settled", unknown_to_the_worker),
        with_faults("delivery late", "delivery twice", "old duplicate"),
        cost="writes refused",
        share=1.05,
        seeds=30,
    ),
]


def costs(case: Case, plans: list[Plan], **how: Any) -> tuple[Counter[str], list[Outcome]]:
    total: Counter[str] = Counter()
    outcomes = [run(plan, **how) for plan in plans]
    for outcome in outcomes:
        total += outcome.costs
    return total, outcomes


@pytest.mark.parametrize("case", CASES, ids=[c.guard.name for c in CASES])
def test_taking_this_guard_out_is_noticed(case):
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
