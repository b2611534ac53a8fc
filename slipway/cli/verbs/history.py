"""`slipway history`: past deployments, how they ended and how long they took."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click

from slipway.cli.aws.past import past
from slipway.cli.aws.session import Session
from slipway.cli.options import named_pipelines, pipeline_argument, verb
from slipway.cli.show.moments import short_moment, since
from slipway.cli.show.output import STATUS_COLOURS, Output, outcome
from slipway.cli.user.files import write_file
from slipway.contracts.dora import lead_time, push_to_steady
from slipway.contracts.errors import WrongUse
from slipway.contracts.sentences import definition_changes, followed, service_lines
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import duration, person, short, tidy

FAILED = ("failed", "rolled_back", "gave_up")
EXPLAINED = (*FAILED, "superseded")
"""Outcomes whose cause is told below the list."""
DEFAULT_LIMIT = 20
PLOT_LIMIT = 200
CAUSE_SHOWN = 300
"""Characters of a cause; `slipway logs` shows all that led to it."""
FAILED_BACK = "30d"
"""How far `--failed` looks without `--since`: it reads the successes between the failures too."""


@click.command()
@pipeline_argument
@click.option("--since", "back", metavar="WHEN", help="90m, 24h, 7d, 2w, or a date (UTC).")
@click.option(
    "--failed", is_flag=True, help="Only those that failed (without --since: of 30 days)."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"How many at most. Default: {DEFAULT_LIMIT}; with --since all, with --plot {PLOT_LIMIT}.",
)
@click.option(
    "--plot",
    is_flag=True,
    help="Draw how long each took and how it ended; with --output lead times and outcomes a day.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where --plot writes a PNG. Default: it draws in the terminal.",
)
@verb
def command(
    session: Session,
    out: Output,
    *,
    pipeline: str | None,
    back: str | None,
    failed: bool,
    limit: int | None,
    plot: bool,
    output: Path | None,
) -> None:
    """Past deployments, newest first: how they ended, how long they took, and why they failed or
    were superseded; and what each changed in its task definition beside images.

    \b
    Examples:
      slipway history shop --limit 5
      slipway history --since 7d --failed
      slipway history shop --since 30d --plot --output lead-times.png
    """
    if output is not None and not plot:
        raise WrongUse("--output is where --plot writes its picture: give --plot too")
    names = named_pipelines(session, pipeline)
    wanted = back or (FAILED_BACK if failed else None)
    start = since(wanted, session.clock.now()) if wanted else None
    most = limit or (None if back else PLOT_LIMIT if plot else DEFAULT_LIMIT)
    whole = out.as_json and not plot
    found = select(session, names, start, failed=failed, most=most, whole=whole)
    rows = list(islice(found, most))
    if plot:
        _plot(rows, output, out, period=(start, session.clock.now()) if start else None)
        return
    now = session.clock.now()
    out.data([entry(row, now) for row in rows])
    if not out.as_json:
        _show(rows, out, alone=len(names) == 1)
        _show_followers(rows, out, now)
        _show_causes(session, rows, out)
        _show_definitions(session, rows, out)


def select(
    session: Session,
    names: list[str],
    start: float | None,
    *,
    failed: bool,
    most: int | None,
    whole: bool,
) -> Iterator[DeploymentRow]:
    """Deployments of the pipelines, newest first, reading no further than is asked for.

    `start`: not older than this (seconds since the epoch). `whole`: with their results.
    """
    streams = [
        past(
            session.table,
            name,
            start=start,
            most=most,
            statuses=FAILED if failed else (),
            whole=whole,
        )
        for name in names
    ]
    return heapq.merge(*streams, key=lambda row: row.started_at, reverse=True)


def entry(row: DeploymentRow, now: float) -> dict[str, Any]:
    """One deployment for programs; durations in seconds, None where they do not apply."""
    return {
        "deployment": row.deployment_id,
        "pipeline": row.pipeline,
        "status": row.status,
        "reason": row.reason,
        "stage": row.stage,
        "commit": row.commit.id if row.commit else None,
        "subject": row.commit.subject if row.commit else None,
        "author": row.commit.author if row.commit else None,
        "pushed_by": row.pushed_by,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "seconds": took(row),
        "push_to_steady": push_to_steady(row),
        "lead_time": lead_time(row),
        "followed_by": row.followed_by(now),
        "next_look": row.next_look,
        "stages": row.result.timings if row.result else {},
        "cause": row.result.cause if row.result else None,
        "services": services(row),
        "tests": row.result.tests if row.result else None,
        "definition_changes": list(row.result.definition_changes or ()) if row.result else [],
        "untouched_since": row.result.untouched_since if row.result else None,
    }


def services(row: DeploymentRow) -> list[dict[str, Any]] | None:
    """What each of several services runs since then; None where the pipeline had one."""
    if row.result is None or row.result.services is None:
        return None
    return [
        {
            "cluster": one.cluster,
            "service": one.service,
            "before": one.before,
            "after": one.after,
            "now": one.now,
            "runs": one.runs,
            **({"kind": one.kind} if one.kind is not None else {}),
        }
        for one in row.result.services
    ]


def took(row: DeploymentRow) -> float | None:
    """Seconds from begin to end; None while it is under way."""
    return row.ended_at - row.started_at if row.ended_at is not None else None


def _show(rows: list[DeploymentRow], out: Output, *, alone: bool) -> None:
    if not rows:
        out.say("no deployments")
        return
    headings = [
        "STARTED (UTC)",
        "PIPELINE",
        "OUTCOME",
        "TOOK",
        "PUSH TO STEADY",
        "COMMIT",
        "BY",
        "DEPLOYMENT",
    ]
    cells = [_cells(row) for row in rows]
    if alone:
        headings.remove("PIPELINE")
        cells = [[line[0], *line[2:]] for line in cells]
    out.table(headings, cells)


def _show_followers(rows: list[DeploymentRow], out: Output, now: float) -> None:
    """Who follows each rollout that is under way, below the list."""
    for row in rows:
        told = followed(row.followed_by(now), row.next_look, now)
        if told:
            out.say(f"{row.deployment_id}: {told}")


def _show_causes(session: Session, rows: list[DeploymentRow], out: Output) -> None:
    """Why each failure of the list failed, and what took a superseded one's place, below it: the
    list itself reads no results.
    """
    asked = [row.deployment_id for row in rows if row.status in EXPLAINED]
    whole = session.table.deployments.get_many(asked)
    for row in (whole[name] for name in asked if name in whole):
        cause = tidy((row.result and row.result.cause) or "", CAUSE_SHOWN)
        if row.result is None or (not cause and row.status not in FAILED):
            continue
        out.say()
        name = click.style(row.deployment_id, fg=STATUS_COLOURS.get(row.status or ""))
        out.say(f"{name}: {cause or 'no cause is recorded'}")
        for line in service_lines(row.result):
            out.say(f"  {line}")


def _show_definitions(session: Session, rows: list[DeploymentRow], out: Output) -> None:
    """What each deployment changed in its task definition beside images, below the list; read only
    where a pipeline changes more than those.
    """
    pipelines = session.installation.pipelines
    whole = {p.name for p in pipelines if p.changes_definition}
    asked = [row.deployment_id for row in rows if row.pipeline in whole and row.ended_at]
    found = session.table.deployments.get_many(asked) if asked else {}
    for name in asked:
        result = found[name].result if name in found else None
        changes = definition_changes(result) if result is not None else ()
        if changes:
            out.say()
            out.say(f"{name} changed in the task definition, beside images:")
            for line in changes:
                out.say(f"  {line}")


def _cells(row: DeploymentRow) -> list[str]:
    seconds, steady = took(row), push_to_steady(row)
    commit = f"{short(row.commit.id)} {tidy(row.commit.subject, 40)}" if row.commit else ""
    reason = "" if row.reason == "push" else f" ({row.reason})"
    where = f" in {row.stage}" if row.status == "failed" else ""
    if row.status == "unchanged" and row.stage == "fetch":
        where = " (other paths)"
    return [
        short_moment(row.started_at),
        row.pipeline,
        outcome(row.status, is_followed=row.is_followed) + where + reason,
        duration(seconds) if seconds is not None else row.stage,
        duration(steady) if steady is not None else "",
        commit,
        person(row.pushed_by),
        row.deployment_id,
    ]


def _plot(
    rows: list[DeploymentRow],
    output: Path | None,
    out: Output,
    *,
    period: tuple[float, float] | None,
) -> None:
    if output is None:
        from slipway.cli.show.terminal_plot import bars

        for line in bars(rows):
            out.say(line)
        return
    from slipway.cli.show.plots import history_png

    write_file(output, history_png(rows, period), option="--output")
    out.data({"output": str(output), "deployments": len(rows)})
    out.say(f"{output}: {len(rows)} deployments")
