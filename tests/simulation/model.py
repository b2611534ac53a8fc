"""A small, complete model of waking and sleeping: every interleaving of a bounded world.

What is real: `lambdas.decide.decision.decide`, and every move on want, host and lock rows (the
code of `slipway.contracts.table` against a table in memory; answers are remembered: the same move
on the same row answers the same). What is modelled: EC2, SNS, SQS, the steps of a Lambda and of an
agent.

Time is not counted. The timers of many minutes have run out whenever the reconciler looks and
nothing else is under way (earlier costs one of the doubled deliveries), a queue count may be 0
whatever is in the queue, deliveries come in any order. Only this is assumed of time: a claim does
not lapse while its claimer lives (a Lambda's timeout is shorter than the claim), and a lock does
not expire while its holder lives (its heartbeat renews it).

Faults come from a budget: deliveries lost, deliveries doubled, and crashes (of a Lambda between any
two steps, of an agent at any step, of a host, also while it starts; or a stop that EC2 refuses).
Bounded besides: Lambdas at the same time, and copies of one request under way (two).

A state is at rest when every push is deployed, nothing is under way and every host is stopped. From
every state rest must be reachable without another fault; in none may StopInstances meet a working
host, two hosts be in a rollout, or an older commit replace a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from lambdas.decide.decision import decide
from lambdas.decide.situation import (
    Ask,
    Host,
    IdleNotice,
    Republish,
    Snapshot,
    StartHost,
    StopBroken,
    StopIdle,
    Tip,
)
from slipway.contracts.installation import Limits
from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.table.locks import Lock, LockRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.requests import Settled
from slipway.contracts.table.wants import Want
from tests.simulation.dynamodb import FakeDynamoDB

NOW, LAUNCHED, HEARD = 100_000.0, 40_000.0, 99_990.0
LONG_AGO, JUST_NOW = 50_000.0, 99_995.0
STANDING, LAPSED = NOW + 60, NOW - 60
LIMITS = Limits()
SHOP = "shop"
NAMES = ("i-1", "i-2")
NEVER = -1
COPIES = 2
"""Copies of one request that may be under way at once."""
NOTICES = 2
"""Idle notices of one host that may be under way when it says the next one."""


class Row(NamedTuple):
    """A host row as far as moves and decisions look at it. `claim`: 0, STANDING or LAPSED."""

    boot: int
    state: str
    number: int
    claim: float


class HostState(NamedTuple):
    """`boot` is the instance's own; `phase` is its agent's ('' while there is none)."""

    ec2: str
    boot: int
    row: Row
    phase: str
    held: tuple[int, ...]
    tip: int


class State(NamedTuple):
    """Requests are numbers in order of their time: 4t for push t, 4t+1 the drift check's for t,
    4t+2 and more those made of an orphaned `again`.

    `topic`: ('q' or 's', request), to be delivered to queue or starter. `notices`: (host, boot,
    number). `stopped`: hosts whose EC2 event is to come. `lock`: holder (0: free), note `again`.
    `lambdas`: (kind, host, boot, number, more …).
    """

    pushed: int
    deployed: int
    handled: int
    topic: tuple[tuple[str, int], ...]
    queue: tuple[int, ...]
    flight: tuple[int, ...]
    want: int
    settled: frozenset[int]
    lock: tuple[int, bool]
    hosts: tuple[HostState, ...]
    notices: tuple[tuple[int, int, int], ...]
    stopped: tuple[int, ...]
    lambdas: tuple[tuple[Any, ...], ...]
    lost: int
    doubled: int
    crashes: int


@dataclass(frozen=True)
class Bounds:
    """How large the world is, and how many faults it may have."""

    pushes: int = 2
    hosts: int = 1
    lost: int = 1
    doubled: int = 1
    crashes: int = 1
    at_once: int = 2
    split_reads: bool = False
    """Starter and reconciler read EC2 and the table at different moments (the stopper always)."""


WORKING = frozenset({"lock", "fetch", "deploy", "clear", "delete", "release"})
HOLDING = frozenset({"fetch", "deploy", "clear", "delete", "release"})


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
    host = HostState("stopped", 0, Row(NEVER, "idle", 0, 0.0), "", (), 0)
    awake = HostState("running", 0, Row(0, "idle", 0, 0.0), "poll", (), 0)
    return State(
        *(0, 0, 0, (), (), (), 0, frozenset(), (0, False)),
        (host,) if bounds.hosts == 1 else (awake,) * bounds.hosts,
        *((), (), ()),
        *(bounds.lost, bounds.doubled, bounds.crashes),
    )


def at_rest(state: State, bounds: Bounds) -> bool:
    under_way = state.topic or state.queue or state.flight or state.want or state.lambdas
    return (
        state.pushed == state.deployed == bounds.pushes
        and not under_way
        and not state.notices
        and not state.stopped
        and not state.lock[1]
        and all(host.ec2 == "stopped" for host in state.hosts)
    )


class Model:
    """The steps that the world can take from a state.

    `without` names parts of the world that are taken out: `ticks`, `stopped event`, `dev side`,
    `delete last`, `say idle again`, `claim`, `lock`. Guards inside the real code are taken out by
    `client`, a table with looser conditions, or by patching what `decide` is made of.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        without: frozenset[str] = frozenset(),
        client: Callable[[], FakeDynamoDB] = FakeDynamoDB,
    ) -> None:
        self.bounds = bounds
        self.without = without
        self._client = client
        self._known: dict[Any, Any] = {}

    def steps(self, s: State) -> Iterator[Step]:
        """Every step from `s`, each with the canonical state after it; raises Violation."""
        for label, fault, after in self._steps(s):
            yield Step(label, fault, canonical(after))

    def _steps(self, s: State) -> Iterator[tuple[str, bool, State]]:
        yield from self._pushes(s)
        yield from self._deliveries(s)
        yield from self._ec2(s)
        for index in range(len(s.hosts)):
            yield from self._agent(s, index)
        for index, process in enumerate(s.lambdas):
            rest = s._replace(lambdas=s.lambdas[:index] + s.lambdas[index + 1 :])
            yield from self._lambda(rest, process)
            if s.crashes:
                yield f"Lambda {process[0]} crashes", True, rest._replace(crashes=s.crashes - 1)
        yield from self._time(s)

    # --- pushes and deliveries

    def _pushes(self, s: State) -> Iterator[tuple[str, bool, State]]:
        if s.pushed == self.bounds.pushes:
            return
        number = s.pushed + 1
        pushed = s._replace(pushed=number)
        yield f"push {number}", False, _publish(pushed, 4 * number)
        if s.lost and "dev side" not in self.without:
            yield f"push {number}, its trigger is lost", True, pushed._replace(lost=s.lost - 1)

    def _deliveries(self, s: State) -> Iterator[tuple[str, bool, State]]:
        free = len(s.lambdas) < self.bounds.at_once
        for item in dict.fromkeys(s.topic):
            target, request = item
            if target == "s" and not free:
                continue
            left = s._replace(topic=_minus(s.topic, item))
            if target == "q":
                came = [(f"request {request} queued", False, _queued(left, (request,)))]
            else:
                came = list(self._starter_notes(left, 0, ("s", 0, NEVER, 0, request)))
            yield from self._delivery(came, left, "topic", item)
        if free:
            for notice in dict.fromkeys(s.notices):
                left = s._replace(notices=_minus(s.notices, notice))
                came = list(self._looks(left, notice[0], ("t", *notice)))
                yield from self._delivery(came, left, "notices", notice)
            for host in dict.fromkeys(s.stopped):
                left = s._replace(stopped=_minus(s.stopped, host))
                came = list(self._looks(left, host, ("r", host, NEVER, 0)))
                yield from self._delivery(came, left, "stopped", host)
        for request in dict.fromkeys(s.flight):
            gone = s._replace(flight=_minus(s.flight, request))
            yield f"request {request} is visible again", False, _queued(gone, (request,))

    def _delivery(
        self, came: list[tuple[str, bool, State]], left: State, member: str, item: Any
    ) -> Iterator[tuple[str, bool, State]]:
        """A delivery and the first step of what it starts; or it is lost; or it comes again."""
        for label, fault, after in came:
            yield label, fault, after
            if after.doubled:
                items = tuple(sorted((*getattr(after, member), item)))
                again = after._replace(**{member: items}, doubled=after.doubled - 1)
                yield f"{label} (and it will come again)", True, again
        if left.lost:
            yield f"{member} {item} lost", True, left._replace(lost=left.lost - 1)

    # --- EC2

    def _ec2(self, s: State) -> Iterator[tuple[str, bool, State]]:
        for index, host in enumerate(s.hosts):
            name = NAMES[index]
            if host.ec2 == "pending":
                yield f"{name} runs", False, _host(s, index, ec2="running", phase="up")
            if host.ec2 == "stopping":
                yield f"{name} is stopped", False, self._now_stopped(s, index)
            if host.ec2 == "pending" and s.crashes:
                died = self._now_stopped(s, index)._replace(crashes=s.crashes - 1)
                yield f"the start of {name} dies", True, died
            if host.ec2 == "running" and s.crashes:
                died = self._now_stopped(s, index)._replace(crashes=s.crashes - 1)
                yield f"{name} dies", True, died

    def _now_stopped(self, s: State, index: int) -> State:
        s = self._agent_gone(s, index, ec2="stopped")
        if "stopped event" in self.without or index in s.stopped:
            return s
        return s._replace(stopped=tuple(sorted((*s.stopped, index))))

    def _agent_gone(self, s: State, index: int, *, ec2: str = "running", phase: str = "") -> State:
        """The agent ends; what it held comes back when its lease has run out."""
        if "delete last" not in self.without:
            flight = tuple(sorted((*s.flight, *s.hosts[index].held)))
            s = s._replace(flight=flight)
        return _host(s, index, ec2=ec2, phase=phase, held=(), tip=0)

    def _start(self, s: State, index: int) -> State:
        host = s.hosts[index]
        if host.ec2 != "stopped":
            return s
        boots = [host.boot, host.row.boot, *(b for h, b, _ in s.notices if h == index)]
        boots += [p[2] for p in s.lambdas if p[1] == index]
        return _host(s, index, ec2="pending", boot=max(boots) + 1)

    # --- the agent

    def _agent(self, s: State, index: int) -> Iterator[tuple[str, bool, State]]:
        host = s.hosts[index]
        if host.phase in ("", "hung") or host.ec2 != "running":
            return
        step = getattr(self, "_agent_" + host.phase)
        for label, after in step(s, index, host):
            yield f"{NAMES[index]} {label}", False, after
        if not s.crashes:
            return
        for phase, label in (("up", "crashes"), ("hung", "hangs for ever")):
            if phase != host.phase:
                after = self._agent_gone(s, index, phase=phase)._replace(crashes=s.crashes - 1)
                yield f"{NAMES[index]}: the agent {label}", True, after

    def _agent_up(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        row, arrived = self.row_move(host.row, "arrive", host.boot)
        if arrived:
            yield "arrives", _host(s, index, row=row, phase="poll")

    def _agent_poll(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        if s.queue:
            taken = s._replace(queue=())
            if "delete last" in self.without:
                taken = taken._replace(want=self.cleared(s.want, s.queue))
            yield "receives", _host(taken, index, held=s.queue, phase="got")
        said = sum(n[0] == index for n in s.notices)
        said += sum(p[0] in "dck" and p[1] == index for p in s.lambdas)
        if said >= (NOTICES if host.row.state == "busy" else 1) or host.phase == "said":
            return
        row, number = self.row_move(host.row, "say_idle", host.boot)
        if number is not None:
            notices = tuple(sorted((*s.notices, (index, host.boot, number))))
            phase = "said" if "say idle again" in self.without else "poll"
            yield "says idle", _host(s, index, row=row, phase=phase)._replace(notices=notices)

    _agent_said = _agent_poll

    def _agent_got(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        if "claim" in self.without:
            yield "begins work", _host(s, index, phase="lock")
            return
        row, mine = self.row_move(host.row, "begin_work", host.boot)
        if mine:
            yield "begins work", _host(s, index, row=row, phase="lock")
        else:
            given = _queued(s, host.held)
            yield "gives its requests back", _host(given, index, held=(), phase="poll")

    def _agent_lock(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        """With one host there is nobody to lock against, and the model stays smaller."""
        if all(r in s.settled for r in host.held):
            yield "finds all settled", _host(s, index, phase="clear")
            return
        if len(s.hosts) == 1:
            yield from self._agent_fetch(s, index, host)
            return
        lock, taken = self.lock_move(s.lock, "take", index + 1)
        if taken or "lock" in self.without:
            yield "locks", _host(s, index, phase="fetch")._replace(lock=lock)
            return
        lock, asked = self.lock_move(s.lock, "ask_again", index + 1)
        if asked:
            joined = s._replace(lock=lock, settled=s.settled | set(host.held))
            yield "joins the other's run", _host(joined, index, phase="clear")

    def _agent_fetch(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        lock = s.lock
        if lock[0] == index + 1:
            lock, _ = self.lock_move(lock, "take_again", index + 1)
        yield (
            f"fetches {s.pushed}",
            _host(s, index, tip=s.pushed, phase="deploy")._replace(lock=lock),
        )

    def _agent_deploy(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        if any(h.phase == "deploy" for i, h in enumerate(s.hosts) if i != index):
            raise Violation("two hosts roll out one pipeline at the same time")
        if host.tip < s.deployed:
            raise Violation(f"push {host.tip} replaces push {s.deployed}, which is newer")
        after = s._replace(deployed=host.tip, handled=host.tip, settled=s.settled | set(host.held))
        yield f"deploys {host.tip} and records", _host(after, index, tip=0, phase="clear")

    def _agent_clear(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        cleared = s._replace(want=self.cleared(s.want, host.held))
        yield "clears its wants", _host(cleared, index, phase="delete")

    def _agent_delete(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        holds = s.lock[0] == index + 1
        phase = "release" if holds else "poll"
        yield "deletes its requests", _host(s, index, held=(), phase=phase)

    def _agent_release(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        lock, released = self.lock_move(s.lock, "release", index + 1)
        if released:
            yield "unlocks", _host(s, index, phase="poll")._replace(lock=lock)
        else:
            yield "runs the tip once more", _host(s, index, phase="fetch")

    # --- Lambdas

    def _lambda(self, s: State, process: tuple[Any, ...]) -> Iterator[tuple[str, bool, State]]:
        """The next step of `process`, which is not among the Lambdas of `s` any more."""
        kind, index = process[0], process[1]
        step = {
            "S": self._starter_looks,
            "T": self._starter_decides,
            "d": self._decides,
            "c": self._claims,
            "k": self._stops,
            "e": self._marks_sent,
        }[kind]
        yield from step(s, index, process)

    def _starter_notes(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        request = p[4]
        noted = s._replace(want=self.noted(s.want, request, request in s.settled))
        yield f"starter notes {request}", False, _run(noted, ("S", index, NEVER, 0))

    def _starter_looks(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        ec2 = tuple(host.ec2 for host in s.hosts)
        seen = ("T", index, NEVER, 0, ec2)
        if self.bounds.split_reads:
            yield "starter asks EC2", False, _run(s, seen)
        else:
            yield from self._starter_decides(s, index, seen)

    def _starter_decides(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        actions = self.decided(s, p[4], notice=None, queued=0, aged=False, tick=False)
        for action in actions:
            if isinstance(action, StartHost):
                s = self._start(s, NAMES.index(action.host.host_id))
        yield "starter decides", False, s

    def _looks(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        """Stopper or reconciler asks EC2 and the queue; its answers may be late."""
        kind, _, boot, number = p[:4]
        ec2 = [host.ec2 for host in s.hosts]
        if kind == "r" and index != NEVER and ec2[index] == "stopping":
            ec2[index] = "stopped"
        early = s._replace(doubled=s.doubled - 1)
        looks = [(False, False, s)]
        if kind == "r" and _quiet(s):
            looks.append((True, False, s))
        elif kind == "r" and s.doubled:
            looks.append((True, True, early))
        for queued in {0, min(1, len(s.queue))}:
            for aged, fault, now in looks:
                seen = ("d", index, boot, number, kind, tuple(ec2), queued, aged)
                label = f"{'stopper' if kind == 't' else 'reconciler'} looks"
                label += f" ({queued} queued{', timers have run out' if aged else ''})"
                if kind == "t" or self.bounds.split_reads:
                    yield label, fault, _run(now, seen)
                    continue
                for more, _, after in self._decides(now, index, seen):
                    yield f"{label}, {more}", fault, after

    def _decides(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        _, _, boot, number, kind, ec2, queued, aged = p
        if kind == "t":
            notice = IdleNotice(host_id=NAMES[index], boot=str(boot), idle_number=number)
            actions = self.decided(s, ec2, notice=notice, queued=queued, aged=False, tick=False)
            actions = tuple(a for a in actions if isinstance(a, StopIdle))
        else:
            actions = self.decided(s, ec2, notice=None, queued=queued, aged=aged, tick=True)
        for action in actions:
            s = self._act(s, action)
        yield f"{'stopper' if kind == 't' else 'reconciler'} decides", False, s

    def _act(self, s: State, action: Any) -> State:
        if isinstance(action, StartHost):
            return self._start(s, NAMES.index(action.host.host_id))
        if isinstance(action, StopIdle):
            index = NAMES.index(action.notice.host_id)
            number = action.notice.idle_number
            return _run(s, ("c", index, int(action.notice.boot), number, "idle"))
        if isinstance(action, StopBroken):
            row = action.host.row
            boot = int(row.boot) if row.boot else NEVER
            index = NAMES.index(row.host_id)
            return _run(s, ("c", index, boot, 0, action.unchanged))
        if isinstance(action, Republish):
            return _publish(s, s.want) if _copies(s, s.want) < COPIES else s
        if isinstance(action, Ask):
            return self._ask(s, action)
        return s

    def _ask(self, s: State, action: Ask) -> State:
        request = 4 * s.pushed + 1
        if action.orphan is not None:
            request += 1 + self.bounds.crashes - s.crashes
            lock, _ = self.lock_move(s.lock, "take_orphaned_again", 0)
            s = s._replace(lock=lock)
        want = self.noted(s.want, request, request in s.settled)
        if want != request or request in s.settled:
            return s
        return _publish(s._replace(want=want), request)

    def _claims(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        _, _, boot, number, why = p
        move = "claim_stop" if why == "idle" else "claim_broken"
        row, claimed = self.row_move(s.hosts[index].row, move, boot, number, why)
        if "claim" in self.without:
            yield "no claim", False, _run(s, ("k", index, boot, number, why))
        elif claimed:
            before = s.hosts[index].row
            if why == "idle" and (before.boot, before.number) != (boot, number):
                raise Violation(f"a late notice stops {NAMES[index]}")
            claimed_state = _host(s, index, row=row)
            yield f"stop of {NAMES[index]} claimed", False, _run(claimed_state, ("k", *p[1:]))
        else:
            yield f"the claim on {NAMES[index]} loses", False, s

    def _stops(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        host, why = s.hosts[index], p[4]
        name = NAMES[index]
        if host.ec2 == "running":
            if host.phase in WORKING:
                raise Violation(f"{name} is stopped ({why}) while it works")
            stopping = self._agent_gone(s, index, ec2="stopping")
            yield f"StopInstances {name}", False, _run(stopping, ("e", *p[1:]))
            if s.crashes:
                refused = s._replace(crashes=s.crashes - 1)
                yield f"StopInstances {name} is refused", True, self._taken_back(refused, p)
        elif host.ec2 == "pending":
            yield f"StopInstances {name}: it is pending", False, self._taken_back(s, p)
        else:
            yield f"StopInstances {name}: it is {host.ec2}", False, _run(s, ("e", *p[1:]))

    def _taken_back(self, s: State, p: Any) -> State:
        _, index, boot, _, why = p
        if why != "idle":
            return s
        row, _ = self.row_move(s.hosts[index].row, "take_back_claim", boot)
        return _host(s, index, row=row)

    def _marks_sent(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        row, _ = self.row_move(s.hosts[index].row, "stop_sent", p[2])
        yield f"the stop of {NAMES[index]} is sent", False, _host(s, index, row=row)

    # --- time

    def _time(self, s: State) -> Iterator[tuple[str, bool, State]]:
        for index, host in enumerate(s.hosts):
            claimed = any(p[0] in "ke" and p[1] == index for p in s.lambdas)
            if host.row.claim == STANDING and not claimed:
                lapsed = host.row._replace(claim=LAPSED)
                yield f"the claim on {NAMES[index]} lapses", False, _host(s, index, row=lapsed)
        holder, again = s.lock
        if holder and s.hosts[holder - 1].phase not in HOLDING:
            yield "the lock expires", False, s._replace(lock=(0, again))
        ticking = any(p[0] == "d" and p[1] == NEVER for p in s.lambdas)
        if "ticks" in self.without or ticking or len(s.lambdas) >= self.bounds.at_once:
            return
        yield from self._looks(s, NEVER, ("r", NEVER, NEVER, 0))

    # --- the real code

    def row_move(self, row: Row, move: str, boot: int, *arguments: Any) -> tuple[Row, Any]:
        """The row after the real move, and the move's answer."""
        key = (row, move, boot, arguments)
        if key not in self._known:
            self._known[key] = self._row_move(row, move, boot, *arguments)
        found: tuple[Row, Any] = self._known[key]
        return found

    def _row_move(self, row: Row, move: str, boot: int, *arguments: Any) -> tuple[Row, Any]:
        hosts = self._table_with({"HOST": [_host_item(row)]}).hosts
        name = _boot_text(boot)
        if move == "claim_stop":
            answer: Any = hosts.claim_stop("i-1", name, arguments[0], NOW, claim=60)
        elif move == "claim_broken":
            seen = HostRow(host_id="i-1", boot=name, heartbeat_at=HEARD)
            answer = hosts.claim_broken(seen, NOW, claim=60, unchanged=arguments[1])
        elif move in ("stop_sent", "take_back_claim"):
            answer = getattr(hosts, move)("i-1", name)
        else:
            answer = getattr(hosts, move)("i-1", name, NOW)
        after = hosts.get("i-1") or HostRow(host_id="i-1")
        claim = after.claim_expires
        if claim:
            claim = STANDING if claim > NOW else LAPSED
        boot_after = int(after.boot) if after.boot else NEVER
        return Row(boot_after, after.state, after.idle_number, claim), answer

    def lock_move(
        self, lock: tuple[int, bool], move: str, who: int
    ) -> tuple[tuple[int, bool], Any]:
        """The lock after the real move, and the move's answer. Its fence is 1 each time."""
        key = (lock, move, who)
        if key not in self._known:
            self._known[key] = self._lock_move(lock, move, who)
        found: tuple[tuple[int, bool], Any] = self._known[key]
        return found

    def _lock_move(self, lock: tuple[int, bool], move: str, who: int) -> tuple[Any, Any]:
        locks = self._table_with({"LOCK": [_lock_item(lock)]}).locks
        mine = Lock(SHOP, _holder(who), 1)
        calls: dict[str, Callable[[], Any]] = {
            "take": lambda: locks.take(SHOP, _holder(who), NOW, ttl=60),
            "ask_again": lambda: locks.ask_again(SHOP, "ada", NOW),
            "take_again": lambda: locks.take_again(mine),
            "release": lambda: locks.release(mine),
            "take_orphaned_again": lambda: locks.take_orphaned_again(locks.get(SHOP), NOW),
        }
        answer = calls[move]()
        after = locks.get(SHOP)
        holder = int(after.holder.split("/")[0][2:]) if after.holder else 0
        return (holder, bool(after.again)), answer

    def noted(self, want: int, request: int, settled: bool) -> int:
        """The want after the real Wants.note."""
        key = ("note", want, request, settled)
        if key not in self._known:
            table = self._table_with({})
            if want:
                table.wants.note(_request(want), NOW)
            if settled:
                table.requests.settle([_settled(request)], kept=9)
            table.wants.note(_request(request), NOW)
            self._known[key] = _wanted(table)
        return int(self._known[key])

    def cleared(self, want: int, requests: tuple[int, ...]) -> int:
        """The want after the real Wants.clear."""
        if not want or not requests:
            return want
        key = ("clear", want, requests)
        if key not in self._known:
            table = self._table_with({})
            table.wants.note(_request(want), NOW)
            table.wants.clear([_request(r) for r in requests])
            self._known[key] = _wanted(table)
        return int(self._known[key])

    def decided(
        self,
        s: State,
        ec2: tuple[str, ...],
        *,
        notice: IdleNotice | None,
        queued: int,
        aged: bool,
        tick: bool,
    ) -> tuple[Any, ...]:
        """What the real `decide` answers on what a Lambda sees."""
        rows = tuple((h.row, h.row.boot == h.boot, h.phase == "hung") for h in s.hosts)
        ahead = s.pushed != s.handled
        key = (rows, ec2, s.want, s.lock, ahead, notice, queued, aged, tick)
        if key not in self._known:
            self._known[key] = decide(
                self._snapshot(s, ec2, notice=notice, queued=queued, aged=aged, tick=tick)
            )
        found: tuple[Any, ...] = self._known[key]
        return found

    def _snapshot(
        self,
        s: State,
        ec2: tuple[str, ...],
        *,
        notice: IdleNotice | None,
        queued: int,
        aged: bool,
        tick: bool,
    ) -> Snapshot:
        then = LONG_AGO if aged else JUST_NOW
        hosts = []
        for index, host in enumerate(s.hosts):
            heard = host.row.boot == host.boot
            beat = (then if host.phase == "hung" else HEARD) if heard else 1.0
            row = _host_row(NAMES[index], host.row, heartbeat=beat, idle=then)
            launched = LAUNCHED if heard else then
            hosts.append(Host(row=row, ec2_state=ec2[index], launched_at=launched))
        holder, again = s.lock
        lock = LockRow(
            pipeline=SHOP,
            holder=_holder(holder),
            fence=1,
            expires_at=STANDING if holder else 0.0,
            again="ada" if again else None,
        )
        want = _request(s.want) if s.want else None
        row = PipelineRow(
            pipeline=SHOP,
            baseline_tip=_commit(s.handled),
            ahead_tip=_commit(s.pushed),
            ahead_since=LONG_AGO,
        )
        return Snapshot(
            now=NOW,
            limits=LIMITS,
            hosts=tuple(hosts),
            wants=(_want(want, then),) if want else (),
            locks={SHOP: lock},
            pipelines={SHOP: row},
            alerts=tuple(
                AlertRow(kind=kind, subject=name, raised_at=1.0)
                for kind in ("no_heartbeat", "awake_long", "drift_skipped")
                for name in (*NAMES, SHOP)
            ),
            queued=queued,
            notice=notice,
            tips=self._tips(s) if aged and tick else {},
        )

    def _tips(self, s: State) -> dict[str, Tip]:
        if "dev side" in self.without:
            return {SHOP: Tip(problem="no answer")}
        return {SHOP: Tip(commit_id=_commit(s.pushed))}

    def _table_with(self, partitions: dict[str, list[dict[str, Any]]]) -> Table:
        client = self._client()
        table = Table(client, "t")
        for partition, items in partitions.items():
            table.store.put_many({"pk": partition, **item} for item in items)
        return table


# --- changes of a state


def _quiet(s: State) -> bool:
    """Nothing is about to happen, so that timers of many minutes run out."""
    phases = {host.phase for host in s.hosts}
    moving = any(host.ec2 in ("pending", "stopping") for host in s.hosts)
    at_work = phases & (WORKING | {"got"}) or (s.queue and phases & {"poll", "said"})
    coming = s.topic or s.flight or s.notices or s.stopped or s.lambdas
    return not (coming or at_work or moving)


def _publish(s: State, request: int) -> State:
    return s._replace(topic=tuple(sorted((*s.topic, ("q", request), ("s", request)))))


def _queued(s: State, requests: tuple[int, ...]) -> State:
    return s._replace(queue=tuple(sorted((*s.queue, *requests))))


def _run(s: State, process: tuple[Any, ...]) -> State:
    return s._replace(lambdas=tuple(sorted((*s.lambdas, process), key=repr)))


def _host(s: State, index: int, **changes: Any) -> State:
    hosts = list(s.hosts)
    hosts[index] = hosts[index]._replace(**changes)
    return s._replace(hosts=tuple(hosts))


def _minus(items: tuple[Any, ...], item: Any) -> tuple[Any, ...]:
    at = items.index(item)
    return items[:at] + items[at + 1 :]


def _copies(s: State, request: int) -> int:
    there = [*s.queue, *s.flight, *(r for h in s.hosts for r in h.held)]
    there += [r for target, r in s.topic if target == "q"]
    starts = [r for target, r in s.topic if target == "s"]
    return max(there.count(request), starts.count(request) + 1)


def canonical(s: State) -> State:
    """The same state with boots and idle numbers renamed to the smallest: only equality counts."""
    for index in range(len(s.hosts)):
        s = _renamed(s, index)
    return s


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
    s = _host(s, index, boot=boots[host.boot], row=row)
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


# --- real values for abstract ones


def _boot_text(boot: int) -> str:
    return "" if boot == NEVER else str(boot)


def _holder(who: int) -> str:
    return f"i-{who}/1" if who else ""


def _commit(number: int) -> str:
    return f"{number:040x}"


def _request(number: int) -> BuildRequest:
    return BuildRequest(
        request_id=f"{number:032x}",
        pipeline=SHOP,
        pushed_by="ada",
        pushed_at=float(number),
        reason="push",
    )


def _settled(number: int) -> Settled:
    return Settled(request_id=f"{number:032x}", outcome="succeeded", pipeline=SHOP, settled_at=1.0)


def _wanted(table: Table) -> int:
    wants = table.wants.all()
    return int(wants[0].request_id, 16) if wants else 0


def _want(request: BuildRequest, noted_at: float) -> Want:
    return Want(
        pipeline=SHOP,
        request_id=request.request_id,
        pushed_at=request.pushed_at,
        noted_at=noted_at,
        body=request.to_json(),
    )


def _host_row(name: str, row: Row, *, heartbeat: float, idle: float) -> HostRow:
    return HostRow(
        host_id=name,
        boot=_boot_text(row.boot),
        state=row.state,  # type: ignore[arg-type]
        idle_number=row.number,
        heartbeat_at=heartbeat,
        progress_at=heartbeat,
        idle_since=idle,
        claim_expires=row.claim,
        pipeline=SHOP if row.state == "busy" else None,
    )


def _host_item(row: Row) -> dict[str, Any]:
    item: dict[str, Any] = {
        "sk": "i-1",
        "host_id": "i-1",
        "state": row.state,
        "idle_number": row.number,
        "heartbeat_at": HEARD,
        "progress_at": HEARD,
        "claim_expires": row.claim,
    }
    return item if row.boot == NEVER else {**item, "boot": str(row.boot)}


def _lock_item(lock: tuple[int, bool]) -> dict[str, Any]:
    holder, again = lock
    item: dict[str, Any] = {
        "sk": SHOP,
        "pipeline": SHOP,
        "holder": _holder(holder),
        "fence": 1,
        "expires_at": STANDING if holder else 0.0,
    }
    return {**item, "again": "ada"} if again else item
