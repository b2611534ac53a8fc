"""What changes a state, one thing at a time; what is asked of it."""

from __future__ import annotations

from typing import Any

from tests.simulation.model.state import (
    DEAD,
    ENDING,
    GONE,
    INVOCATION,
    STANDING,
    State,
    run_of,
)


def quiet(s: State) -> bool:
    """Nothing is about to happen, so that timers of many minutes run out."""
    if s.topic or s.flight or s.notices or s.stopped or s.lambdas or s.follow:
        return False
    if s.orders.people or s.orders.calls:
        return False
    if s.rollout is not None and s.rollout.claim == STANDING:
        return False
    return not any(_moves(s, index) for index in range(len(s.hosts)))


def _moves(s: State, index: int) -> bool:
    host = s.hosts[index]
    if host.ec2 in ("pending", "stopping") or any(run.phase not in GONE for run in host.runs):
        return True
    if host.phase == "up":  # one that crashed is back in seconds, or hangs; a boot may be silent
        return host.row.boot == host.boot and host.row.state != "stopping"
    receives = bool(s.queue) and host.phase in ("poll", "said")
    return receives or host.phase == "got" or host.phase in ENDING


def publish(s: State, request: int) -> State:
    queue = "f" if is_rollback(request) else "q"
    return s._replace(topic=tuple(sorted((*s.topic, (queue, request), ("s", request)))))


def is_rollback(request: int) -> bool:
    return request % 10 >= 5


def with_orders(s: State, **changes: Any) -> State:
    return s._replace(orders=s.orders._replace(**changes))


def into_queue(s: State, requests: tuple[int, ...]) -> State:
    return s._replace(queue=tuple(sorted((*s.queue, *requests))))


def with_lambda(s: State, process: tuple[Any, ...]) -> State:
    return s._replace(lambdas=tuple(sorted((*s.lambdas, process))))


def host_with(s: State, index: int, **changes: Any) -> State:
    hosts = list(s.hosts)
    hosts[index] = hosts[index]._replace(**changes)
    return s._replace(hosts=tuple(hosts))


def minus(items: tuple[Any, ...], item: Any) -> tuple[Any, ...]:
    at = items.index(item)
    return items[:at] + items[at + 1 :]


def minus_all(items: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(item for item in items if item not in out)


def may_publish(s: State, request: int, at_most: int) -> bool:
    """Whether another copy of the request may be under way, besides what is for the starter."""
    if ("s", request) in s.topic:
        return False
    there = [*s.queue, *s.flight, *s.orders.calls, *(r for to, r in s.topic if to != "s")]
    there += [p[5] for p in s.lambdas if p[0] == "B"]
    for host in s.hosts:
        there += host.held
        for run in host.runs:
            there += run.held if run.phase != "late" else ()
    return there.count(request) < at_most


def sorted_with(items: tuple[Any, ...], item: Any) -> tuple[Any, ...]:
    return tuple(sorted((*items, item)))


def agent_gone(
    s: State,
    index: int,
    *,
    without: frozenset[str],
    ec2: str = "running",
    phase: str = "",
) -> State:
    """The agent ends with all its runs; what it held comes back when its lease has run out."""
    host = s.hosts[index]
    if "delete last" not in without:
        s = into_flight(s, host.held)
        for run in host.runs:
            s = into_flight(s, () if run.phase == "late" else run.held)
    if s.rollout is not None and s.rollout.claimer == index + 1:
        s = s._replace(rollout=s.rollout._replace(claimer=DEAD))
    holder = s.lock.holder
    if abs(holder) // 10 == index + 1:
        s = s._replace(lock=s.lock._replace(holder=run_of(index, 0) if holder > 0 else 0))
    return host_with(s, index, ec2=ec2, phase=phase, held=(), runs=())


def is_left(s: State, holder: int) -> bool:
    """Nobody renews the lock of that run any more: its agent is gone, or has given it up."""
    if holder in INVOCATION:
        return not any(p[0] == "B" and p[6] == holder for p in s.lambdas)
    host, number = divmod(holder, 10)
    return not any(
        run.number == number != 0 and run.phase != "late" for run in s.hosts[host - 1].runs
    )


def into_flight(s: State, requests: tuple[int, ...]) -> State:
    """The messages of these are extended no more: they will be visible again."""
    return s._replace(flight=tuple(sorted((*s.flight, *messages(requests)))))


def messages(requests: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the requests that a message has brought."""
    return tuple(request for request in requests if request > 0)


def named(requests: tuple[int, ...]) -> tuple[int, ...]:
    """All of them, whoever has brought them."""
    return tuple(abs(request) for request in requests)


def asked_by_push(number: int) -> int:
    return 10 * number


def asked_by_drift(s: State) -> int:
    return asked_by_push(s.pushed) + 1


def asked_again(s: State) -> tuple[int, State]:
    """The request that the note `again` stands for; each taking of the lock makes another one.

    Here they share a number: what is left of an earlier one counts as a copy of the new one.
    """
    push = s.lock.again // 10 or s.pushed
    request = asked_by_push(push) + 2
    return request, s._replace(settled=s.settled - {request}) if request in s.settled else s


def start_host(s: State, index: int) -> State:
    host = s.hosts[index]
    if host.ec2 != "stopped":
        return s
    boots = [host.boot, host.row.boot, *(b for h, b, _ in s.notices if h == index)]
    boots += [p[2] for p in s.lambdas if p[1] == index]
    return host_with(s, index, ec2="pending", boot=max(boots) + 1)
