"""The steps of a run: lock, fetch, hand over, delete; or leave all to the lock's holder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.model.changes import (
    asked_again,
    host_with,
    into_flight,
    into_queue,
    messages,
    minus_all,
    named,
    sorted_with,
)
from tests.simulation.model.following import FIRST, Following
from tests.simulation.model.real import Real
from tests.simulation.model.state import (
    HANDED,
    LOCKED,
    NAMES,
    STANDING,
    LockState,
    Rollout,
    Run,
    State,
    Violation,
    run_of,
)

Steps = Iterator[tuple[str, State]]


def is_building(run: Run) -> bool:
    """Whether it has a build slot: until it has handed over, or was given up."""
    return run.phase != "late" and run.phase not in HANDED


class Runs:
    """Up to one for each pipeline on a host, so long as the main thread knows of it."""

    def __init__(self, real: Real, following: Following, without: frozenset[str]) -> None:
        self._real = real
        self._following = following
        self._without = without

    def steps(self, s: State, index: int, run: Run) -> Iterator[tuple[str, bool, State]]:
        """What the run of that host does next."""
        for label, after in getattr(self, "_" + run.phase)(s, index, run):
            yield f"{NAMES[index]}, run {run.number}: {label}", False, after
        if s.hangs and run.phase == "hand":
            hung = self._with(s, index, run, phase="hung")._replace(hangs=s.hangs - 1)
            yield f"{NAMES[index]}, run {run.number} hangs", True, hung

    def begun(self, s: State, requests: tuple[int, ...]) -> tuple[int, ...]:
        """Those whose own deployment a run that lives has begun: they join no other."""
        at_it = [run for host in s.hosts for run in host.runs if run.phase in ("hand", "hung")]
        there = {request for run in at_it for request in named(run.held)}
        return tuple(request for request in requests if abs(request) in there)

    def asks_again(self, s: State, who: int, requests: tuple[int, ...]) -> tuple[LockState, bool]:
        """The lock with the note that its holder is to run the tip once more, if it has one."""
        return self._real.lock_move(s.lock, "ask_again", who)

    def _lock(self, s: State, index: int, run: Run) -> Steps:
        """The pipeline's; it may be another run's, or a rollout's that is followed."""
        lock, taken = self._real.lock_move(s.lock, "take", run_of(index, run.number))
        if taken or "lock" in self._without:
            yield "locks", self._with(s._replace(lock=lock), index, run, phase="fetch")
            return
        lock, asked = self.asks_again(s, run_of(index, run.number), run.held)
        begun = self.begun(s, run.held)
        if not asked or len(begun) == len(run.held):
            over = self._over(s._replace(lock=lock), index, run)
            yield "gives its requests back", into_queue(over, messages(run.held))
            return
        left = minus_all(run.held, begun)
        joined = into_queue(s, messages(begun))._replace(
            lock=lock, settled=s.settled | set(named(left))
        )
        yield "joins the other's run", self._with(joined, index, run, phase="clear", held=left)

    def _fetch(self, s: State, index: int, run: Run) -> Steps:
        """The tip; an older run that nobody was told of is told, and the note `again` taken."""
        if all(request in s.settled for request in named(run.held)):
            cleared = s._replace(want=self._real.cleared(s.want, named(run.held)))
            yield "finds all settled", self._with(cleared, index, run, phase="release", held=())
            return
        yield f"fetches {s.pushed}", self._fetched(s, index, run)._replace(silent=False)

    def _fetched(self, s: State, index: int, run: Run) -> State:
        s = self._note_taken(s, index, run, s.lock.again)
        return self._with(s, index, run, tip=s.pushed, phase="hand")

    def _note_taken(self, s: State, index: int, run: Run, note: int) -> State:
        """The note that was seen before the fetch. What no message brought has its want first, and
        where a newer one stands the note stays.
        """
        who = run_of(index, run.number)
        if not note or (s.lock.again, s.lock.holder) != (note, who):
            return s
        if not messages(run.held):
            request = max(named(run.held))
            if self._real.noted(s.want, request, settled=False) != request:
                return s
            s = s._replace(want=request)
        lock, _ = self._real.lock_move(s.lock, "take_again", who)
        return s._replace(lock=lock)

    def _hand(self, s: State, index: int, run: Run) -> Steps:
        """One transaction: the deployment has the lock and the rollout, the request its end.

        Before it builds it looks whether a newer push has come.
        """
        self._check_alone(s, index, run)
        newer = s.want > max(named(run.held)) and run.tip != s.pushed
        if newer or (s.lock.again and s.lock.holder == run_of(index, run.number)):
            yield f"fetches {s.pushed}, too", self._fetched(s, index, run)
        handed = self._handed(s, index, run)
        if handed is None:
            over = self._over(s, index, run)
            yield "has lost its lock", into_queue(over, messages(run.held))
            return
        then: dict[str, Any] = {"phase": "send"}
        if "follow message" in self._without:
            then = self._deleted(s, run)
        yield f"hands over {run.tip}", self._with(handed, index, run, tip=0, **then)

    def _handed(self, s: State, index: int, run: Run) -> State | None:
        lock, handed = self._real.lock_move(s.lock, "hand_over", run_of(index, run.number))
        requests = named(run.held)
        if not handed or all(request in s.settled for request in requests):
            return None
        return s._replace(
            lock=lock,
            rollout=Rollout(run.tip, FIRST, index + 1, STANDING, False),
            settled=s.settled | set(requests),
            want=self._real.cleared(s.want, requests),
        )

    def _check_alone(self, s: State, index: int, run: Run) -> None:
        for other_index, host in enumerate(s.hosts):
            for other in host.runs:
                here = other_index == index
                if other.phase == "hand" and not (here and other.number == run.number):
                    what = "runs" if here else "hosts"
                    raise Violation(f"two {what} roll out one pipeline at the same time")

    def _send(self, s: State, index: int, run: Run) -> Steps:
        sent = s._replace(follow=sorted_with(s.follow, (False, FIRST)))
        yield "sends the follow message", self._with(sent, index, run, **self._deleted(s, run))

    def _deleted(self, s: State, run: Run) -> dict[str, Any]:
        """The next phase: where nothing crashes any more nobody can tell when it deletes."""
        return {"phase": "forget"} if s.crashes else {"phase": "add", "held": ()}

    def _forget(self, s: State, index: int, run: Run) -> Steps:
        yield "deletes its requests", self._with(s, index, run, held=(), phase="add")

    def _add(self, s: State, index: int, run: Run) -> Steps:
        """What is due of the rollout is done by the run, before the main thread has it."""
        rollout = s.rollout
        if rollout is None or (rollout.claimer, rollout.claim) != (index + 1, STANDING):
            yield "is over", self._over(s, index, run)
            return
        label, after = self._following.steps(s, index + 1, rollout.step)[0]
        yield f"{label}, and is over", self._over(after, index, run)

    def _clear(self, s: State, index: int, run: Run) -> Steps:
        cleared = s._replace(want=self._real.cleared(s.want, named(run.held)))
        if s.crashes:
            yield "clears its wants", self._with(cleared, index, run, phase="delete")
        else:
            yield "clears its wants, deletes its requests", self._over(cleared, index, run)

    def _delete(self, s: State, index: int, run: Run) -> Steps:
        yield "deletes its requests", self._over(s, index, run)

    def _release(self, s: State, index: int, run: Run) -> Steps:
        """Not while the note `again` stands: it runs that, once a want is there for it."""
        who = run_of(index, run.number)
        lock, released = self._real.lock_move(s.lock, "release", who)
        if released or s.lock.holder != who:
            after = s._replace(lock=lock) if s.lock.holder == who else s
            yield "releases the lock", self._over(after, index, run)
            return
        request, s = asked_again(s)
        want = self._real.noted(s.want, request, settled=False)
        lock, _ = self._real.lock_move(s.lock, "take_again", who)
        asked = s._replace(want=want, lock=lock)
        if want == request:
            asked = self._with(asked, index, run, phase="fetch", held=(-request,))
        yield "runs what was asked again", asked

    # --- a run that does not get on

    def _hung(self, s: State, index: int, run: Run) -> Steps:
        """Its lock and its messages are kept until it is given up; then others take its work."""
        given_up = into_flight(s, run.held)
        yield "is given up", self._with(given_up, index, run, phase="late")

    def _late(self, s: State, index: int, run: Run) -> Steps:
        """It wakes in the midst of its hand-over, of which it has looked at the lock before."""
        handed = self._handed(s, index, run)
        over = self._over(handed or s, index, run)
        if handed is None:
            yield "is late: its hand-over is refused", over
            return
        self._check_alone(s, index, run)
        sent = over._replace(follow=sorted_with(over.follow, (False, FIRST)))
        yield f"is late, and hands over {run.tip}", sent

    # --- what its host tells of it

    def _with(self, s: State, index: int, run: Run, **changes: Any) -> State:
        now = run._replace(**changes)
        others = tuple(each for each in s.hosts[index].runs if each.number != run.number)
        return self._told(s, index, (*others, now))

    def _over(self, s: State, index: int, run: Run) -> State:
        return self._told(s, index, tuple(r for r in s.hosts[index].runs if r.number != run.number))

    def _told(self, s: State, index: int, runs: tuple[Run, ...]) -> State:
        """With the heartbeat that is written at once when a run begins or ends."""
        row, boot = s.hosts[index].row, s.hosts[index].boot
        told = sum(run.phase in LOCKED for run in runs)
        if told != row.told:
            row, _ = self._real.row_move(row, "heartbeat", boot, told)
        return host_with(s, index, runs=runs, row=row)
