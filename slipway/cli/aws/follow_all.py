"""Following all that is being deployed, until nothing is: a table with a line for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import click

from slipway.cli.aws.begun import LeftBehind, begun
from slipway.cli.aws.follow import (
    INTERVAL,
    NOTHING_YET,
    Find,
    WhyNotBegun,
    exit_code,
    tell_end,
    that_told,
)
from slipway.cli.aws.session import Session
from slipway.cli.show.output import Output
from slipway.cli.show.progress import LEARNT_FROM, usual
from slipway.cli.show.views import RunLines, Seen
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.wants import Want
from slipway.contracts.wording import duration, listed


def busy(session: Session) -> list[str]:
    """The pipelines that are being deployed, or asked for and not paused."""
    table, now = session.table, session.clock.now()
    locks = session.start(table.locks.all)
    names = {want.pipeline for want in _asked_for(session)}
    names |= {lock.pipeline for lock in locks.result() if lock.taken(now)}
    return [p.name for p in session.installation.pipelines if p.name in names]


def _asked_for(session: Session) -> list[Want]:
    """What waits for its deployment or has it, but for what is paused."""
    found = session.start(session.table.pipelines.all)
    wants = session.table.wants.all()
    paused = {name for name, row in found.result().items() if row.paused}
    names = {p.name for p in session.installation.pipelines} - paused
    return [want for want in wants if want.pipeline in names]


def follow_all(session: Session, out: Output, *, timeout: float) -> NoReturn:
    """Show all that is being deployed, and what comes meanwhile, until nothing is; tell each
    outcome, and exit with 1 if a commit does not run, else with 0.

    LeftBehind after `timeout` seconds without an end.
    """
    deadline = session.clock.now() + timeout
    watched: dict[str, _Watched] = {}
    ended: list[DeploymentRow] = []
    dealt_with: set[str] = set()

    def left() -> str:
        on = [name for name, one in watched.items() if one.row is not None]
        return f"{listed(on)} {'goes' if len(on) == 1 else 'go'} on" if on else ""

    with begun(left), _view(out) as view:
        while True:
            names, now = busy(session), session.clock.now()
            for name in names:
                watched.setdefault(name, _Watched(session, name))
            seen = [one.look(now) for one in watched.values()]
            view.show(seen, now)
            over = [one.row for one in seen if one.row and one.row.status is not None]
            ended += [_end_of(session, out, row) for row in over]
            dealt_with |= {row.request_id for row in over}
            gone = [name for name, one in watched.items() if one.is_gone(names)]
            for name in [*gone, *(row.pipeline for row in over)]:
                del watched[name]
            if not watched and not _more_waits(session, dealt_with):
                break
            if watched and now >= deadline:
                shown = listed(sorted(watched))
                raise LeftBehind(
                    f"{shown}: not over after {duration(timeout)}",
                    "`slipway watch` follows further, `slipway cancel` ends one",
                )
            session.clock.wait(INTERVAL)
    if out.is_terminal:
        for row in ended:
            tell_end(out, row)
    click.get_current_context().exit(max(map(exit_code, ended), default=0))


def _more_waits(session: Session, dealt_with: set[str]) -> bool:
    """Whether anything waits but the requests whose deployments are over."""
    return any(want.request_id not in dealt_with for want in _asked_for(session))


class _Watched:
    """A pipeline with work, and its deployment as it was seen last."""

    def __init__(self, session: Session, pipeline: str) -> None:
        self.pipeline = pipeline
        self.row: DeploymentRow | None = None
        self._known = usual(session.table.deployments.newest(pipeline, LEARNT_FROM))
        self._find = under_way_or_next(session, pipeline)
        self._why = WhyNotBegun(session, pipeline, NOTHING_YET["next"])

    def look(self, now: float) -> Seen:
        """What there is of it now; asks AWS."""
        self.row = self._find()
        why = "" if self.row else self._why.told(now)
        return Seen(self.pipeline, self.row, self._known, why)

    def is_gone(self, names: Sequence[str]) -> bool:
        """It waited, and nothing waits any more."""
        return self.row is None and self.pipeline not in names


def _end_of(session: Session, out: Output, ended: DeploymentRow) -> DeploymentRow:
    """The outcome, told at once; on a terminal the table shows it, and it is told below that."""
    row = that_told(session.table, ended)
    if not out.is_terminal:
        tell_end(out, row)
    return row


def _view(out: Output) -> Any:
    if out.is_terminal:
        from slipway.cli.show.live import RunTable

        return RunTable()
    return RunLines(out)


def under_way_or_next(session: Session, pipeline: str) -> Find:
    """Finds the deployment that is under way, or the next one to begin, and stays with it."""
    began = session.clock.now()
    chosen: list[str] = []

    def find() -> DeploymentRow | None:
        deployments = session.table.deployments
        if chosen:
            return deployments.get(chosen[0])
        newest = deployments.newest(pipeline, 1)
        if newest and (newest[0].status is None or newest[0].started_at >= began):
            chosen.append(newest[0].deployment_id)
            return newest[0]
        return None

    return find
