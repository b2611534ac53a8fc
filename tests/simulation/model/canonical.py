"""One state for all that differ only in names: boots, numbers, steps and runs are named anew."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from tests.simulation.model.changes import host_with, is_rollback
from tests.simulation.model.state import NEVER, HostState, Orders, Run, State, run_of

NONE = Orders()
CLAIMED = 2
"""How the newest step of a rollout is called in a canonical state."""


def canonical(s: State) -> State:
    """The same state with the smallest names: only equality counts.

    What nobody would act on is dropped: follow messages (save those of what is over), what is
    settled and cannot come again.
    """
    if s.orders != NONE:
        s = _orders_forgotten(s)
    if s.settled:
        s = _forgotten(s)
    if s.rollout is not None:
        s = _steps_renamed(s)
    elif s.follow:
        s = s._replace(follow=_of_what_is_over(s))
    if s.lock.holder < 0 or not all(map(_is_numbered, s.hosts)):
        s = _runs_renamed(s)
    for index, host in enumerate(s.hosts):
        names = _names(index, host.boot, (host.row.boot, host.row.number), s.notices, s.lambdas)
        if names is not None:
            s = _renamed(s, index, *names)
    return s


def _orders_forgotten(s: State) -> State:
    """What is left of a rollback that has begun, or is over; and what is excused, but deployed."""
    o, settled = s.orders, s.settled
    begun = settled | o.begun
    people = tuple(p for p in o.people if p[0] != "takeover" or p[1] not in begun)
    calls = tuple(call for call in o.calls if call not in settled)
    back_to = s.rollout.before if s.rollout is not None and s.rollout.begun else s.deployed
    excused = o.excused if o.excused > int(min(s.deployed, back_to)) else 0
    if (people, calls, excused) != (o.people, o.calls, o.excused):
        s = s._replace(orders=o._replace(people=people, calls=calls, excused=excused))
    topic = tuple(t for t in s.topic if not (is_rollback(t[1]) and t[1] in settled))
    return s if topic == s.topic else s._replace(topic=topic)


def _forgotten(s: State) -> State:
    """That a request is settled counts as long as it can still come, or be looked for."""
    known = frozenset(request for request in s.settled if _can_come(s, request))
    return s if len(known) == len(s.settled) else s._replace(settled=known)


def _can_come(s: State, request: int) -> bool:
    """A message of it or its want is there, or somebody holds it."""
    if request == s.want or request in s.queue or request in s.flight:
        return True
    if any(asked == request for _, asked in s.topic):
        return True
    if request >= 5 and _is_ordered(s, request):
        return True
    return any(
        request in host.held
        or any(request in run.held or -request in run.held for run in host.runs)
        for host in s.hosts
    )


def _is_ordered(s: State, request: int) -> bool:
    """A rollback, or what was cancelled, that somebody still looks at."""
    o = s.orders
    if request in o.wants or request in o.calls or request == s.lock.asks:
        return True
    if any(request in order for order in o.people):
        return True
    return any(p[0] == "B" and p[5] == request for p in s.lambdas)


def _is_numbered(host: HostState) -> bool:
    return not host.runs or (len(host.runs) == 1 and host.runs[0].number == 1)


def _runs_renamed(s: State) -> State:
    """Runs are numbered anew; a lock that has expired is free, unless its run may still wake."""
    holder = s.lock.holder
    renamed = 0 if holder < 0 else holder
    hosts = []
    for index, host in enumerate(s.hosts):
        runs = [(run[1:], run_of(index, run.number) == abs(holder)) for run in host.runs]
        numbered = []
        for number, (run, has_lock) in enumerate(sorted(runs), 1):
            numbered.append(Run(number, *run))
            if has_lock:
                renamed = run_of(index, number) if holder > 0 else -run_of(index, number)
        hosts.append(host._replace(runs=tuple(numbered)))
    return s._replace(hosts=tuple(hosts), lock=s.lock._replace(holder=renamed))


def _of_what_is_over(s: State) -> tuple[tuple[bool, int], ...]:
    return ((True, NEVER),) if s.untold and any(is_over for is_over, _ in s.follow) else ()


def _steps_renamed(s: State) -> State:
    rollout = s.rollout
    assert rollout is not None
    shift = CLAIMED - rollout.step
    live = [
        (False, step if step == NEVER else step + shift)
        for is_over, step in s.follow
        if not is_over and step in (NEVER, rollout.step, rollout.step - 1)
    ]
    follow = (*sorted(live), *_of_what_is_over(s))
    if not shift:
        return s if follow == s.follow else s._replace(follow=follow)
    return s._replace(
        rollout=rollout._replace(step=CLAIMED),
        follow=follow,
        lambdas=tuple(sorted((*p[:4], CLAIMED, *p[5:]) if p[0] == "F" else p for p in s.lambdas)),
    )


Names = tuple[dict[int, int], dict[tuple[int, int], int]]


@lru_cache(maxsize=1 << 18)
def _names(
    index: int,
    boot: int,
    in_row: tuple[int, int],
    notices: tuple[tuple[int, int, int], ...],
    lambdas: tuple[tuple[Any, ...], ...],
) -> Names | None:
    """The host's boots and its idle numbers, named anew; None: they have their names."""
    pairs = {in_row} | {(b, n) for h, b, n in notices if h == index}
    pairs |= {(p[2], p[3]) for p in lambdas if p[1] == index}
    boots = {NEVER: NEVER}
    for known in sorted({boot, *(b for b, _ in pairs)} - {NEVER}):
        boots[known] = len(boots) - 1
    numbers: dict[tuple[int, int], int] = {}
    for known in boots:
        ranked = sorted({n for b, n in pairs if b == known})
        numbers |= {(known, n): rank for rank, n in enumerate(ranked)}
    named = all(a == b for a, b in boots.items()) and all(n == r for (_, n), r in numbers.items())
    return None if named else (boots, numbers)


def _renamed(
    s: State, index: int, boots: dict[int, int], numbers: dict[tuple[int, int], int]
) -> State:
    host = s.hosts[index]
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
                (p[0], p[1], boots[p[2]], numbers[(p[2], p[3])], *p[4:]) if p[1] == index else p
                for p in s.lambdas
            )
        ),
    )
