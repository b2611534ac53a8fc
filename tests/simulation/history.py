"""One history: a plan made of a seed, run to rest, and held against every promise."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from slipway.contracts.installation import BuildersSettings
from slipway.contracts.table.builders import builder_host
from tests.simulation import remembered
from tests.simulation.clockwork import Clockwork
from tests.simulation.drawn import NEEDS, Plan
from tests.simulation.dynamodb import FakeDynamoDB
from tests.simulation.guards import WITHOUT_DRIFT
from tests.simulation.invariants import check_at_rest
from tests.simulation.world import START, Violation, World

LONGEST = 10 * 3600.0
"""Seconds after the last fault within which rest must be reached."""
SETTLED_FOR = 1200.0
"""Seconds that rest must last: longer than every timer that could end it."""


@dataclass
class Outcome:
    """`violation`: the promise that was broken, or empty. `costs` add up over histories."""

    plan: Plan
    violation: str = ""
    words: list[tuple[float, str]] = field(default_factory=list)
    costs: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seen: frozenset[str] = frozenset()

    def told(self) -> str:
        """The history in words."""
        lines = [f"seed {self.plan.seed}: {self.violation}"]
        faults = ", ".join(sorted(self.plan.faults))
        lines += [f"{self.plan.hosts} hosts of {self.plan.slots} slots, faults: {faults}"]
        return "\n".join([*lines, *(f"{at:9.1f} s  {text}" for at, text in self.words)])


def run(
    plan: Plan,
    *,
    client: Callable[[], FakeDynamoDB] = FakeDynamoDB,
    without: frozenset[str] = frozenset(),
) -> Outcome:
    """Run the plan to rest; never raises for a broken promise, it is in the outcome."""
    with remembered.rows(), nullcontext() if plan.drift else WITHOUT_DRIFT.out():
        return _run(plan, client, without)


def _run(plan: Plan, client: Callable[[], FakeDynamoDB], without: frozenset[str]) -> Outcome:
    world = World(
        plan.seed,
        pipelines=plan.pipelines,
        hosts=plan.hosts,
        faults=plan.faults,
        calm_after=plan.calm_after,
        client=client,
        without=without,
        empty=plan.empty,
        slots=plan.slots,
        stale=plan.stale,
        paths=plan.paths,
        builders=BuildersSettings(when=plan.when, limit=plan.limit, timeout=plan.timeout),
        services=plan.services,
        together=plan.together,
        takes_over=plan.takes_over,
        scheduled=plan.scheduled,
        proofs=plan.proofs,
    )
    world.long_builds = plan.long_builds
    outcome = Outcome(plan)
    for at, verb, argument in plan.actions:
        world.clockwork.at(START + at, _action(world, verb, argument))
    try:
        _run_to_rest(world, plan)
        check_at_rest(world)
    except Violation as violation:
        outcome.violation = str(violation)
    finally:
        world.clockwork.end()
    outcome.words = world.words
    outcome.faults = world.weather.happened
    outcome.costs = _costs(world)
    outcome.seen = frozenset(world.seen)
    return outcome


def _run_to_rest(world: World, plan: Plan) -> None:
    clock: Clockwork = world.clockwork
    clock.run_until(START + plan.calm_after)
    end = clock.time + LONGEST
    rested = 0.0
    while clock.time < end:
        clock.run_until(clock.time + 120)
        rested = rested + 120 if world.at_rest else 0.0
        if rested >= SETTLED_FOR:
            return
    raise Violation("no rest: " + _unrest(world))


def _unrest(world: World) -> str:
    states = {i.host_id: i.state for i in world.ec2.instances.values()}
    wants = [w.pipeline for w in world.table.wants.all()]
    rows = [(r.host_id, r.state, r.runs) for r in world.table.hosts.all()]
    queued = len(world.queues["build"].messages)
    return f"hosts {states}, rows {rows}, wants {wants}, {queued} queued, {world.under_way} more"


def _action(world: World, verb: str, argument: Any) -> Callable[[], None]:
    names = list(world.repositories)

    def do() -> None:
        if verb in NEEDS and not world.weather.happens(NEEDS[verb], 1.0):
            return
        if verb == "push":
            world.people.push(names[argument[0]], argument[1])
            return
        name = names[argument % len(names)]
        host = world.hosts[argument % len(world.hosts)] if world.hosts else builder_host(name)
        _OPERATE[verb](world, name, host)

    return do


def _pause(world: World, name: str, host: str) -> None:
    world.say(f"{name} is paused")
    world.table.pipelines.change(name, paused=True)
    world.paused_since[name] = world.clockwork.time

    def resume() -> None:
        world.say(f"{name} is resumed")
        world.table.pipelines.change(name, paused=False)
        world.paused_since.pop(name, None)
        world.resumed_at[name] = world.clockwork.time

    world.clockwork.after(world.dice.uniform(60, 1200), resume)


def _hold(world: World, name: str, host: str) -> None:
    world.say(f"{host} is held")
    world.table.hosts.hold(host, "ada")
    world.held_since[host] = world.clockwork.time

    def release() -> None:
        world.say(f"{host} is released")
        world.table.hosts.release(host)
        world.held_since.pop(host, None)

    world.clockwork.after(world.dice.uniform(60, 1200), release)


def _hang(world: World, name: str, host: str) -> None:
    agent = world.agents.get(host)
    if agent is not None and agent.working:
        world.say(f"the worker on {host} hangs")
        agent.hang()


def _stop_by_hand(world: World, name: str, host: str) -> None:
    world.say(f"somebody stops {host}")
    world.ec2.stop_by_hand(world.ec2.instances[host])


def _freeze(world: World, name: str, host: str) -> None:
    agent = world.agents.get(host)
    if agent is not None and not agent.dead:
        world.say(f"{host} freezes")
        agent.freeze(world.dice.choice((30.0, 200.0, 450.0, 1e9)))


_OPERATE: dict[str, Callable[[World, str, str], None]] = {
    "rollback": lambda world, name, host: world.people.rollback(name),
    "pause": _pause,
    "hold": _hold,
    "kill agent": lambda world, name, host: world.life.kill_agent(host),
    "host dies": lambda world, name, host: world.ec2.die(world.ec2.instances[host]),
    "freeze": _freeze,
    "hang": _hang,
    "stop by hand": _stop_by_hand,
    "cancel": lambda world, name, host: world.people.cancel(name),
    "kill build": lambda world, name, host: world.codebuild.kill(name),
    "unconfigure": lambda world, name, host: world.unconfigure(name),
    "kill at update": lambda world, name, host: world.kill_at_update.add(name),
    "edit": lambda world, name, host: world.people.edit(name),
    "duplicate": lambda world, name, host: world.people.duplicate(),
    "old notice": lambda world, name, host: world.people.old_notice(),
}


def _costs(world: World) -> Counter[str]:
    waits = [
        found.settled_at - request.pushed_at
        for request in world.accepted.values()
        for found in world.table.requests.settled([request.request_id]).values()
    ]
    rows = [r for name in world.repositories for r in world.table.deployments.newest(name, 200)]
    ended = [r.ended_at - (r.pushed_at or r.started_at) for r in rows if r.ended_at is not None]
    return Counter(
        {
            "seconds until the outcome": int(sum(ended)),
            "seconds until live": int(sum(_until_live(world, name) for name in world.repositories)),
            "boots": world.ec2.starts,
            "builds": world.builds,
            "builders": world.codebuild.started,
            "steps": sum(row.step for row in rows),
            "revisions": sum(len(service.images) - 1 for service in world.services.values()),
            "requests": len(world.accepted),
            "seconds until settled": int(sum(waits)),
            "seconds asleep with work": int(world.asleep_with_work),
            "awake seconds": int(world.awake_seconds),
            "receives": world.queues["build"].numbers,
            "invocations": world.invocations,
            "writes refused": world.dynamodb.refused,
        }
    )


def _until_live(world: World, name: str) -> float:
    """Seconds from each push to when it, or a later one, runs; what never runs does not count."""
    total = 0.0
    for version, pushed_at in enumerate(world.repositories[name].moved_at):
        since = [at for at, live in world.live[name] if at >= pushed_at and live >= version > 0]
        total += min(since) - pushed_at if since else 0.0
    return total


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """A smaller plan that still fails: without actions and faults that it does not need."""
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(plan):
            if fails(smaller):
                plan, progress = smaller, True
                break
    return plan


def _smaller(plan: Plan) -> list[Plan]:
    fewer = [
        dataclasses.replace(plan, actions=plan.actions[:i] + plan.actions[i + 1 :])
        for i in range(len(plan.actions))
    ]
    calmer = [dataclasses.replace(plan, faults=plan.faults - {f}) for f in sorted(plan.faults)]
    return [*fewer, *calmer]
