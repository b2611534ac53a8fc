"""Pictures of the past by matplotlib: the history as PNG, the report's plots as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from contracts.dora import DAY, LEAD_TIME, PUSH_TO_STEADY, lead_time, push_to_steady
from contracts.errors import WrongUse
from contracts.table.deployments import DeploymentRow

COLOURS = {
    "succeeded": "#2e7d32",
    "unchanged": "#a5d6a7",
    "superseded": "#9e9e9e",
    "failed": "#c62828",
    "rolled_back": "#ef6c00",
    "gave_up": "#6a1b9a",
}
FEW_DAYS = 14
"""Days up to which each is named on the axis."""
WIDTH, HEIGHT = 9.0, 3.2
"""Inches of one plot."""


def history_png(rows: Sequence[DeploymentRow]) -> bytes:
    """Lead times above, outcomes a day below."""
    figure, axes = _figure(2)
    _durations(axes[0], rows)
    _outcomes(axes[1], rows)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()


def durations_svg(rows: Sequence[DeploymentRow]) -> str:
    """Lead time and push to steady of each success, over time, as an `<svg>` element."""
    figure, axes = _figure(1)
    _durations(axes[0], rows)
    return _svg(figure)


def outcomes_svg(rows: Sequence[DeploymentRow]) -> str:
    """Deployments a day by outcome, as an `<svg>` element."""
    figure, axes = _figure(1)
    _outcomes(axes[0], rows)
    return _svg(figure)


def _figure(plots: int) -> tuple[Any, Sequence[Any]]:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise WrongUse(
            "plots need matplotlib, which is not installed:"
            " `python -m pip install -r requirements.txt` brings it"
        ) from None
    mpl.rcParams["svg.hashsalt"] = "slipway"  # the same rows give the same file
    figure = Figure(figsize=(WIDTH, HEIGHT * plots), layout="constrained")
    return figure, list(figure.subplots(plots, 1, squeeze=False)[:, 0])


def _durations(axes: Any, rows: Sequence[DeploymentRow]) -> None:
    series = (
        (LEAD_TIME, lead_time, "o", "#1565c0"),
        (PUSH_TO_STEADY, push_to_steady, "s", "#00897b"),
    )
    for name, measure, marker, colour in series:
        points = [(_when(row), length) for row in rows if (length := measure(row)) is not None]
        if points:
            times, seconds = zip(*points, strict=True)
            axes.scatter(times, seconds, s=14, marker=marker, color=colour, label=name)
    axes.set_title(f"{LEAD_TIME.capitalize()} and {PUSH_TO_STEADY} of each success")
    lengths = [s for _, measure, *_ in series for row in rows if (s := measure(row)) is not None]
    if not lengths:
        axes.text(0.5, 0.5, "no successes", ha="center", va="center", transform=axes.transAxes)
        return
    if max(lengths) > 20 * max(min(lengths), 1e-3):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="best")
    axes.tick_params(axis="x", rotation=20)


def _outcomes(axes: Any, rows: Sequence[DeploymentRow]) -> None:
    ended = [row for row in rows if row.ended_at is not None]
    axes.set_title("Deployments a day, by outcome")
    if not ended:
        axes.text(0.5, 0.5, "no deployments", ha="center", va="center", transform=axes.transAxes)
        return
    by_day: dict[str, dict[float, int]] = {}
    for row in ended:
        day = (row.ended_at or 0.0) // DAY * DAY
        counts = by_day.setdefault(row.status or "", {})
        counts[day] = counts.get(day, 0) + 1
    days = sorted({day for counts in by_day.values() for day in counts})
    bottom = [0] * len(days)
    for status in [s for s in COLOURS if s in by_day]:
        heights = [by_day[status].get(day, 0) for day in days]
        axes.bar(
            [datetime.fromtimestamp(day, UTC) for day in days],
            heights,
            bottom=bottom,
            width=0.8,
            color=COLOURS[status],
            label=status.replace("_", " "),
        )
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    axes.yaxis.get_major_locator().set_params(integer=True)
    if len(days) <= FEW_DAYS:
        moments = [datetime.fromtimestamp(day, UTC) for day in days]
        axes.set_xticks(moments, [moment.strftime("%Y-%m-%d") for moment in moments])
    axes.legend(loc="best")
    axes.tick_params(axis="x", rotation=20)


def _when(row: DeploymentRow) -> datetime:
    return datetime.fromtimestamp(row.ended_at or 0.0, UTC)


def _short(seconds: float) -> str:
    for length, unit in ((DAY, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def _svg(figure: Any) -> str:
    picture = io.StringIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    text = picture.getvalue()
    return text[text.index("<svg") :]
