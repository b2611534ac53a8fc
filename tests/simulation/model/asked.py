"""The real code that an operator's orders meet, asked about abstract values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from build_agent.queue.lease import Keeper
from slipway.cli.aws import cancelling
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.wants import Want
from slipway.following import outcome
from slipway.following.follower import Held
from slipway.following.state import Followed
from slipway.rollout import RolloutPlan
from slipway.rollout.state import RolloutState
from tests.simulation.model.changes import is_rollback
from tests.simulation.model.real import DEPLOYMENTS, Real
from tests.simulation.model.state import NOW, LockState, State
from tests.simulation.model.values import (
    FOLLOWED,
    begun_row,
    commit_of,
    deployment_of,
    lock_item,
    lock_row,
    request_id_of,
    request_of,
    result_of,
    settled_of,
    want_of,
)

KEPT = 9.0


class Asked:
    """What the command line, a run and whoever follows make of orders; answers are remembered."""

    def __init__(self, real: Real) -> None:
        self._real = real

    # --- who obeys

    def obeys(self, s: State, request: int, *, marked: bool) -> str:
        """What whoever follows the request's rollout does by `Held._obey`: `gives way`, `cancels`
        or nothing.
        """
        lock, over = s.lock, s.lock.asks in s.settled
        key = ("obey", lock, request, marked, over)
        return str(
            self._real.known(
                key, lambda: _followed_obeys(self._asking(lock, over), lock, request, marked)
            )
        )

    def stops(self, s: State, request: int) -> str:
        """Why `Keeper._obey` tells a run to stop that works on the request; empty: it does not."""
        lock, over = s.lock, s.lock.asks in s.settled
        key = ("stop", lock, request, over)
        return str(
            self._real.known(key, lambda: _keeper_obeys(self._asking(lock, over), lock, request))
        )

    def _asking(self, lock: LockState, over: bool) -> Table:
        """The table, in which who asks for a takeover has its outcome if it is `over`."""
        table = self._real.table_with({"LOCK": [lock_item(lock)]})
        if over:
            table.requests.settle([settled_of(lock.asks)], kept=KEPT)
        return table

    def is_undone(self, request: int, rolled: int) -> bool:
        """Whether the rollback that stands undoes the request."""
        row = _pipeline(0, rolled)
        key = ("undone", request, rolled)
        return bool(
            self._real.known(key, lambda: outcome.undoes_rollback(request_of(request), row))
        )

    def recorded(
        self, request: int, status: str, tip: int, handled: int, rolled: int
    ) -> tuple[int, int]:
        """The pipeline's row after that outcome: the push that is handled, and what stands."""
        key = ("recorded", request, status, tip, handled, rolled)
        found: tuple[int, int] = self._real.known(
            key, lambda: _recorded(request, status, tip, handled, rolled)
        )
        return found

    # --- the command line

    def look(self, s: State) -> tuple[Any, ...]:
        """What `slipway cancel` finds, as what it does next; empty: it ends."""
        o = s.orders
        followed = s.rollout.request if s.rollout else 0
        wants = (*((s.want,) if s.want else ()), *o.wants)
        key = ("look", s.lock, o.begun, followed, wants)
        found: tuple[Any, ...] = self._real.known(
            key, lambda: _found(s.lock, o.begun, followed, wants)
        )
        return found

    def marks(self, s: State, request: int) -> bool:
        """Whether the row takes the mark that its deployment is cancelled."""
        is_open = request in s.orders.begun or _is_followed(s, request)

        def answer() -> bool:
            row = _row(request)
            row = row if is_open else replace(row, status="succeeded", ended_at=NOW)
            table = self._table(request, row=row)
            return table.following.ask_cancel(row.deployment_id, "ada")

        return bool(self._real.known(("mark", request, is_open), answer))

    def ends_waiting(self, s: State, request: int) -> bool:
        """Whether the request of a want is ended while nothing is begun for it."""
        there = request == s.want or request in s.orders.wants
        o = s.orders
        begun = request in o.begun or request in o.ended or _is_followed(s, request)
        settled = request in s.settled
        key = ("end", request, there, begun, settled, s.untold)

        def answer() -> bool:
            table = self._table(request, lock=s.lock, untold=s.untold)
            asked = request_of(request)
            if there:
                table.wants.note(asked, NOW, builder=not is_rollback(request))
            if begun:
                table.requests.point(asked.request_id, deployment_of(request), NOW, kept=KEPT)
            if settled:
                table.requests.settle([settled_of(request)], kept=KEPT)
            want = want_of(asked, NOW, builder=not is_rollback(request))
            row = cancelling.cancelled_row(asked, _pipeline(0, 0), "ada", NOW)
            return table.unbegun.end(
                want, row, changes={}, settled_kept=KEPT, deployments_kept=KEPT
            )

        return bool(self._real.known(key, answer))

    def ends_left_behind(self, s: State, request: int) -> bool:
        """Whether an open row that nobody takes up again is ended."""
        is_open, settled = request in s.orders.begun, request in s.settled
        key = ("left", request, is_open, settled, s.lock, s.untold)

        def answer() -> bool:
            row = _row(request)
            row = row if is_open else replace(row, status="succeeded", ended_at=NOW)
            table = self._table(request, row=row, lock=s.lock, untold=s.untold)
            over = cancelling.cancelled(row, request_of(request), _pipeline(0, 0), "ada", NOW)
            assert over.result is not None
            kept = None if settled else KEPT
            return table.unbegun.end_left_behind(over.result, changes={}, settled_kept=kept)

        return bool(self._real.known(key, answer))

    def dealt_with(self, request: int, handled: int) -> int:
        """The push that is handled once the request was ended while it waited."""
        changes = cancelling.tip_dealt_with(request_of(request))
        return int(str(changes["handled_tip"]), 16) if "handled_tip" in changes else handled

    def _table(
        self,
        request: int,
        *,
        row: DeploymentRow | None = None,
        lock: LockState | None = None,
        untold: bool = False,
    ) -> Table:
        parts: dict[str, list[dict[str, Any]]] = {}
        if row is not None:
            table = self._real.table_with({})
            table.deployments.start(row, kept=KEPT)
            parts[DEPLOYMENTS] = table.store.query(DEPLOYMENTS)
        if lock is not None:
            told = {"untold": deployment_of(0)} if untold else {}
            parts["LOCK"] = [{**lock_item(lock), **told}]
        return self._real.table_with(parts)


def _is_followed(s: State, request: int) -> bool:
    return s.rollout is not None and s.rollout.request == request


def _pipeline(handled: int, rolled: int) -> PipelineRow:
    return PipelineRow(
        pipeline="shop",
        handled_tip=commit_of(handled),
        rolled_back_to=FOLLOWED if rolled else None,
        rolled_back_at=float(rolled) if rolled else None,
    )


def _row(request: int) -> DeploymentRow:
    asked = request_of(request)
    return replace(
        begun_row(),
        deployment_id=deployment_of(request),
        request_id=request_id_of(request),
        reason=asked.reason,
        pushed_at=asked.pushed_at,
    )


def _followed(request: int) -> Followed:
    """Its only rollout is waited for."""
    rollout = RolloutState(
        id=deployment_of(request), plan=RolloutPlan(service="shop"), begun=NOW, step="wait"
    )
    return Followed(request=request_of(request), rollouts=(rollout,))


def _followed_obeys(table: Table, lock: LockState, request: int, marked: bool) -> str:
    said: list[str] = []
    row = replace(_row(request), rollout="{}", cancelled_by="ada" if marked else None)
    there: Any = SimpleNamespace(
        row=row,
        followed=_followed(request),
        _parts=SimpleNamespace(now=lambda: NOW),
        _orders_at=float("-inf"),
        _table=SimpleNamespace(
            deployments=SimpleNamespace(get=lambda _: row),
            locks=SimpleNamespace(
                get=lambda _: lock_row(lock), is_to_give_way=table.locks.is_to_give_way
            ),
        ),
        _give_way=lambda _: said.append("gives way"),
        _cancel=lambda *_: said.append("cancels"),
    )
    Held._obey(there)
    return said[0] if said else ""


def _keeper_obeys(table: Table, lock: LockState, request: int) -> str:
    said: list[str] = []
    work: Any = SimpleNamespace(
        deployment_id=deployment_of(request),
        request=request_of(request),
        pipeline="shop",
        stop=SimpleNamespace(request=said.append),
    )
    keeper: Any = SimpleNamespace(_ends_stale_builds=(), _table=table)
    Keeper._obey(keeper, work, lock_row(lock))
    return said[0] if said else ""


def _recorded(request: int, status: str, tip: int, handled: int, rolled: int) -> tuple[int, int]:
    asked, before = request_of(request), _pipeline(handled, rolled)
    result = replace(result_of(), status=status)  # type: ignore[arg-type]
    seen = commit_of(tip) if asked.is_tip and tip else None
    changes = outcome.pipeline_changes(asked, result, before, seen)
    after = int(str(changes["handled_tip"]), 16) if "handled_tip" in changes else handled
    if "rolled_back_to" in changes:
        rolled = request if changes["rolled_back_to"] is not None else 0
    return after, rolled


def _found(
    lock: LockState, begun: Iterable[int], followed: int, wants: tuple[int, ...]
) -> tuple[Any, ...]:
    rows = [_row(request) for request in sorted(begun, reverse=True)]
    there = [_want(request) for request in wants]
    found = cancelling.to_cancel(replace(lock_row(lock), taken_at=NOW), rows, there, NOW)
    match found:
        case cancelling.UnderWay(deployment_id):
            is_followed = deployment_id == FOLLOWED
            return "mark", followed if is_followed else _request_in(deployment_id)
        case cancelling.LeftOver(left):
            return "left", *(_request_in(row.deployment_id) for row in left)
        case cancelling.Waits(waiting):
            return "end", *(int(want.request_id, 16) for want in waiting)
        case cancelling.Begins():
            return ("look",)
        case _:
            return ()


def _want(request: int) -> Want:
    return want_of(request_of(request), NOW, builder=not is_rollback(request))


def _request_in(deployment_id: str) -> int:
    return int(deployment_id.rpartition("-")[2], 16)
