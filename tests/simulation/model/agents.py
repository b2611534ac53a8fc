"""The steps of an agent: arrive, receive, claim, lock, fetch, deploy, clear, delete, release."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.model.changes import (
    agent_gone,
    host_with,
    into_queue,
)
from tests.simulation.model.real import Real
from tests.simulation.model.state import (
    NAMES,
    HostState,
    State,
    Violation,
)

NOTICES = 2
"""Idle notices of one host that may be under way when it says the next one."""


class Agents:
    """One on each host; `without` as the model's."""

    def __init__(self, real: Real, without: frozenset[str]) -> None:
        self._real = real
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

    def _up(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        row, arrived = self._real.row_move(host.row, "arrive", host.boot)
        if arrived:
            yield "arrives", host_with(s, index, row=row, phase="poll")

    def _poll(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
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
        """With one host there is nobody to lock against, and the model stays smaller."""
        if all(r in s.settled for r in host.held):
            yield "finds all settled", host_with(s, index, phase="clear")
            return
        if len(s.hosts) == 1:
            yield from self._fetch(s, index, host)
            return
        lock, taken = self._real.lock_move(s.lock, "take", index + 1)
        if taken or "lock" in self._without:
            yield "locks", host_with(s, index, phase="fetch")._replace(lock=lock)
            return
        lock, asked = self._real.lock_move(s.lock, "ask_again", index + 1)
        if asked:
            joined = s._replace(lock=lock, settled=s.settled | set(host.held))
            yield "joins the other's run", host_with(joined, index, phase="clear")

    def _fetch(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        lock = s.lock
        if lock[0] == index + 1:
            lock, _ = self._real.lock_move(lock, "take_again", index + 1)
        yield (
            f"fetches {s.pushed}",
            host_with(s, index, tip=s.pushed, phase="deploy")._replace(lock=lock),
        )

    def _deploy(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        if any(h.phase == "deploy" for i, h in enumerate(s.hosts) if i != index):
            raise Violation("two hosts roll out one pipeline at the same time")
        if host.tip < s.deployed:
            raise Violation(f"push {host.tip} replaces push {s.deployed}, which is newer")
        after = s._replace(deployed=host.tip, handled=host.tip, settled=s.settled | set(host.held))
        yield f"deploys {host.tip} and records", host_with(after, index, tip=0, phase="clear")

    def _clear(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        cleared = s._replace(want=self._real.cleared(s.want, host.held))
        yield "clears its wants", host_with(cleared, index, phase="delete")

    def _delete(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        holds = s.lock[0] == index + 1
        phase = "release" if holds else "poll"
        yield "deletes its requests", host_with(s, index, held=(), phase=phase)

    def _release(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        lock, released = self._real.lock_move(s.lock, "release", index + 1)
        if released:
            yield "unlocks", host_with(s, index, phase="poll")._replace(lock=lock)
        else:
            yield "runs the tip once more", host_with(s, index, phase="fetch")
