"""The steps of an agent: arrive, receive, claim, lock, fetch, hand over, delete; follow."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.model.changes import (
    agent_gone,
    host_with,
    into_queue,
    sorted_with,
)
from tests.simulation.model.following import FIRST, Following
from tests.simulation.model.real import Real
from tests.simulation.model.state import (
    NAMES,
    STANDING,
    HostState,
    Rollout,
    State,
    Violation,
)

NOTICES = 2
"""Idle notices of one host that may be under way when it says the next one."""


class Agents:
    """One on each host; `without` as the model's."""

    def __init__(self, real: Real, following: Following, without: frozenset[str]) -> None:
        self._real = real
        self._following = following
        self._without = without

    def steps(self, s: State, index: int) -> Iterator[tuple[str, bool, State]]:
        host = s.hosts[index]
        if host.phase in ("", "hung") or host.ec2 != "running":
            return
        step = getattr(self, "_" + host.phase)
        for label, after in step(s, index, host):
            yield f"{NAMES[index]} {label}", False, after
        if not s.crashes:
            return
        for phase, label in (("up", "crashes"), ("hung", "hangs for ever")):
            if phase != host.phase:
                after = agent_gone(s, index, without=self._without, phase=phase)._replace(
                    crashes=s.crashes - 1
                )
                yield f"{NAMES[index]}: the agent {label}", True, after
        if host.phase in ("poll", "said"):
            for label, between in self._in_between(s, index):
                after = agent_gone(between, index, without=self._without, phase="up")
                yield (
                    f"{NAMES[index]} {label}, and crashes",
                    True,
                    after._replace(crashes=s.crashes - 1),
                )

    def _up(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        row, arrived = self._real.row_move(host.row, "arrive", host.boot)
        if arrived:
            yield "arrives", host_with(s, index, row=row, phase="poll")

    def _poll(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        yield from self._follows(s, index)
        if s.queue:
            taken = s._replace(queue=())
            if "delete last" in self._without:
                taken = taken._replace(want=self._real.cleared(s.want, s.queue))
            yield "receives", host_with(taken, index, held=s.queue, phase="got")
        said = sum(n[0] == index for n in s.notices)
        said += sum(p[0] in "dck" and p[1] == index for p in s.lambdas)
        if said >= (NOTICES if host.row.state == "busy" else 1) or host.phase == "said":
            return
        row, number = self._real.row_move(host.row, "say_idle", host.boot)
        if number is not None:
            notices = tuple(sorted((*s.notices, (index, host.boot, number))))
            phase = "said" if "say idle again" in self._without else "poll"
            yield "says idle", host_with(s, index, row=row, phase=phase)._replace(notices=notices)

    _said = _poll

    def _got(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        if "claim" in self._without:
            yield "begins work", host_with(s, index, phase="lock")
            return
        row, mine = self._real.row_move(host.row, "begin_work", host.boot)
        if mine:
            yield "begins work", host_with(s, index, row=row, phase="lock")
        else:
            given = into_queue(s, host.held)
            yield "gives its requests back", host_with(given, index, held=(), phase="poll")

    def _lock(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        """The pipeline's, by a host that is at work or by a rollout that is followed."""
        if all(r in s.settled for r in host.held):
            yield "finds all settled", host_with(s, index, phase="clear")
            return
        lock, taken = self._real.lock_move(s.lock, "take", index + 1)
        if taken or "lock" in self._without:
            yield (
                "locks",
                host_with(self._let_go(s, index), index, phase="fetch")._replace(lock=lock),
            )
            return
        lock, asked = self._real.lock_move(s.lock, "ask_again", index + 1)
        if asked:
            joined = s._replace(lock=lock, settled=s.settled | set(host.held))
            yield "joins the other's run", host_with(joined, index, phase="clear")

    def _fetch(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        """The tip; an older run that nobody was told of is told, and the note `again` taken."""
        lock = s.lock
        if lock[0] == index + 1:
            lock, _ = self._real.lock_move(lock, "take_again", index + 1)
        fetched = host_with(s, index, tip=s.pushed, phase="hand")
        yield f"fetches {s.pushed}", fetched._replace(lock=lock, silent=False)

    def _hand(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        """One transaction: the deployment has the lock and the rollout, the request its end."""
        if any(h.phase == "hand" for i, h in enumerate(s.hosts) if i != index):
            raise Violation("two hosts roll out one pipeline at the same time")
        lock, handed = self._real.lock_move(s.lock, "hand_over", index + 1)
        if not handed:
            given = into_queue(s, host.held)
            yield "has lost its lock", host_with(given, index, held=(), tip=0, phase="poll")
            return
        after = s._replace(
            lock=lock,
            rollout=Rollout(host.tip, FIRST, index + 1, STANDING, False),
            settled=s.settled | set(host.held),
            want=self._real.cleared(s.want, host.held),
        )
        phase = "delete" if "follow message" in self._without else "send"
        yield f"hands over {host.tip}", host_with(after, index, tip=0, phase=phase)

    def _send(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        sent = s._replace(follow=sorted_with(s.follow, (False, FIRST)))
        yield "sends the follow message", host_with(sent, index, phase="delete")

    def _clear(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        cleared = s._replace(want=self._real.cleared(s.want, host.held))
        yield "clears its wants", host_with(cleared, index, phase="delete")

    def _delete(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        yield "deletes its requests", host_with(s, index, held=(), phase="poll")

    # --- what it follows while it waits

    def _follows(self, s: State, index: int) -> Iterator[tuple[str, State]]:
        rollout = s.rollout
        if rollout is None or (rollout.claimer, rollout.claim) != (index + 1, STANDING):
            return
        *_, (label, after) = self._following.steps(s, index + 1, rollout.step)
        yield label, after

    def _in_between(self, s: State, index: int) -> Iterator[tuple[str, State]]:
        """Where a process may die in the middle of what it follows."""
        rollout = s.rollout
        if rollout is not None and (rollout.claimer, rollout.claim) == (index + 1, STANDING):
            yield from self._following.steps(s, index + 1, rollout.step)[:-1]

    def _let_go(self, s: State, index: int) -> State:
        """Before it builds it leaves what it follows to others."""
        if s.rollout is None or s.rollout.claimer != index + 1:
            return s
        return self._following.let_go(s, index + 1, s.rollout.step)
