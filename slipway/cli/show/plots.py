"""Pictures of the past by matplotlib: the history as PNG, the report's plots as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from slipway.contracts.dora import DAY, LEAD_TIME, PUSH_TO_STEADY, lead_time, push_to_steady
from slipway.contracts.errors import WrongUse
from slipway.contracts.table.deployments import DeploymentRow

COLOURS = {
    "succeeded": "#2eb67d",
    "unchanged": "#a8dfc8",
    "superseded": "#c4c4c8",
    "failed": "#e01e5a",
    "rolled_back": "#ecb22e",
    "gave_up": "#611f69",
    "cancelled": "#8d8d93",
}
LEAST_DAYS = 7
"""Days that the outcomes' axis shows at least, so that one day is a bar and not a wall."""
Size = tuple[float, float]
WIDE: Size = (10.0, 3.0)
NARROW: Size = (4.5, 3.4)
"""Inches of one plot. On a phone a wide one shrinks until nobody can read its words."""
INK, SOFT, LINE = "#1d1c1d", "#616061", "#e4e4e4"
STYLE: dict[Any, Any] = {
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 14,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.08,
}


Period = tuple[float, float] | None
"""What the time axis covers, in seconds since the epoch; None: from the first to the last."""


def history_png(rows: Sequence[DeploymentRow], period: Period = None) -> bytes:
    """Lead times above, outcomes a day below."""
    picture = io.BytesIO()
    _draw(rows, (_durations, _outcomes), period).savefig(picture, format="png", dpi=130)
    return picture.getvalue()


def durations_svg(
    rows: Sequence[DeploymentRow], period: Period = None, *, size: Size = WIDE
) -> str:
    """Lead time and push to steady of each success, over time, as an `<svg>` element."""
    return _svg(_draw(rows, (_durations,), period, size=size))


def outcomes_svg(rows: Sequence[DeploymentRow], period: Period = None, *, size: Size = WIDE) -> str:
    """Deployments a day by outcome, as an `<svg>` element."""
    return _svg(_draw(rows, (_outcomes,), period, size=size))


def _draw(
    rows: Sequence[DeploymentRow], plots: Sequence[Any], period: Period, *, size: Size = WIDE
) -> Any:
    """A figure with the plots below each other."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise WrongUse(
            "plots need matplotlib, which is not installed: `python -m pip install matplotlib`"
        ) from None
    width, height = size
    # the same rows give the same file; the ids of two sizes in one page differ
    mpl.rcParams.update({**STYLE, "svg.hashsalt": f"slipway {width:g}"})
    figure = Figure(figsize=(width, height * len(plots)), layout="constrained")
    for axes, plot in zip(figure.subplots(len(plots), 1, squeeze=False)[:, 0], plots, strict=True):
        plot(axes, rows, period)
    return figure


def _durations(axes: Any, rows: Sequence[DeploymentRow], period: Period) -> None:
    between = " " if _is_wide(axes) else "\n"
    axes.set_title(f"{LEAD_TIME.capitalize()} and {PUSH_TO_STEADY}{between}of each success")
    series = (
        (LEAD_TIME, lead_time, "o", "#1264a3"),
        (PUSH_TO_STEADY, push_to_steady, "D", "#00a38d"),
    )
    lengths: list[float] = []
    for name, measure, marker, colour in series:
        points = [(_when(row), length) for row in rows if (length := measure(row)) is not None]
        if points:
            times, seconds = zip(*points, strict=True)
            lengths += seconds
            axes.scatter(
                times,
                seconds,
                s=34,
                marker=marker,
                color=colour,
                alpha=0.8,
                linewidths=0,
                label=name,
            )
    if not lengths:
        _nothing(axes, "no successes")
        return
    if max(lengths) > 20 * max(min(lengths), 1e-3):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.set_ylim(bottom=0)
    if period is not None:
        axes.set_xlim(*map(_date, period))
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))
    _finish(axes)


def _outcomes(axes: Any, rows: Sequence[DeploymentRow], period: Period) -> None:
    axes.set_title("Deployments a day, by outcome")
    ended = [row for row in rows if row.ended_at is not None]
    if not ended:
        _nothing(axes, "no deployments")
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
            [_date(day) for day in days],
            heights,
            bottom=bottom,
            width=0.7,
            color=COLOURS[status],
            label=status.replace("_", " "),
        )
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    start, end = period or (days[0], days[-1])
    last = end // DAY * DAY
    first = min(start // DAY * DAY, last - (LEAST_DAYS - 1) * DAY)
    axes.set_xlim(_date(first - DAY / 2), _date(last + DAY / 2))
    axes.yaxis.get_major_locator().set_params(integer=True)
    _finish(axes)


def _finish(axes: Any) -> None:
    """Dates said once, lines across, and the legend above the plot, where it hides nothing."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    most = 9 if _is_wide(axes) else 5
    locator = AutoDateLocator(minticks=3, maxticks=most)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    formatter.formats[-1] = formatter.zero_formats[-1] = "%H:%M:%S"
    formatter.offset_formats[-1] = "%Y-%b-%d"
    axes.xaxis.set_major_formatter(formatter)
    axes.grid(visible=True, axis="y")
    if _is_wide(axes):
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": len(COLOURS)}
    else:  # beside the title there is no room
        place = {"loc": "upper left", "bbox_to_anchor": (0.0, -0.16), "ncols": len(COLOURS) // 2}
    axes.legend(**place, handletextpad=0.4, columnspacing=1.2)


def _is_wide(axes: Any) -> bool:
    return bool(axes.figure.get_figwidth() >= WIDE[0])


def _nothing(axes: Any, words: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=SOFT, transform=axes.transAxes)


def _when(row: DeploymentRow) -> datetime:
    return _date(row.ended_at or 0.0)


def _date(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


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
