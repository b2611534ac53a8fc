"""What changes a state, one thing at a time; what is asked of it."""

from __future__ import annotations

from typing import Any

from tests.simulation.model.state import DEAD, NEVER, STANDING, WORKING, State

CLAIMED = 2
"""How the newest step of a rollout is called in a canonical state."""


def quiet(s: State) -> bool:
    """Nothing is about to happen, so that timers of many minutes run out."""
    phases = {host.phase for host in s.hosts}
    moving = any(host.ec2 in ("pending", "stopping") for host in s.hosts)
    at_work = phases & (WORKING | {"got"}) or (s.queue and phases & {"poll", "said"})
    coming = s.topic or s.flight or s.notices or s.stopped or s.lambdas or s.follow
    standing = s.rollout is not None and s.rollout.claim == STANDING
    return not (coming or at_work or moving or standing)


def publish(s: State, request: int) -> State:
    return s._replace(topic=tuple(sorted((*s.topic, ("q", request), ("s", request)))))


def into_queue(s: State, requests: tuple[int, ...]) -> State:
    return s._replace(queue=tuple(sorted((*s.queue, *requests))))


def with_lambda(s: State, process: tuple[Any, ...]) -> State:
    return s._replace(lambdas=tuple(sorted((*s.lambdas, process), key=repr)))


def host_with(s: State, index: int, **changes: Any) -> State:
    hosts = list(s.hosts)
    hosts[index] = hosts[index]._replace(**changes)
    return s._replace(hosts=tuple(hosts))


def minus(items: tuple[Any, ...], item: Any) -> tuple[Any, ...]:
    at = items.index(item)
    return items[:at] + items[at + 1 :]


def copies(s: State, request: int) -> int:
    there = [*s.queue, *s.flight, *(r for h in s.hosts for r in h.held)]
    there += [r for target, r in s.topic if target == "q"]
    starts = [r for target, r in s.topic if target == "s"]
    return max(there.count(request), starts.count(request) + 1)


def sorted_with(items: tuple[Any, ...], item: Any) -> tuple[Any, ...]:
    return tuple(sorted((*items, item)))


def canonical(s: State) -> State:
    """The same state with boots and numbers renamed to the smallest: only equality counts.

    Follow messages that nobody would act on are dropped, save those of what is over.
    """
    s = _steps_renamed(s)
    for index in range(len(s.hosts)):
        s = _renamed(s, index)
    return s


def _steps_renamed(s: State) -> State:
    if s.rollout is None:
        kept = {(True, NEVER) for is_over, _ in s.follow if is_over and s.untold}
        return s._replace(follow=tuple(sorted(kept)))
    shift = CLAIMED - s.rollout.step
    over = {(True, NEVER) for is_over, _ in s.follow if is_over and s.untold}
    live = [
        (False, step if step == NEVER else step + shift)
        for is_over, step in s.follow
        if not is_over and step in (NEVER, s.rollout.step, s.rollout.step - 1)
    ]
    return s._replace(
        rollout=s.rollout._replace(step=CLAIMED),
        follow=tuple(sorted([*over, *live])),
        lambdas=tuple(
            sorted(((*p[:4], CLAIMED, *p[5:]) if p[0] == "F" else p for p in s.lambdas), key=repr)
        ),
    )


def _renamed(s: State, index: int) -> State:
    host = s.hosts[index]
    pairs = {(host.row.boot, host.row.number)}
    pairs |= {(b, n) for h, b, n in s.notices if h == index}
    pairs |= {(p[2], p[3]) for p in s.lambdas if p[1] == index}
    boots = {NEVER: NEVER}
    for boot in sorted({host.boot, *(b for b, _ in pairs)} - {NEVER}):
        boots[boot] = len(boots) - 1
    numbers: dict[tuple[int, int], int] = {}
    for boot in boots:
        ranked = sorted({n for b, n in pairs if b == boot})
        numbers |= {(boot, n): rank for rank, n in enumerate(ranked)}
    if all(a == b for a, b in boots.items()) and all(n == r for (_, n), r in numbers.items()):
        return s
    row = host.row._replace(
        boot=boots[host.row.boot], number=numbers[(host.row.boot, host.row.number)]
    )
    s = host_with(s, index, boot=boots[host.boot], row=row)
    return s._replace(
        notices=tuple(
            sorted(
                (h, boots[b], numbers[(b, n)]) if h == index else (h, b, n) for h, b, n in s.notices
            )
        ),
        lambdas=tuple(
            sorted(
                (
                    (p[0], p[1], boots[p[2]], numbers[(p[2], p[3])], *p[4:]) if p[1] == index else p
                    for p in s.lambdas
                ),
                key=repr,
            )
        ),
    )


def agent_gone(
    s: State,
    index: int,
    *,
    without: frozenset[str],
    ec2: str = "running",
    phase: str = "",
) -> State:
    """The agent ends; what it held comes back when its lease has run out."""
    if "delete last" not in without:
        flight = tuple(sorted((*s.flight, *s.hosts[index].held)))
        s = s._replace(flight=flight)
    if s.rollout is not None and s.rollout.claimer == index + 1:
        s = s._replace(rollout=s.rollout._replace(claimer=DEAD))
    return host_with(s, index, ec2=ec2, phase=phase, held=(), tip=0)


def start_host(s: State, index: int) -> State:
    host = s.hosts[index]
    if host.ec2 != "stopped":
        return s
    boots = [host.boot, host.row.boot, *(b for h, b, _ in s.notices if h == index)]
    boots += [p[2] for p in s.lambdas if p[1] == index]
    return host_with(s, index, ec2="pending", boot=max(boots) + 1)
