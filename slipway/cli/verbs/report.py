"""`slipway report`: the four DORA figures, as a table, as JSON, and as one HTML page."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from slipway.cli.aws.past import past
from slipway.cli.aws.session import Session
from slipway.cli.options import named_pipelines, pipeline_argument, verb
from slipway.cli.show.moments import short_moment, since
from slipway.cli.show.output import Output
from slipway.cli.user.files import write_file
from slipway.contracts.codec import encode
from slipway.contracts.dora import LEAD_TIME, PUSH_TO_STEADY, Figures, Spread, figures
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import counted, duration

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

    Lead time is from the commit's time until it is steady; push to steady stands beside it.
    docs/cli.md says how each figure is made.

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
        text = html_page(session.installation.name, told, every, start, now)
        write_file(page, text, option="--html")
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
    """The report as one page: figures, plots and table within it, nothing fetched from anywhere."""
    from slipway.cli.show.plots import NARROW, durations_svg, outcomes_svg

    def plot(draw: Callable[..., str]) -> str:
        wide, narrow = draw(rows, (start, end)), draw(rows, (start, end), size=NARROW)
        return f"<figure><div class=wide>{wide}</div><div class=narrow>{narrow}</div></figure>"

    period = f"{short_moment(start)} to {short_moment(end)} (UTC)"
    headings = "".join(f"<th scope=col>{_text(h.capitalize())}</th>" for h in HEADINGS)
    body = "".join(
        "<tr>" + "".join(map(_cell, HEADINGS, line(name, found))) + "</tr>\n"
        for name, found in told.items()
    )
    whole = told.get(ALL) or next(iter(told.values()))
    cards = "".join(
        f"<div class=card><h2>{_text(title)}</h2><b>{_text(figure)}</b><p>{_text(more)}</p></div>"
        for title, figure, more in four(whole)
    )
    return f"""<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{_text(installation)}: deployments</title>
<style>{STYLE}</style>
<header><h1>{_text(installation)}: deployments</h1><p>{period}</p></header>
<main>
<section class=cards>{cards}</section>
{plot(durations_svg)}
{plot(outcomes_svg)}
<div class=table><table><thead><tr>{headings}</tr></thead>
<tbody>
{body}</tbody></table></div>
<p class=about>Lead time is commit time to steady. A change failed if it was rolled back, failed in its
rollout, or was taken back by an operator's rollback. Time to restore lasts until the next success.
Medians and 90th percentiles are durations that occurred.</p>
</main>
</html>
"""  # noqa: E501 - a policy is one attribute


STYLE = """
:root { color-scheme: light; --ink: #1d1c1d; --soft: #616061; --line: #e4e4e4 }
body { margin: 0; background: #f8f8fa; color: var(--ink); font: 15px/1.5 Lato, "Helvetica Neue",
  Helvetica, Arial, "DejaVu Sans", sans-serif }
header { background: #3f0e40; color: #fff; padding: 1.4rem max(1.25rem, calc(50% - 36rem)) }
h1 { font-size: 1.4rem; margin: 0 } header p { margin: 0; color: #d9c9da }
main { max-width: 72rem; margin: 0 auto; padding: 1.25rem }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem }
.card, figure, .table { background: #fff; border: 1px solid var(--line); border-radius: .6rem }
.card { padding: 1rem 1.2rem } .card b { font-size: 1.9rem; line-height: 1.3 }
.card h2 { margin: 0; font-size: .85rem; font-weight: 600; color: var(--soft) }
.card p { margin: 0; color: var(--soft); font-size: .85rem }
figure { margin: 1rem 0; padding: .6rem } svg { display: block; width: 100%; height: auto }
.table { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .87rem }
th, td { border-top: 1px solid var(--line); padding: .55rem .8rem; text-align: left }
thead th { border-top: 0; color: var(--soft); font-weight: 600; vertical-align: bottom }
.narrow { display: none }
@media (max-width: 40rem) {
  main { padding: .9rem } .wide { display: none } .narrow { display: block }
  thead { display: none } tr + tr { border-top: 1px solid var(--line) }
  tr { display: block; padding: .6rem .8rem }
  td { display: flex; gap: 1rem; border: 0; padding: .15rem 0 }
  td::before { content: attr(data-name); flex: 0 0 42%; color: var(--soft) }
  td:first-child { font-weight: 600 } td:first-child::before { content: none }
}
.about { color: var(--soft); font-size: .87rem }
@media print { body { background: #fff } .card, figure { break-inside: avoid } }
"""


def four(found: Figures) -> list[tuple[str, str, str]]:
    """The four figures: title, the figure in large, and what stands below it."""
    rate, lead, steady = found.change_failure_rate, found.lead_time, found.push_to_steady
    restore = found.time_to_restore
    waiting = f"{found.not_restored} not restored yet" if found.not_restored else ""
    return [
        (
            "Deployment frequency",
            f"{found.per_day:.2f} a day",
            f"{counted(found.deployments, 'success', 'successes')},"
            f" {counted(found.failed_builds, 'failed build')}",
        ),
        (
            f"{LEAD_TIME.capitalize()}, median",
            _median(lead),
            f"90% within {duration(lead.p90)}; {PUSH_TO_STEADY} {_median(steady)}"
            if lead.p90 is not None
            else "no pushed commit went live",
        ),
        (
            "Change failure rate",
            f"{rate:.1%}" if rate is not None else "none",
            f"{found.failed_changes} of {counted(found.changes, 'change')}",
        ),
        (
            "Time to restore, median",
            _median(restore),
            "; ".join(
                part
                for part in (
                    f"90% within {duration(restore.p90)}" if restore.p90 is not None else "",
                    waiting,
                )
                if part
            )
            or "nothing had to be restored",
        ),
    ]


def _median(spread: Spread) -> str:
    return duration(spread.p50) if spread.p50 is not None else "none"


def _cell(heading: str, text: str) -> str:
    """On a narrow window a row stands as a list, each cell with its heading before it."""
    return f'<td data-name="{_text(heading.capitalize())}">{_text(text)}</td>'


def _text(value: Any) -> str:
    return html.escape(str(value))
