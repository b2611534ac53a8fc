"""The steps of the Lambdas: the starter, the stopper, the reconciler, and their stops of hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lambdas.decide.situation import (
    Ask,
    FollowUp,
    IdleNotice,
    Republish,
    StartHost,
    StopBroken,
    StopIdle,
)
from tests.simulation.model.changes import (
    agent_gone,
    asked_again,
    asked_by_drift,
    host_with,
    is_rollback,
    may_publish,
    publish,
    quiet,
    sorted_with,
    start_host,
    with_lambda,
)
from tests.simulation.model.following import Following
from tests.simulation.model.real import Real
from tests.simulation.model.rollbacks import Rollbacks, starter_notes
from tests.simulation.model.state import (
    DEPLOYMENT,
    FOLLOWER,
    NAMES,
    NEVER,
    Bounds,
    State,
    Violation,
    at_work,
)


class Functions:
    """The Lambdas that are under way are of the state; `without` as the model's."""

    def __init__(
        self,
        real: Real,
        following: Following,
        rollbacks: Rollbacks,
        bounds: Bounds,
        without: frozenset[str],
    ) -> None:
        self._real = real
        self._rollbacks = rollbacks
        self._following = following
        self._bounds = bounds
        self._without = without

    def steps(self, s: State, process: tuple[Any, ...]) -> Iterator[tuple[str, bool, State]]:
        """The next step of `process`, which is not among the Lambdas of `s` any more."""
        kind, index = process[0], process[1]
        step = {
            "S": self._starter_looks,
            "T": self._starter_decides,
            "d": self._decides,
            "c": self._claims,
            "k": self._stops,
            "e": self._marks_sent,
            "F": self._follows,
            "B": self._rollbacks.steps,
        }[kind]
        yield from step(s, index, process)

    def starter_notes(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        request = p[4]
        if is_rollback(request):
            noted = starter_notes(s, request)
        else:
            want = self._real.noted(s.want, request, settled=request in s.settled)
            noted = s._replace(want=want)
        yield f"starter notes {request}", False, with_lambda(noted, ("S", index, NEVER, 0))

    def _starter_looks(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        ec2 = tuple(host.ec2 for host in s.hosts)
        seen = ("T", index, NEVER, 0, ec2)
        if self._bounds.split_reads:
            yield "starter asks EC2", False, with_lambda(s, seen)
        else:
            yield from self._starter_decides(s, index, seen)

    def _starter_decides(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        actions = self._real.decided(s, p[4], notice=None, queued=0, aged=False, tick=False)
        for action in actions:
            if isinstance(action, StartHost):
                s = self._act(s, action)
        yield "starter decides", False, s

    def looks(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        """Stopper or reconciler asks EC2 and the queue; its answers may be late."""
        kind, _, boot, number = p[:4]
        ec2 = [host.ec2 for host in s.hosts]
        if kind == "r" and index != NEVER and ec2[index] == "stopping":
            ec2[index] = "stopped"
        early = s._replace(doubled=s.doubled - 1)
        looks = [(False, False, s)]
        if kind == "r" and quiet(s):
            looks.append((True, False, s))
        elif kind == "r" and s.doubled:
            looks.append((True, True, early))
        for queued in {0, min(1, len(s.queue))}:
            for aged, fault, now in looks:
                seen = ("d", index, boot, number, kind, tuple(ec2), queued, aged)
                label = f"{'stopper' if kind == 't' else 'reconciler'} looks"
                label += f" ({queued} queued{', timers have run out' if aged else ''})"
                if kind == "t" or self._bounds.split_reads:
                    yield label, fault, with_lambda(now, seen)
                    continue
                for more, _, after in self._decides(now, index, seen):
                    yield f"{label}, {more}", fault, after

    def _decides(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        _, _, boot, number, kind, ec2, queued, aged = p
        if kind == "t":
            notice = IdleNotice(host_id=NAMES[index], boot=str(boot), idle_number=number)
            actions = self._real.decided(
                s, ec2, notice=notice, queued=queued, aged=False, tick=False
            )
            actions = tuple(a for a in actions if isinstance(a, StopIdle))
        else:
            actions = self._real.decided(s, ec2, notice=None, queued=queued, aged=aged, tick=True)
        for action in actions:
            s = self._act(s, action)
        yield f"{'stopper' if kind == 't' else 'reconciler'} decides", False, s

    def _act(self, s: State, action: Any) -> State:
        if isinstance(action, StartHost):
            if s.lock.holder == DEPLOYMENT:
                raise Violation("a host is woken for a pipeline that is followed")
            return start_host(s, NAMES.index(action.host.host_id))
        if isinstance(action, FollowUp):
            look_now = (s.rollout is None, NEVER)
            return s if look_now in s.follow else s._replace(follow=sorted_with(s.follow, look_now))
        if isinstance(action, StopIdle):
            index = NAMES.index(action.notice.host_id)
            number = action.notice.idle_number
            return with_lambda(s, ("c", index, int(action.notice.boot), number, "idle"))
        if isinstance(action, StopBroken):
            row = action.host.row
            boot = int(row.boot) if row.boot else NEVER
            index = NAMES.index(row.host_id)
            return with_lambda(s, ("c", index, boot, 0, action.unchanged))
        if isinstance(action, Republish):
            asked = int(action.want.request_id, 16)
            return publish(s, asked) if may_publish(s, asked, self._bounds.copies) else s
        if isinstance(action, Ask):
            return self._ask(s, action)
        return s

    def _ask(self, s: State, action: Ask) -> State:
        request = asked_by_drift(s)
        if action.orphan is not None:
            request, s = asked_again(s)
            lock, _ = self._real.lock_move(s.lock, "take_orphaned_again", 0)
            s = s._replace(lock=lock)
        want = self._real.noted(s.want, request, settled=request in s.settled)
        if want != request or request in s.settled:
            return s
        return publish(s._replace(want=want), request)

    def called(self, s: State, message: tuple[bool, int]) -> State:
        """The follower has claimed a step, or closes what is over."""
        if message[0]:
            return self._following.tells(s)
        assert s.rollout is not None
        return with_lambda(s, ("F", NEVER, NEVER, 0, s.rollout.step, message))

    def crashed(self, s: State, process: tuple[Any, ...]) -> State:
        """A message that the follower was called with comes again."""
        if process[0] == "B":
            return self._rollbacks.crashed(s, process[5])
        if process[0] != "F":
            return s
        if isinstance(process[-1], int):
            return self._rollbacks.crashed(s, process[-1])
        return s._replace(follow=sorted_with(s.follow, process[-1]))

    def _follows(self, s: State, _index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        step = p[4]
        *between, (label, after) = self._following.steps(s, FOLLOWER, step)
        yield f"the follower {label}", False, after
        for said, state in between:
            if state.rollout is not None:
                gone = self._following.let_go(state, FOLLOWER, step)
                yield f"the follower {said}, and lets go", False, gone
            if s.crashes:
                crashed = self.crashed(state, p)._replace(crashes=s.crashes - 1)
                yield f"the follower {said}, and crashes", True, crashed

    def _claims(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        _, _, boot, number, why = p
        move = "claim_stop" if why == "idle" else "claim_broken"
        row, claimed = self._real.row_move(s.hosts[index].row, move, boot, number, why)
        if "claim" in self._without:
            yield "no claim", False, with_lambda(s, ("k", index, boot, number, why))
        elif claimed:
            before = s.hosts[index].row
            if why == "idle" and (before.boot, before.number) != (boot, number):
                raise Violation(f"a late notice stops {NAMES[index]}")
            after = host_with(s, index, row=row)
            yield f"stop of {NAMES[index]} claimed", False, with_lambda(after, ("k", *p[1:]))
        else:
            yield f"the claim on {NAMES[index]} loses", False, s

    def _stops(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        host, why = s.hosts[index], p[4]
        name = NAMES[index]
        if host.ec2 == "running":
            if at_work(host):
                raise Violation(f"{name} is stopped ({why}) while it works")
            stopping = agent_gone(s, index, without=self._without, ec2="stopping")
            yield f"StopInstances {name}", False, with_lambda(stopping, ("e", *p[1:]))
            if s.crashes:
                refused = s._replace(crashes=s.crashes - 1)
                yield f"StopInstances {name} is refused", True, self._taken_back(refused, p)
        elif host.ec2 == "pending":
            yield f"StopInstances {name}: it is pending", False, self._taken_back(s, p)
        else:
            yield f"StopInstances {name}: it is {host.ec2}", False, with_lambda(s, ("e", *p[1:]))

    def _taken_back(self, s: State, p: Any) -> State:
        _, index, boot, _, why = p
        if why != "idle":
            return s
        row, _ = self._real.row_move(s.hosts[index].row, "take_back_claim", boot)
        return host_with(s, index, row=row)

    def _marks_sent(self, s: State, index: int, p: Any) -> Iterator[tuple[str, bool, State]]:
        row, _ = self._real.row_move(s.hosts[index].row, "stop_sent", p[2])
        yield f"the stop of {NAMES[index]} is sent", False, host_with(s, index, row=row)
