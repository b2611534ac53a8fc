"""`slipway report`: the four DORA figures, as a table, as JSON, and as one HTML page."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import click

from cli.moments import short_moment, since
from cli.options import named_pipelines, pipeline_argument, verb
from cli.output import Output
from cli.past import past
from cli.session import Session
from contracts.codec import encode
from contracts.dora import LEAD_TIME, PUSH_TO_STEADY, Figures, Spread, figures
from contracts.table.deployments import DeploymentRow
from contracts.wording import counted, duration

DEFAULT_SINCE = "30d"
ALL = "all pipelines"
LOOK_BACK = 7 * 86400.0
"""Seconds before the beginning that are read too: a change that failed then may be restored now."""


@click.command()
@pipeline_argument
@click.option(
    "--since", "back", metavar="WHEN", default=DEFAULT_SINCE, show_default=True,
    help="90m, 24h, 7d, 2w, or a date (UTC).",
)  # fmt: skip
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path),
    help="Also write one page with plots; it needs no network.",
)  # fmt: skip
@verb
def command(
    session: Session, out: Output, *, pipeline: str | None, back: str, page: Path | None
) -> None:
    """Deployment frequency, lead time, change failure rate and time to restore.

    Lead time is commit time to steady; push to steady stands beside it. How each figure is
    computed is said in docs/cli.md.

    \b
    Examples:
      slipway report
      slipway report shop --since 90d --html report.html
    """
    names = named_pipelines(session, pipeline)
    now = session.clock.now()
    start = since(back, now)
    rows = {name: list(past(session.table, name, start=start - LOOK_BACK)) for name in names}
    told = {name: figures(found, start, now) for name, found in rows.items()}
    if len(names) > 1:
        told[ALL] = figures([row for found in rows.values() for row in found], start, now)
    out.data({name: encode(found) for name, found in told.items()})
    out.say(f"{short_moment(start)} to {short_moment(now)} (UTC)")
    out.say()
    out.table(HEADINGS, [line(name, found) for name, found in told.items()])
    if page is not None:
        every = [r for found in rows.values() for r in found if (r.ended_at or 0.0) >= start]
        page.write_text(
            html_page(session.installation.name, told, every, start, now), encoding="utf-8"
        )
        out.say()
        out.say(f"{page}: written")


HEADINGS = (
    "PIPELINE",
    "DEPLOYED",
    "A DAY",
    f"{LEAD_TIME.upper()} (MEDIAN, 90%)",
    f"{PUSH_TO_STEADY.upper()} (MEDIAN, 90%)",
    "CHANGE FAILURE RATE",
    "TIME TO RESTORE (MEDIAN, 90%)",
    "FAILED BUILDS",
)


def line(name: str, found: Figures) -> list[str]:
    """One pipeline's figures as words, in the order of the headings."""
    rate = found.change_failure_rate
    failed = f"{found.failed_changes} of {counted(found.changes, 'change')}"
    waiting = f", {found.not_restored} not restored" if found.not_restored else ""
    return [
        name,
        str(found.deployments),
        f"{found.per_day:.2f}",
        _spread(found.lead_time),
        _spread(found.push_to_steady),
        f"{rate:.1%} ({failed})" if rate is not None else "no changes",
        _spread(found.time_to_restore) + waiting,
        str(found.failed_builds),
    ]


def _spread(spread: Spread) -> str:
    if spread.p50 is None or spread.p90 is None:
        return "none"
    return f"{duration(spread.p50)}, {duration(spread.p90)}"


def html_page(
    installation: str,
    told: dict[str, Figures],
    rows: list[DeploymentRow],
    start: float,
    end: float,
) -> str:
    """The report as one page: table and plots within it, nothing fetched from anywhere."""
    from cli.plots import durations_svg, outcomes_svg

    period = f"{short_moment(start)} to {short_moment(end)} (UTC)"
    headings = "".join(f"<th scope=col>{_text(h.capitalize())}</th>" for h in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in line(name, found)) + "</tr>\n"
        for name, found in told.items()
    )
    return f"""<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{_text(installation)}: deployments</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
th, td {{ border-bottom: 1px solid #ddd; padding: .4rem .8rem; text-align: left }}
svg {{ max-width: 100%; height: auto; margin-top: 2rem }}
</style>
<h1>{_text(installation)}: deployments</h1>
<p>{period}</p>
<table><thead><tr>{headings}</tr></thead>
<tbody>
{body}</tbody></table>
{durations_svg(rows)}
{outcomes_svg(rows)}
<p>Lead time is commit time to steady. A change failed if it was rolled back, failed in its rollout,
or was taken back by an operator's rollback. Time to restore lasts until the next success.</p>
</html>
"""  # noqa: E501 - a policy is one attribute


def _text(value: Any) -> str:
    return html.escape(str(value))
