"""The state of the bounded world: what is in it, where it begins, and when it is at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

NOW = 100_000.0
STANDING, LAPSED = NOW + 60, NOW - 60
NAMES = ("i-1", "i-2")
NEVER = -1


class Row(NamedTuple):
    """A host row as far as moves and decisions look at it. `claim`: 0, STANDING or LAPSED; `told`:
    how many runs the last heartbeat told of.
    """

    boot: int
    state: str
    number: int
    claim: float
    told: int


class Run(NamedTuple):
    """One run of an agent. `held`: its requests; one that was asked for by the note `again`, and
    that no message brought, is negative. `tip`: the push that it has fetched. `note`: who left the
    note that it has seen and not fetched for, where there are orders.
    """

    number: int
    phase: str
    held: tuple[int, ...]
    tip: int
    note: int = 0


class HostState(NamedTuple):
    """`boot` is the instance's own; `phase` is its agent's main thread's ('' while there is none),
    which holds `held` until it has given that to a run.
    """

    ec2: str
    boot: int
    row: Row
    phase: str
    held: tuple[int, ...]
    runs: tuple[Run, ...]


class Rollout(NamedTuple):
    """A rollout that its deployment's row owns, of push `tip`. `claimer`: host and 1, FOLLOWER or
    DEAD; `claim`: 0, STANDING or LAPSED. `begun`: ECS has taken the update.

    Where there are orders: `request` is what it was begun for, `before` what ran before its update,
    `back`: that runs again; `ordered`: it was cancelled before its step was claimed and its update
    begun.
    """

    tip: float
    step: int
    claimer: int
    claim: float
    begun: bool
    request: int = 0
    before: float = 0
    back: bool = False
    ordered: bool = False


class LockState(NamedTuple):
    """`holder`: 0: free; DEPLOYMENT; an INVOCATION of the follower, or a `run_of`, negative once it
    has expired. `again`: 0: no note; 1, or the request that left it. `asks`: 0: nobody; a rollback
    that wants the holder to give way, or negative the request whose deployment was cancelled.
    """

    holder: int = 0
    again: int = 0
    asks: int = 0


class Orders(NamedTuple):
    """What there is of an operator's orders; all of it empty in a world without them.

    `cancels`, `rollbacks`: those that may still come. `people`: command lines under way, (what they
    do next, request …). `wants`: of rollbacks; `calls`: rollbacks on the follow queue. `begun`:
    requests whose deployment's row is open and not handed over; `marked`: those of open rows that
    were cancelled; `ended`: those whose outcome is recorded, and not told yet. `rolled`: the
    rollback that stands by the pipeline's row. `excused`: the newest push that a cancel ended or a
    rollback undid.
    """

    cancels: int = 0
    rollbacks: int = 0
    people: tuple[tuple[Any, ...], ...] = ()
    wants: tuple[int, ...] = ()
    calls: tuple[int, ...] = ()
    begun: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()
    ended: frozenset[int] = frozenset()
    rolled: int = 0
    excused: int = 0


class State(NamedTuple):
    """Requests are numbers in order of their time: 10t for push t, 10t+1 the drift check's for t,
    10t+2 those made of a note `again`, 10t+5 and more rollbacks that were asked for after it.

    `topic`: ('q' or 's', request), to be delivered to queue or starter. `settled`: of those that
    may still come. `notices`: (host, boot, number). `stopped`: hosts whose EC2 event is to come.
    `lambdas`: (kind, host, boot, number, more …). `rollout`: None, or the one that is followed.
    `untold`: something is left to do after the last one's outcome; `silent`: people were not told
    of it. `follow`: the follow queue, (of the one that is over, step or NEVER: look now).

    `deployed`: a push, or a rollback's tenth, which comes after the pushes before it. `orders`: see
    `Orders`.
    """

    pushed: int
    deployed: float
    handled: int
    topic: tuple[tuple[str, int], ...]
    queue: tuple[int, ...]
    flight: tuple[int, ...]
    want: int
    settled: frozenset[int]
    lock: LockState
    hosts: tuple[HostState, ...]
    notices: tuple[tuple[int, int, int], ...]
    stopped: tuple[int, ...]
    lambdas: tuple[tuple[Any, ...], ...]
    rollout: Rollout | None
    untold: bool
    silent: bool
    follow: tuple[tuple[bool, int], ...]
    lost: int
    doubled: int
    crashes: int
    hangs: int
    orders: Orders


@dataclass(frozen=True)
class Bounds:
    """How large the world is, and how many faults it may have."""

    pushes: int = 2
    hosts: int = 1
    lost: int = 1
    doubled: int = 1
    crashes: int = 1
    hangs: int = 0
    """Runs that do not get on, and nothing else of their agent."""
    cancels: int = 0
    rollbacks: int = 0
    """Orders of an operator, who may also end the command at any moment."""
    held: bool = False
    """Hosts are awake and held so: nothing wakes or stops one, which leaves room for orders."""
    at_once: int = 2
    copies: int = 2
    """Copies of one request that may be under way at once."""
    split_reads: bool = False
    """Starter and reconciler read EC2 and the table at different moments (the stopper always)."""

    @property
    def orders(self) -> bool:
        return bool(self.cancels or self.rollbacks)


SLOTS = 2
"""Build slots of a host."""
ENDING = frozenset({"clear", "delete"})
"""What is settled goes: its wants, then its messages; by the main thread, or by a run."""
LOCKED = frozenset({"fetch", "begun", "hand", "hung", "close", "release"})
"""A run has the lock: its heartbeat tells so."""
HANDED = frozenset({"send", "forget", "add"})
"""A run has handed over and is not over yet."""
GONE = frozenset({"hung", "late"})
"""A run does not get on. `hung`: nobody knows yet; `late`: it was given up, and may still wake."""
FOLLOWER, DEAD, DEPLOYMENT = 3, 8, 9
"""Who claims a step, besides hosts; and the lock's holder once a rollout was handed over."""
INVOCATION = (5, 6, 7)
"""Invocations of the follower as holders of the lock."""


def run_of(index: int, number: int) -> int:
    """The holder of a lock: a run of the host's agent; number 0: of an agent that is gone."""
    return 10 * (index + 1) + number


def at_work(host: HostState) -> bool:
    """Whether a stop of the host would interrupt somebody who gets on."""
    return host.phase in ENDING or any(run.phase not in GONE for run in host.runs)


def under_way(host: HostState) -> tuple[Run, ...]:
    """The runs that the main thread knows of: those that are given up count no more."""
    return tuple(run for run in host.runs if run.phase != "late")


class Violation(Exception):
    """What must never be, was: said in a sentence."""


class Step(NamedTuple):
    label: str
    fault: bool
    after: State


def start(bounds: Bounds) -> State:
    """Nothing pushed. One host: stopped. Two: both awake and idle (somebody has started them), or
    one pipeline would never have two hosts awake.
    """
    host = HostState("stopped", 0, Row(NEVER, "idle", 0, 0.0, 0), "", (), ())
    awake = HostState("running", 0, Row(0, "idle", 0, 0.0, 0), "poll", (), ())
    hosts = (awake,) if bounds.held else (host,)
    return State(
        *(0, 0, 0, (), (), (), 0, frozenset(), LockState()),
        hosts if bounds.hosts == 1 else (awake,) * bounds.hosts,
        *((), (), ()),
        *(None, False, False, ()),
        *(bounds.lost, bounds.doubled, bounds.crashes, bounds.hangs),
        Orders(bounds.cancels, bounds.rollbacks),
    )


def at_rest(state: State, bounds: Bounds) -> bool:
    coming = state.topic or state.queue or state.flight or state.want or state.lambdas
    return (
        _all_dealt_with(state, bounds)
        and not coming
        and not state.notices
        and not state.stopped
        and state.lock[:2] == (0, 0)
        and not (state.rollout or state.untold or state.silent or state.follow)
        and all(_rests(host, bounds) for host in state.hosts)
    )


def _rests(host: HostState, bounds: Bounds) -> bool:
    """It sleeps; if it is held, it is awake and does nothing."""
    if bounds.held:
        return host.ec2 == "running" and host.phase == "poll" and not host.runs
    return host.ec2 == "stopped"


def _all_dealt_with(state: State, bounds: Bounds) -> bool:
    """Every push is deployed, or an order has ended or undone it; and that is told."""
    if not bounds.orders:
        return state.pushed == state.deployed == bounds.pushes
    o = state.orders
    open_rows = o.people or o.wants or o.calls or o.begun or o.marked or o.ended
    dealt_with = max(int(state.deployed), o.excused)
    return state.pushed == state.handled == dealt_with == bounds.pushes and not open_rows
