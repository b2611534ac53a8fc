"""The steps of a run in a world where an operator cancels and rolls back."""

from __future__ import annotations

from tests.simulation.model.asked import Asked
from tests.simulation.model.changes import (
    into_queue,
    is_rollback,
    messages,
    minus_all,
    named,
    with_orders,
)
from tests.simulation.model.following import Following
from tests.simulation.model.real import Real
from tests.simulation.model.runs import Runs, Steps
from tests.simulation.model.state import (
    STANDING,
    Bounds,
    LockState,
    Run,
    State,
    Violation,
    run_of,
)


class OrderedRuns(Runs):
    """Besides: it begins its deployment's row before it fetches, and its keeper looks at the lock's
    note until the hand-over. A run works on the newest of its requests.
    """

    def __init__(
        self,
        real: Real,
        following: Following,
        asked: Asked,
        bounds: Bounds,
        without: frozenset[str],
    ) -> None:
        super().__init__(real, following, without)
        self._asked = asked
        self._bounds = bounds

    def begun(self, s: State, requests: tuple[int, ...]) -> tuple[int, ...]:
        """By their rows."""
        there = s.orders.begun | s.orders.ended
        return tuple(request for request in requests if abs(request) in there)

    def asks_again(self, s: State, who: int, requests: tuple[int, ...]) -> tuple[LockState, bool]:
        """A rollback undoes by the time of the push: so that is in the note."""
        asker = max(named(requests), default=0) if self._bounds.rollbacks else 0
        return self._real.lock_move(s.lock, "ask_again", who, asker)

    def _fetch(self, s: State, index: int, run: Run) -> Steps:
        """What older pushes left behind ends; then its own deployment begins, or is found."""
        request = _tip(run)
        if request in s.settled:
            settled = self._settled(s, run, request)
            yield "finds it settled", self._with(settled, index, run, phase="release", held=())
            return
        s = self._left_behind_ended(s, request)
        o = s.orders
        if request in o.ended:
            yield "finds its outcome", self._with(s, index, run, phase="close")
        elif self._asked.is_undone(request, o.rolled):
            handled = self._asked.dealt_with(request, s.handled)
            s = with_orders(s, excused=max(o.excused, request // 10))
            undone = self._recorded(s._replace(handled=handled), request)
            yield "is undone by a rollback", self._with(undone, index, run, phase="close")
        elif request in o.marked:
            yield "finds that it was cancelled", self._stopped(s, index, run, "cancelled")
        else:
            s = with_orders(s, begun=o.begun | {request})
            yield f"begins {request}", self._note_seen(s, index, run)

    def _left_behind_ended(self, s: State, request: int, *, joined: int = 0) -> State:
        """Told, and settled, in one step. `joined`: who left the note that is taken with it."""
        o, until = s.orders, max(request, joined + 1)
        open_rows = (o.begun | o.ended) - {request}
        older = {r for r in open_rows if not is_rollback(r) and r < until}
        if not older:
            return s
        s = s._replace(settled=s.settled | older)
        return with_orders(s, begun=o.begun - older, marked=o.marked - older, ended=o.ended - older)

    def _note_seen(self, s: State, index: int, run: Run) -> State:
        note = s.lock.again if s.lock.holder == run_of(index, run.number) else 0
        if "note after fetch" in self._without:
            s, note = self._note_taken(s, index, run, note), 0
        return self._with(s, index, run, phase="begun", note=note)

    def _note_taken(self, s: State, index: int, run: Run, note: int) -> State:
        if note > 1:  # it is known who left it
            s = self._left_behind_ended(s, _tip(run), joined=note)
        return super()._note_taken(s, index, run, note)

    def _begun(self, s: State, index: int, run: Run) -> Steps:
        """It fetches the tip, and takes the note, unless it is interrupted."""
        yield from self._interrupted(s, index, run)
        taken = self._note_taken(s, index, run, run.note)
        fetched = self._with(taken, index, run, tip=s.pushed, note=0, phase="hand")
        yield f"fetches {s.pushed}", fetched

    def _hand(self, s: State, index: int, run: Run) -> Steps:
        yield from self._interrupted(s, index, run)
        yield from super()._hand(s, index, run)

    def _handed(self, s: State, index: int, run: Run) -> State | None:
        request = _tip(run)
        if request in s.settled:
            return None
        handed = super()._handed(s, index, run)
        if handed is None or handed.rollout is None:
            return None
        if s.rollout is not None:
            raise Violation("two rollouts are followed at the same time")
        o = handed.orders
        rollout = handed.rollout._replace(request=request, ordered=request in o.marked)
        return with_orders(handed._replace(rollout=rollout), begun=o.begun - {request})

    def _check_alone(self, s: State, index: int, run: Run) -> None:
        super()._check_alone(s, index, run)
        if any(p[0] == "B" and p[4] == "begun" for p in s.lambdas):
            raise Violation("a rollback and a run roll out at the same time")

    def _add(self, s: State, index: int, run: Run) -> Steps:
        """What ends at once is told, too, before the run is over."""
        rollout = s.rollout
        if rollout is not None and (rollout.claimer, rollout.claim) == (index + 1, STANDING):
            first, *_, last = self._following.steps(s, index + 1, rollout.step)
            if first[0].startswith("records"):
                yield f"{last[0]}, and is over", self._over(last[1], index, run)
                return
        yield from super()._add(s, index, run)

    # --- interrupted

    def _interrupted(self, s: State, index: int, run: Run) -> Steps:
        why = self._asked.stops(s, _tip(run))
        if not why or s.lock.holder != run_of(index, run.number):
            return
        if "cancelled" in why and _tip(run) not in s.orders.marked:
            raise Violation(f"the run of {_tip(run)} ends for a cancel that was another's")
        yield f"is interrupted: {why}", self._stopped(s, index, run, why)

    def _stopped(self, s: State, index: int, run: Run, _why: str) -> State:
        """Its end for good if it was cancelled; else all is given back, with the lock."""
        who, request = run_of(index, run.number), _tip(run)
        lock, mine = self._real.lock_move(s.lock, "finish", who)
        if request in s.orders.marked and mine:
            tip = run.tip or self._asked.dealt_with(request, 0)
            o = s.orders
            handled, rolled = self._asked.recorded(request, "cancelled", tip, s.handled, o.rolled)
            ended = with_orders(s, rolled=rolled, excused=max(o.excused, tip))
            ended = self._recorded(ended._replace(handled=handled, lock=lock), request)
            return self._with(ended, index, run, phase="close", tip=0)
        lock, _ = self._real.lock_move(s.lock, "abandon", who)
        s = self._over(s._replace(lock=lock if s.lock.holder == who else s.lock), index, run)
        return into_queue(s, messages(run.held))

    def _recorded(self, s: State, request: int) -> State:
        """Its outcome, if it has a row: that is to be told."""
        o = s.orders
        if request not in o.begun:
            return s
        if request in o.ended:
            raise Violation(f"{request} is told twice")
        return with_orders(
            s, begun=o.begun - {request}, marked=o.marked - {request}, ended=o.ended | {request}
        )

    def _close(self, s: State, index: int, run: Run) -> Steps:
        """Told, settled, deleted."""
        request = _tip(run)
        s = with_orders(s, ended=s.orders.ended - {request})
        s = self._settled(s, run, request)
        yield "tells, and settles", self._with(s, index, run, phase="release", held=(), note=0)

    def _settled(self, s: State, run: Run, request: int) -> State:
        requests = named(run.held)
        want = self._real.cleared(s.want, (*minus_all(requests, (request,)), request))
        return s._replace(settled=s.settled | set(requests), want=want)


def _tip(run: Run) -> int:
    return max(named(run.held))
