"""What there is of a pipeline to cancel, and asking for its end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from slipway.cli.aws.begun import begun
from slipway.cli.aws.follow import RECENT
from slipway.cli.show.moments import stamp
from slipway.cli.user.ending import uninterrupted
from slipway.contracts.messages import Commit, FollowMessage
from slipway.contracts.sentences import cancelled_by
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.unbegun import ended_before
from slipway.following.record import tip_request_of

if TYPE_CHECKING:
    from slipway.cli.aws.session import Session
    from slipway.contracts.messages import BuildRequest
    from slipway.contracts.table.locks import LockRow
    from slipway.contracts.table.pipelines import PipelineRow
    from slipway.contracts.table.wants import Want

T = TypeVar("T")


@dataclass(frozen=True)
class UnderWay:
    """A deployment that an agent works on, or takes up again, or whose rollout is followed."""

    deployment_id: str


@dataclass(frozen=True)
class Waits:
    """Requests for which nothing has begun."""

    wants: tuple[Want, ...]


@dataclass(frozen=True)
class LeftOver:
    """Deployments that nobody is at work on or takes up again: a newer push has their want."""

    rows: tuple[DeploymentRow, ...]


@dataclass(frozen=True)
class Elsewhere:
    """Somebody deploys by hand, with `slipway deploy`; `holder` of the lock says who."""

    holder: str


@dataclass(frozen=True)
class Begins:
    """An agent has the lock just now, and its deployment is not there yet."""


Found = UnderWay | LeftOver | Waits | Elsewhere | Begins


def to_cancel(
    lock: LockRow, newest: Sequence[DeploymentRow], wants: Iterable[Want], now: float
) -> Found | None:
    """What of a pipeline can be cancelled: what is under way, else what waits; None: nothing is.

    What waits takes the place of what was left behind: that ends first, or nobody would end it.
    `newest`: its newest deployments, newest first; `wants`: its own.
    """
    waiting = tuple(wants)
    if lock.deployment:
        return UnderWay(lock.deployment)
    taken = lock.taken(now)
    open_rows = [row for row in newest if row.status is None]
    left_behind = tuple(filter(_is_left_behind, open_rows))
    if taken and lock.holder.startswith("cli:"):
        return Waits(waiting) if waiting and not left_behind else Elsewhere(lock.holder)
    comes_again = {want.request_id for want in waiting}
    begun = next((row for row in open_rows if taken or row.request_id in comes_again), None)
    if begun is not None:
        return UnderWay(begun.deployment_id)
    if left_behind:
        return LeftOver(left_behind)
    if waiting:
        return Waits(waiting)
    ended = newest[0].ended_at if newest else None
    return Begins() if taken and (ended is None or ended < lock.taken_at) else None


def _is_left_behind(row: DeploymentRow) -> bool:
    """Of a push, not handed over: a request of another kind has a want that no other one takes."""
    return row.rollout is None and tip_request_of(row) is not None


def look(session: Session, pipeline: str) -> Found | None:
    """The same, of what the table says now."""
    table = session.table
    wants = session.start(table.wants.all)
    newest = session.start(table.deployments.newest, pipeline, RECENT)
    lock = table.locks.get(pipeline)
    mine = [want for want in wants.result() if want.pipeline == pipeline]
    return to_cancel(lock, newest.result(), mine, session.clock.now())


def ask_to_end(session: Session, deployment_id: str, pipeline: str) -> bool:
    """Ask whoever has the deployment to end it; False: it is over.

    The row says so first, which is enough: each step looks at it. The lock's note interrupts an
    agent at work, the message calls the follower.
    """
    table, asked = session.table, False
    with begun(lambda: stands(pipeline) if asked else ""), uninterrupted():
        asked = table.following.ask_cancel(deployment_id, session.caller)
        if not asked:
            return False
        if not table.locks.get(pipeline).is_followed:
            table.locks.interrupt(pipeline, deployment_id, session.clock.now())
        if table.locks.get(pipeline).deployment == deployment_id:
            call_follower(session, deployment_id)
    return True


def stands(pipeline: str) -> str:
    """What is said of a cancel that was asked for, however the command ends."""
    return f"the cancel stands: `slipway watch {pipeline}` follows it"


def end_waiting(session: Session, wants: Iterable[Want]) -> list[DeploymentRow]:
    """End requests for which nothing has begun: those that were ended, as deployments.

    Others are left out: something has begun for them meanwhile, or they ended otherwise.
    """
    return _end_each(session, wants, _end)


def end_left_behind(session: Session, rows: Iterable[DeploymentRow]) -> list[DeploymentRow]:
    """The same for deployments that nobody takes up again: those that were ended.

    The push that would have taken their place may be cancelled next; nobody would end them then.
    """
    return _end_each(session, rows, _end_left_behind)


def _end_each(
    session: Session, what: Iterable[T], end: Callable[[Session, T], DeploymentRow | None]
) -> list[DeploymentRow]:
    ended: list[DeploymentRow] = []
    for one in what:
        with begun(lambda: recorded(ended)), uninterrupted():
            row = end(session, one)
            if row is not None:
                ended.append(row)
                call_follower(session, row.deployment_id)
    return ended


def _end_left_behind(session: Session, row: DeploymentRow) -> DeploymentRow | None:
    table, request = session.table, tip_request_of(row)
    if request is None:
        return None
    pipeline = table.pipelines.get(row.pipeline)
    over = cancelled(row, request, pipeline, session.caller, session.clock.now())
    is_settled = bool(table.requests.settled([row.request_id]))
    newer = request.pushed_at > (pipeline.handled_at or 0.0)
    changes = tip_dealt_with(replace(request, commit_id=row.commit.id)) if row.commit else {}
    ended = over.result is not None and table.unbegun.end_left_behind(
        over.result,
        changes=changes if newer else {},
        settled_kept=None if is_settled else session.installation.limits.settled_kept,
    )
    if ended:
        table.wants.clear([request])
    return over if ended else None


def recorded(ended: Sequence[DeploymentRow]) -> str:
    """Whoever is not called by us is called by the reconciler."""
    names = ", ".join(row.deployment_id for row in ended)
    return f"cancelled, and to be told within minutes: {names}" if ended else ""


def _end(session: Session, want: Want) -> DeploymentRow | None:
    limits, table = session.installation.limits, session.table
    pipeline = table.pipelines.get(want.pipeline)
    row = cancelled_row(want.request, pipeline, session.caller, session.clock.now())
    ended = table.unbegun.end(
        want,
        row,
        changes=tip_dealt_with(want.request),
        settled_kept=limits.settled_kept,
        deployments_kept=limits.deployments_kept,
    )
    return row if ended else None


def call_follower(session: Session, deployment_id: str) -> None:
    """'Look now': at a rollout, or at an outcome that is to be told."""
    session.client("sqs").send_message(
        QueueUrl=session.queue_url(session.installation.names.follow_queue),
        MessageBody=FollowMessage(deployment_id=deployment_id).to_json(),
    )


def tip_dealt_with(request: BuildRequest) -> dict[str, str | float | None]:
    """What the cancelling of a push changes in the pipeline's row: its commit stays unrun on
    purpose, so that the drift check need not ask for it.
    """
    if not request.is_tip or request.commit_id is None:
        return {}
    return {
        "handled_tip": request.commit_id,
        "handled_at": request.pushed_at,
        "ahead_tip": None,
        "ahead_since": None,
    }


def cancelled_row(
    request: BuildRequest, pipeline: PipelineRow, by: str, now: float
) -> DeploymentRow:
    """The deployment of a request that was cancelled before anything was begun for it."""
    named = request.target.commit_id or request.commit_id
    digest = hashlib.sha256(f"{request.request_id}\n{by}\n{now!r}".encode()).hexdigest()[:6]
    row = DeploymentRow(
        deployment_id=f"{request.pipeline}-{stamp(now)}-{digest}",
        pipeline=request.pipeline,
        request_id=request.request_id,
        reason=request.reason,
        pushed_by=request.pushed_by,
        pushed_at=request.pushed_at,
        started_at=now,
        stages={"received": now},
        commit=Commit(id=named) if named else None,
    )
    return cancelled(row, request, pipeline, by, now)


def cancelled(
    row: DeploymentRow, request: BuildRequest, pipeline: PipelineRow, by: str, now: float
) -> DeploymentRow:
    """`row`, which `request` asked for, with its end: before it touched the service."""
    result = replace(
        ended_before(row, "cancelled", cause=cancelled_by(by), now=now),
        reason=request.reason,
        failures_before=pipeline.failures,
        cancelled_by=by,
    )
    return replace(row, status="cancelled", ended_at=now, cancelled_by=by, result=result)
