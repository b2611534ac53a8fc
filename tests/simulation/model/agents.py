"""The steps of an agent's main thread: arrive, receive, claim, give to a run, say idle; follow."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.model.changes import (
    agent_gone,
    host_with,
    into_queue,
    minus_all,
)
from tests.simulation.model.following import Following
from tests.simulation.model.real import Real
from tests.simulation.model.runs import Runs, is_building
from tests.simulation.model.state import (
    HANDED,
    NAMES,
    SLOTS,
    STANDING,
    Bounds,
    HostState,
    Run,
    State,
    under_way,
)

NOTICES = 2
"""Idle notices of one host that may be under way when it says the next one."""


class Agents:
    """One on each host; `without` as the model's."""

    def __init__(
        self,
        real: Real,
        following: Following,
        runs: Runs,
        bounds: Bounds,
        without: frozenset[str],
    ) -> None:
        self._real = real
        self._bounds = bounds
        self._following = following
        self._runs = runs
        self._without = without

    def steps(self, s: State, index: int) -> Iterator[tuple[str, bool, State]]:
        host = s.hosts[index]
        if host.phase in ("", "hung") or host.ec2 != "running":
            return
        for label, after in getattr(self, "_" + host.phase)(s, index, host):
            yield f"{NAMES[index]} {label}", False, after
        for run in host.runs:
            yield from self._runs.steps(s, index, run)
        if not s.crashes:
            return
        for phase, label in (("up", "crashes"), ("hung", "hangs for ever")):
            if phase != host.phase and not (phase == "hung" and self._bounds.held):
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
        if s.queue and sum(is_building(run) for run in host.runs) < SLOTS:
            taken = s._replace(queue=())
            if "delete last" in self._without:
                taken = taken._replace(want=self._real.cleared(s.want, s.queue))
            yield "receives", host_with(taken, index, held=s.queue, phase="got")
        said = sum(n[0] == index for n in s.notices)
        said += sum(p[0] in "dck" and p[1] == index for p in s.lambdas)
        if said >= (NOTICES if host.row.state == "busy" else 1) or host.phase == "said":
            return
        if under_way(host) or self._bounds.held:
            return
        row, number = self._real.row_move(host.row, "say_idle", host.boot)
        if number is not None:
            notices = tuple(sorted((*s.notices, (index, host.boot, number))))
            phase = "said" if "say idle again" in self._without else "poll"
            yield "says idle", host_with(s, index, row=row, phase=phase)._replace(notices=notices)

    _said = _poll

    def _got(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        """Claims the host, and then gives what it has received to a run."""
        if "claim" not in self._without:
            row, mine = self._real.row_move(host.row, "begin_work", host.boot)
            if not mine:
                yield "gives its requests back", self._given_back(s, index, host.held)
                return
            s = host_with(s, index, row=row)
        if all(request in s.settled for request in host.held):
            yield "finds all settled", host_with(s, index, phase="clear")
        elif under_way(host) and "under way" not in self._without:
            yield self._leaves_to_run(s, index, host.held)
        else:
            number = 1 + max((run.number for run in host.runs), default=0)
            runs = (*host.runs, Run(number, "lock", host.held, 0))
            yield "begins a run", host_with(s, index, held=(), phase="poll", runs=runs)

    def _leaves_to_run(self, s: State, index: int, held: tuple[int, ...]) -> tuple[str, State]:
        """The pipeline is under way here: its holder runs the tip once more.

        What its own deployment was begun for comes again, and so does all if nobody has the lock.
        """
        begun = self._runs.begun(s, held)
        left = minus_all(held, begun)
        lock, asked = self._runs.asks_again(s, index + 1, left)
        if not left or not asked:
            return "gives back what is under way", self._given_back(s, index, held)
        joined = into_queue(s, begun)._replace(lock=lock, settled=s.settled | set(left))
        return "joins its own run", host_with(joined, index, held=left, phase="clear")

    def _given_back(self, s: State, index: int, held: tuple[int, ...]) -> State:
        return host_with(into_queue(s, held), index, held=(), phase="poll")

    def _clear(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        cleared = s._replace(want=self._real.cleared(s.want, host.held))
        if s.crashes:
            yield "clears its wants", host_with(cleared, index, phase="delete")
        else:  # nobody can tell when it deletes
            deleted = host_with(cleared, index, held=(), phase="poll")
            yield "clears its wants, deletes its requests", deleted

    def _delete(self, s: State, index: int, host: HostState) -> Iterator[tuple[str, State]]:
        yield "deletes its requests", host_with(s, index, held=(), phase="poll")

    # --- what it follows while it waits

    def _follows(self, s: State, index: int) -> Iterator[tuple[str, State]]:
        """The next steps of a rollout that a run has passed on; where a stop is claimed it lets go.

        Its claim is a process's: it outlasts the run that has handed over.
        """
        if not self._has_rollout(s, index):
            return
        assert s.rollout is not None
        if s.hosts[index].row.state == "stopping":
            yield "lets go", self._following.let_go(s, index + 1, s.rollout.step)
        *_, (label, after) = self._following.steps(s, index + 1, s.rollout.step)
        yield label, after

    def _in_between(self, s: State, index: int) -> Iterator[tuple[str, State]]:
        """Where a process may die in the middle of what it follows."""
        if self._has_rollout(s, index):
            assert s.rollout is not None
            yield from self._following.steps(s, index + 1, s.rollout.step)[:-1]

    def _has_rollout(self, s: State, index: int) -> bool:
        rollout = s.rollout
        if rollout is None or (rollout.claimer, rollout.claim) != (index + 1, STANDING):
            return False
        return not any(run.phase in HANDED for run in s.hosts[index].runs)
