"""What has come for a run's pipeline since it began: newer pushes, which have joined it or wait.

A push that joined has left its note with the lock (`again`), and nothing else brings it. So a note
is seen before a fetch and taken after it: whatever ends the run in between leaves the note to
whoever comes next.
"""

from __future__ import annotations

from collections.abc import Callable

from build_agent.host.clock import Clock
from build_agent.queue.inbox import Delivery
from build_agent.queue.lease import Work
from slipway.contracts.table import Table
from slipway.contracts.table.locks import LockRow


class Overtaken:
    """Newer pushes than the one that is delivered, for the run that works on it. `end_left_behind`
    ends what is older than a push that joined at this time, and that nobody else would end.
    """

    def __init__(
        self,
        table: Table,
        clock: Clock,
        delivery: Delivery,
        work: Work,
        *,
        end_left_behind: Callable[[float], object],
    ) -> None:
        self._table = table
        self._clock = clock
        self._end_left_behind = end_left_behind
        self._delivery = delivery
        self._request = delivery.request
        self._work = work
        self._seen: LockRow | None = None
        self._fetched_for: str | None = None
        self._newest = delivery.request.pushed_at

    def is_joined(self) -> bool:
        """Whether a push has left its note, and no fetch has come after that."""
        row = self._table.locks.get(self._request.pipeline)
        is_new = row.again is not None and row.again != self._fetched_for
        self._seen = row if is_new else None
        return is_new

    def since(self, fetched: str) -> bool:
        """Whether there is a newer push than the one of the commit `fetched`: by its note, or by
        its want.
        """
        joined = self.is_joined()
        want = self._table.wants.get(self._request)
        if want is None or want.pushed_at <= self._newest:
            return joined
        self._newest = want.pushed_at
        return joined or want.request.commit_id != fetched

    def has_fetched(self) -> None:
        """The tip has been met: this run is the one that the note asks for which was seen before.

        What left the note may have taken a want's place, and its own with it when it joined. That
        may be the want of another, whose deployment nobody else would end; or of this run, which
        has nothing else where no message brought it: so its want is there before the note is gone.
        Where a newer one stands the note stays, for that may be about to go.
        """
        row, self._seen = self._seen, None
        if row is None or row.again is None:
            return
        self._fetched_for = row.again
        self._end_left_behind(row.again_at or 0.0)
        if self._delivery.messages or self._table.wants.note(self._request, self._clock.now()):
            self._table.locks.take_again(self._work.lock, row.again)
