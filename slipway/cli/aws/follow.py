"""Following a deployment to its end: what to look at, how it is shown, which exit code it gives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

from slipway.cli.aws.begun import LeftBehind, begun
from slipway.cli.aws.session import Session
from slipway.cli.aws.waiting import LOOK_EVERY, look, why_not_begun
from slipway.cli.show.output import STATUS_COLOURS, Output, outcome
from slipway.cli.show.progress import LEARNT_FROM, Usual, usual
from slipway.cli.show.views import LineView
from slipway.contracts.codec import encode
from slipway.contracts.sentences import how_long, log_lines, runs_now, service_lines, what_happened
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import capital, duration, tidy

if TYPE_CHECKING:
    from slipway.contracts.table import Table
    from slipway.contracts.table.requests import Settled

INTERVAL = 1.0
"""Seconds between two looks at the table."""
RECENT = 10
"""Newest deployments among which one that is about to begin is looked for."""

WENT_WELL = {"succeeded", "unchanged"}
Find = Callable[[], DeploymentRow | None]

Awaited = Literal["asked for", "pushed", "next", "cancelled"]
"""What is followed: what this command asked for, what was pushed, whatever comes next, or the end
of what this command cancelled.
"""
NOTHING_YET: dict[Awaited, str] = {
    "asked for": "",
    "pushed": "nothing is heard of the push yet",
    "next": "nothing is asked for: waiting for the next push",
    "cancelled": "",
}


def follow(
    session: Session,
    out: Output,
    pipeline: str,
    find: Find,
    *,
    timeout: float,
    awaited: Awaited = "asked for",
) -> NoReturn:
    """Show the deployment that `find` finds until it is over, and exit with its code."""
    row = follow_to_end(session, out, pipeline, find, timeout=timeout, awaited=awaited)
    click.get_current_context().exit(exit_code(row))


def exit_code(row: DeploymentRow) -> int:
    """0 if the commit runs, 1 if it does not."""
    return 0 if row.status in WENT_WELL else 1


def follow_to_end(
    session: Session,
    out: Output,
    pipeline: str,
    find: Find,
    *,
    timeout: float,
    awaited: Awaited = "asked for",
) -> DeploymentRow:
    """Show the deployment that `find` finds until it is over, tell its outcome, and return it.

    `find` is asked again each second; None means: not begun yet. LeftBehind after `timeout`
    seconds without an end.
    """
    past = session.table.deployments.newest(pipeline, LEARNT_FROM)
    deadline = session.clock.now() + timeout
    row: DeploymentRow | None = None
    told = watched_or_cancelled(pipeline)

    def left() -> str:
        if awaited == "cancelled":
            return ""  # the verb itself says what stands
        if row is None:
            return f"the push goes on: {told}" if awaited == "pushed" else ""
        return f"it goes on: {told}" if row.status is None else ""

    with begun(left), ExitStack() as stack:
        view = stack.enter_context(_view(out, pipeline, usual(past), session.clock.now()))
        why = WhyNotBegun(session, pipeline, NOTHING_YET[awaited])
        while True:
            row, now = find(), session.clock.now()
            view.show(row, now, "" if row else why.told(now))
            if row is not None and row.status is not None:
                break
            if now >= deadline:
                raise LeftBehind(
                    f"{pipeline}: it is not over after {duration(timeout)}",
                    f"`slipway watch {pipeline}` follows it further"
                    + ("" if awaited == "cancelled" else f", `slipway cancel {pipeline}` ends it"),
                )
            session.clock.wait(INTERVAL)
    ended = that_told(session.table, row)
    tell_end(out, ended)
    return ended


def watched_or_cancelled(pipeline: str) -> str:
    """What one can do about a deployment that goes on without the command that waited for it."""
    return f"`slipway watch {pipeline}` follows it, `slipway cancel {pipeline}` ends it"


class WhyNotBegun:
    """Why the deployment has not begun, looked at every few seconds."""

    def __init__(self, session: Session, pipeline: str, absent: str) -> None:
        self._session, self._pipeline, self._absent = session, pipeline, absent
        self._due, self._told = 0.0, ""

    def told(self, now: float) -> str:
        if now >= self._due:
            settings = self._session.installation
            sight = look(self._session, self._pipeline)
            self._told = why_not_begun(
                sight, settings.host_count, settings.limits, now, absent=self._absent
            )
            self._due = now + LOOK_EVERY
        return self._told


def that_told(table: Table, row: DeploymentRow) -> DeploymentRow:
    """The deployment that told of this one's push: its outcome is this one's."""
    told_by = row.result and row.result.told_by
    return (table.deployments.get(told_by) if told_by else None) or row


def deployment_of(table: Table, pipeline: str, request_id: str) -> DeploymentRow | None:
    """The deployment that deals with a request, or None while there is none.

    A request that was settled into another run (`joined`) is dealt with by the pipeline's next one.
    """
    settled = table.requests.settled([request_id]).get(request_id)
    if settled is not None and settled.outcome != "joined":
        row = table.deployments.get(settled.deployment_id) if settled.deployment_id else None
        return row or _without_deployment(settled)
    if settled is not None:
        newest = table.deployments.newest(pipeline, RECENT)
        later = [row for row in newest if row.started_at >= settled.settled_at]
        return later[-1] if later else None
    noted = table.requests.deployments_of([request_id])
    return table.deployments.get(noted[request_id]) if noted else None


def _without_deployment(settled: Settled) -> DeploymentRow:
    """A request that ended before it became a deployment: superseded, or given up on."""
    return DeploymentRow(
        deployment_id="",
        pipeline=settled.pipeline,
        request_id=settled.request_id,
        reason="push",
        started_at=settled.settled_at,
        ended_at=settled.settled_at,
        status=settled.outcome,
    )


def tell_end(out: Output, row: DeploymentRow) -> None:
    """The outcome: a sentence, why, what runs now, how long; under `--json` the whole result."""
    result = row.result
    if result is None:
        out.event({"deployment": row.deployment_id, "status": row.status})
        out.say(f"{row.pipeline}: {outcome(row.status)}")
        return
    out.event({"result": encode(result)})
    said = click.style(what_happened(result), fg=STATUS_COLOURS.get(result.status))
    out.say(f"{row.pipeline}: {said}")
    if result.cause:
        out.say(f"  {capital(tidy(result.cause, 1000))}")
    out.say(f"  {runs_now(result)}")
    for line in service_lines(result):
        out.say(f"    {line}")
    if result.warning:
        out.say(f"  Warning: {tidy(result.warning, 1000)}")
    if result.tests:
        out.say(f"  Tests: {tidy(result.tests, 1000)}")
    out.say(f"  {how_long(result)}")
    if row.status not in WENT_WELL:
        for line in log_lines(result, 10):
            out.say(click.style(f"  | {line}", dim=True))
        out.say(f"  The whole log: `slipway logs {row.deployment_id}`")


def _view(out: Output, pipeline: str, known: Usual, now: float) -> Any:
    if out.is_terminal:
        from slipway.cli.show.live import LiveView

        return LiveView(pipeline, known, now)
    return LineView(out, pipeline, known)
