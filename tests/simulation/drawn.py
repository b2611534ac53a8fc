"""Plans of histories, each drawn by a seed: what people do, what befalls, and when."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import Any, Literal

from tests.simulation.builders import KINDS as BUILD_KINDS
from tests.simulation.deploying import LONG_BUILDS, PROOFS
from tests.simulation.weather import KINDS


@dataclass(frozen=True)
class Plan:
    """What people do (`(seconds, verb, argument)`), which faults there are, and until when.

    `empty`: the branches are not there before their first push. `paths`: the pipelines have some,
    and the pushes `others` and `undo` touch none of them. `slots`: builds that a host runs at
    once; `stale`: a push ends the build of an older one. `when`, `limit`, `timeout`: of CodeBuild's
    builds. `services`: of each pipeline; `together`: two are rolled out side by side;
    `takes_over`: a push does not wait for the rollout under way. `scheduled`: scheduled tasks come
    after the services. `proofs`: what is steady is proved by requests, a task and alarms, and of
    some pushes one of these is bad. `drift`: the reconciler looks whether a tip is ahead.
    """

    seed: int
    pipelines: int
    hosts: int
    actions: tuple[tuple[float, str, Any], ...]
    faults: frozenset[str]
    calm_after: float
    long_builds: float = LONG_BUILDS
    empty: bool = False
    slots: int = 1
    stale: bool = False
    when: Literal["hosts", "overflow", "codeBuild"] = "hosts"
    limit: int = 20
    paths: bool = False
    timeout: float = 3600.0
    services: int = 1
    together: bool = False
    takes_over: bool = False
    scheduled: bool = False
    proofs: bool = False
    drift: bool = True


LOST_ON_THE_WAY = frozenset({"event lost", "delivery lost", "Lambda is lost"})
"""What only the drift check puts right: a push of which no part of Slipway has heard."""


def plan_of(seed: int) -> Plan:
    """One to three hosts, one to three pipelines, some pushes, some of the faults."""
    dice = random.Random(seed * 7919 + 1)
    hosts = dice.choice((1, 1, 1, 2, 2, 3))
    pipelines = dice.choice((1, 1, 2, 3)) if hosts > 1 else dice.choice((1, 1, 1, 2))
    others = random.Random(seed * 104_729 + 3)
    slots, stale = others.choice((1, 1, 2, 3)), others.random() < 0.25
    if slots > 1:
        pipelines = others.choice((1, 2, 2, 3, 3))
    span = dice.choice((300.0, 1800.0, 3600.0))
    actions: list[tuple[float, str, Any]] = []
    for _ in range(dice.randint(1, 5)):
        name = dice.randrange(pipelines)
        kind = dice.choices(("good", "fetch", "build", "rollout", "back"), (12, 1, 2, 2, 4))[0]
        actions.append((dice.uniform(0, span), "push", (name, kind)))
    pushes = [(at, argument[0]) for at, _, argument in actions]
    for verb, chance in OPERATORS.items():
        if dice.random() >= chance:
            continue
        at, which = dice.uniform(0, span), dice.randrange(max(pipelines, hosts))
        if verb in DURING and dice.random() < 0.7:  # while a push is built or rolled out
            pushed_at, which = dice.choice(pushes)
            at = pushed_at + dice.uniform(10, 400)
        actions.append((at, verb, which))
    many = dice.choice((0, 2, 4, 8, len(KINDS)))
    faults = frozenset(dice.sample(KINDS, min(many, len(KINDS))))
    planned = tuple(sorted(actions))
    empty = dice.random() < 0.1
    return Plan(
        seed, pipelines, hosts, planned, faults, span + 900, empty=empty, slots=slots, stale=stale
    )


OPERATORS = {
    "rollback": 0.15,
    "cancel": 0.35,
    "kill at update": 0.15,
    "pause": 0.1,
    "hold": 0.1,
    "kill agent": 0.3,
    "host dies": 0.15,
    "freeze": 0.15,
    "hang": 0.05,
    "stop by hand": 0.1,
    "duplicate": 0.2,
}
DURING = ("rollback", "cancel", "kill at update", "kill agent", "stop by hand")
"""What people do, or what happens, mostly while something is under way."""
NEEDS = {
    "kill agent": "agent killed",
    "kill at update": "host killed at update",
    "host dies": "host dies",
    "freeze": "host frozen",
    "hang": "worker hangs",
    "stop by hand": "host is stopped",
}


def undrifted_plan_of(seed: int) -> Plan:
    """The same where every push is heard of, and no drift check finds one that was lost then."""
    plan = plan_of(seed)
    return dataclasses.replace(plan, faults=plan.faults - LOST_ON_THE_WAY, drift=False)


def built_plan_of(seed: int) -> Plan:
    """The same without a host, or with CodeBuild beside the hosts."""
    plan = plan_of(seed)
    dice = random.Random(seed * 15_485_863 + 5)
    when: Literal["overflow", "codeBuild"] = dice.choice(("codeBuild", "codeBuild", "overflow"))
    faults = plan.faults
    if faults:
        faults |= frozenset(dice.sample(BUILD_KINDS, dice.randint(0, len(BUILD_KINDS))))
    actions = [
        action for action in plan.actions if when == "overflow" or action[1] not in HOSTS_ONLY
    ]
    span = plan.calm_after - 900
    more = random.Random(seed * 32_452_843 + 7)
    if more.random() < 0.1:  # one of the pushes takes its builders with it
        pushes = [number for number, action in enumerate(actions) if action[1] == "push"]
        number = more.choice(pushes)
        at, _, (name, _) = actions[number]
        actions[number] = (at, "push", (name, "kill"))
    for _ in range(dice.choice((0, 0, 1, 2))):
        actions.append((dice.uniform(0, span), "kill build", dice.randrange(plan.pipelines)))
    if plan.pipelines > 1 and more.random() < 0.25:
        actions.append((more.uniform(0, span), "unconfigure", more.randrange(plan.pipelines)))
    return dataclasses.replace(
        plan,
        actions=tuple(sorted(actions)),
        faults=faults,
        hosts=plan.hosts if when == "overflow" else 0,
        when=when,
        limit=dice.choice((1, 2, 20)),
        timeout=more.choice((3600.0, 3600.0, 14400.0)),
    )


def filtered_plan_of(seed: int) -> Plan:
    """Some of the histories of both kinds, with pushes that concern another pipeline besides."""
    plan = built_plan_of(seed) if seed % 3 == 0 else plan_of(seed)
    dice = random.Random(seed * 32_452_843 + 7)
    span = plan.calm_after - 900
    pushes = [
        (dice.uniform(0, span), "push", (dice.randrange(plan.pipelines), kind))
        for kind in dice.choices(("others", "undo"), (3, 1), k=dice.randint(1, 5))
    ]
    faults = plan.faults | {"what runs is gone"} if plan.faults and dice.random() < 0.3 else ()
    return dataclasses.replace(
        plan,
        actions=tuple(sorted([*plan.actions, *pushes], key=lambda action: action[0])),
        faults=frozenset(faults or plan.faults),
        paths=True,
    )


def several_plan_of(seed: int) -> Plan:
    """The same with two services in each pipeline; of some pushes the second one is bad. One in
    five has paths, too; half of them have scheduled tasks, whose targets somebody edits.
    """
    plan = filtered_plan_of(seed) if seed % 5 == 0 else plan_of(seed)
    dice = random.Random(seed * 32_452_843 + 7)
    actions: list[tuple[float, str, Any]] = []
    for at, verb, argument in plan.actions:
        worker = verb == "push" and argument[1] in GOOD_OR_BAD and dice.random() < 0.2
        actions.append((at, verb, (argument[0], "worker") if worker else argument))
        meanwhile = dice.choice((*BETWEEN, "", "", "")) if verb == "push" else ""
        if meanwhile and (plan.hosts or meanwhile not in HOSTS_ONLY):
            actions.append((at + dice.uniform(30, 500), meanwhile, argument[0]))
    more = random.Random(seed * 49_979_687 + 11)
    scheduled = more.random() < 0.5
    if scheduled:
        pushes = [(at, argument[0]) for at, verb, argument in actions if verb == "push"]
        for at, which in pushes:
            if more.random() < 0.4:
                actions.append((at + more.uniform(30, 700), "edit", which))
    drawn = dataclasses.replace(
        plan,
        actions=tuple(sorted(actions, key=lambda action: action[0])),
        services=2,
        together=dice.random() < 0.4,
        takes_over=dice.random() < 0.4,
        scheduled=scheduled,
    )
    return drawn if drawn.takes_over else _with_proofs(drawn)


def _with_proofs(plan: Plan) -> Plan:
    """Of half of the histories in which no push takes over."""
    dice = random.Random(plan.seed * 32_452_843 + 17)
    if dice.random() < 0.5:
        return plan
    actions = [
        (at, verb, (argument[0], dice.choice(PROOFS)))
        if verb == "push" and argument[1] in GOOD_OR_BAD and dice.random() < 0.4
        else (at, verb, argument)
        for at, verb, argument in plan.actions
    ]
    return dataclasses.replace(plan, actions=tuple(actions), proofs=True)


GOOD_OR_BAD = ("good", "fetch", "build", "rollout")
BETWEEN = ("rollback", "cancel", "kill at update")
"""What comes between the rollouts of two services, or in one of them."""


HOSTS_ONLY = frozenset({"kill at update", "kill agent", "host dies", "stop by hand", "hold"})
"""What befalls only hosts."""
