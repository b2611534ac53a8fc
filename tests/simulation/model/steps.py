"""Every step from a state: pushes, deliveries, EC2 and time here; agents, Lambdas beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.simulation.dynamodb import FakeDynamoDB
from tests.simulation.model.agents import Agents
from tests.simulation.model.asked import Asked
from tests.simulation.model.canonical import canonical
from tests.simulation.model.changes import (
    agent_gone,
    asked_by_push,
    host_with,
    into_queue,
    is_left,
    minus,
    publish,
    sorted_with,
    with_orders,
)
from tests.simulation.model.following import Following, dead
from tests.simulation.model.functions import Functions
from tests.simulation.model.ordered import OrderedRuns
from tests.simulation.model.people import People
from tests.simulation.model.real import Real
from tests.simulation.model.rollbacks import Rollbacks
from tests.simulation.model.runs import Runs
from tests.simulation.model.state import (
    DEPLOYMENT,
    LAPSED,
    NAMES,
    NEVER,
    STANDING,
    Bounds,
    State,
    Step,
    run_of,
)


class Model:
    """The steps that the world can take from a state.

    `without` names parts of the world that are taken out: `ticks`, `stopped event`, `dev side`,
    `delete last`, `say idle again`, `claim`, `lock`, `under way`, `earlier first`,
    `note after fetch`. Guards inside the real code are taken out by `client`, a table with looser
    conditions, or by patching what it is made of.
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
        self._real = real = Real(client, without, held=bounds.held)
        asked = Asked(real)
        self._following = Following(real, asked, bounds, without)
        runs = Runs(real, self._following, without)
        if bounds.orders:
            runs = OrderedRuns(real, self._following, asked, bounds, without)
        self._agents = Agents(real, self._following, runs, bounds, without)
        self._rollbacks = Rollbacks(real, self._following, bounds)
        self._functions = Functions(real, self._following, self._rollbacks, bounds, without)
        self._people = People(real, asked, bounds, without)

    def steps(self, s: State) -> Iterator[Step]:
        """Every step from `s`, each with the canonical state after it; raises Violation."""
        for label, fault, after in self._steps(s):
            yield Step(label, fault, canonical(self._asked_of_nobody(after)))

    def _asked_of_nobody(self, s: State) -> State:
        """What a holder that is gone was asked for is dropped, if the next taking drops it."""
        if not s.lock.asks or s.lock.holder > 0:
            return s
        free = s.lock._replace(holder=0)
        taken, _ = self._real.lock_move(free, "take", run_of(0, 1))
        return s._replace(lock=s.lock._replace(asks=taken.asks))

    def _steps(self, s: State) -> Iterator[tuple[str, bool, State]]:
        yield from self._pushes(s)
        yield from self._deliveries(s)
        if self.bounds.orders:
            yield from self._people.steps(s)
        yield from self._ec2(s)
        for index in range(len(s.hosts)):
            yield from self._agents.steps(s, index)
        for index, process in enumerate(s.lambdas):
            rest = s._replace(lambdas=s.lambdas[:index] + s.lambdas[index + 1 :])
            yield from self._functions.steps(rest, process)
            if s.crashes:
                crashed = self._functions.crashed(rest, process)
                yield f"Lambda {process[0]} crashes", True, crashed._replace(crashes=s.crashes - 1)
        yield from self._time(s)

    # --- pushes and deliveries

    def _pushes(self, s: State) -> Iterator[tuple[str, bool, State]]:
        if s.pushed == self.bounds.pushes:
            return
        number = s.pushed + 1
        pushed = s._replace(pushed=number)
        yield f"push {number}", False, publish(pushed, asked_by_push(number))
        if s.lost and "dev side" not in self.without:
            yield f"push {number}, its trigger is lost", True, pushed._replace(lost=s.lost - 1)

    def _deliveries(self, s: State) -> Iterator[tuple[str, bool, State]]:
        free = len(s.lambdas) < self.bounds.at_once
        for item in dict.fromkeys(s.topic):
            target, request = item
            if target == "s" and not free:
                continue
            left = s._replace(topic=minus(s.topic, item))
            if target == "q":
                came = [(f"request {request} queued", False, into_queue(left, (request,)))]
            elif target == "f":
                calls = sorted_with(left.orders.calls, request)
                came = [(f"rollback {request} queued", False, with_orders(left, calls=calls))]
            else:
                came = list(self._functions.starter_notes(left, 0, ("s", 0, NEVER, 0, request)))
            yield from self._delivery(came, left, "topic", item)
        if free:
            for notice in dict.fromkeys(s.notices):
                left = s._replace(notices=minus(s.notices, notice))
                came = list(self._functions.looks(left, notice[0], ("t", *notice)))
                yield from self._delivery(came, left, "notices", notice)
            for host in dict.fromkeys(s.stopped):
                left = s._replace(stopped=minus(s.stopped, host))
                came = list(self._functions.looks(left, host, ("r", host, NEVER, 0)))
                yield from self._delivery(came, left, "stopped", host)
        if free:
            yield from self._follow(s)
            for request, left, called in self._rollbacks.received(s):
                yield from self._delivery(called, left, "calls", request)
        for request in dict.fromkeys(s.flight):
            gone = s._replace(flight=minus(s.flight, request))
            yield f"request {request} is visible again", False, into_queue(gone, (request,))

    def _delivery(
        self, came: list[tuple[str, bool, State]], left: State, member: str, item: Any
    ) -> Iterator[tuple[str, bool, State]]:
        """A delivery and the first step of what it starts; or it is lost; or it comes again."""
        for label, fault, after in came:
            yield label, fault, after
            if after.doubled:
                again = self._with_again(after, member, item)._replace(doubled=after.doubled - 1)
                yield f"{label} (and it will come again)", True, again
        if left.lost:
            yield f"{member} {item} lost", True, left._replace(lost=left.lost - 1)

    def _with_again(self, s: State, member: str, item: Any) -> State:
        if member == "calls":
            return with_orders(s, calls=sorted_with(s.orders.calls, item))
        return s._replace(**{member: sorted_with(getattr(s, member), item)})

    def _follow(self, s: State) -> Iterator[tuple[str, bool, State]]:
        """The follow queue calls the follower; a message may be lost, or come twice."""
        for label, after, message in self._following.messages(s):
            if message is None:
                yield label, False, after
                continue
            called = self._functions.called(after, message)
            yield label, False, called
            if called.doubled:
                again = called._replace(
                    follow=sorted_with(called.follow, message), doubled=called.doubled - 1
                )
                yield f"{label} (and it will come again)", True, again
        if s.lost:
            for item in dict.fromkeys(s.follow):
                gone = s._replace(follow=minus(s.follow, item), lost=s.lost - 1)
                yield f"follow message {item} lost", True, gone

    # --- EC2

    def _ec2(self, s: State) -> Iterator[tuple[str, bool, State]]:
        for index, host in enumerate(s.hosts):
            name = NAMES[index]
            if host.ec2 == "pending":
                yield f"{name} runs", False, host_with(s, index, ec2="running", phase="up")
            if host.ec2 == "stopping":
                yield f"{name} is stopped", False, self._now_stopped(s, index)
            if host.ec2 == "pending" and s.crashes:
                died = self._now_stopped(s, index)._replace(crashes=s.crashes - 1)
                yield f"the start of {name} dies", True, died
            if host.ec2 == "running" and s.crashes and not self.bounds.held:
                died = self._now_stopped(s, index)._replace(crashes=s.crashes - 1)
                yield f"{name} dies", True, died

    def _now_stopped(self, s: State, index: int) -> State:
        s = agent_gone(s, index, without=self.without, ec2="stopped")
        if "stopped event" in self.without or index in s.stopped:
            return s
        return s._replace(stopped=tuple(sorted((*s.stopped, index))))

    # --- time

    def _time(self, s: State) -> Iterator[tuple[str, bool, State]]:
        for index, host in enumerate(s.hosts):
            claimed = any(p[0] in "ke" and p[1] == index for p in s.lambdas)
            if host.row.claim == STANDING and not claimed:
                row = host.row._replace(claim=LAPSED)
                yield f"the claim on {NAMES[index]} lapses", False, host_with(s, index, row=row)
        holder = s.lock.holder
        if dead(s) and s.rollout is not None:
            lapsed = s.rollout._replace(claim=LAPSED)
            yield "the claim on the rollout lapses", False, s._replace(rollout=lapsed)
        if holder > 0 and holder != DEPLOYMENT and is_left(s, holder):
            yield "the lock expires", False, s._replace(lock=s.lock._replace(holder=-holder))
        ticking = any(p[0] == "d" and p[1] == NEVER for p in s.lambdas)
        if "ticks" in self.without or ticking or len(s.lambdas) >= self.bounds.at_once:
            return
        yield from self._functions.looks(s, NEVER, ("r", NEVER, NEVER, 0))
