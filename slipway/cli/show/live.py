"""The live view of a deployment, or of several, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from slipway.cli.show.output import BUSY, outcome
from slipway.cli.show.progress import Usual, remaining
from slipway.cli.show.views import Seen, heading, stage_lines
from slipway.contracts.sentences import followed
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import duration, short

BAR_WIDTH, SHORT_BAR = 40, 16


class LiveView:
    """Redraws stages and a bar at each look; leaves the last picture standing."""

    def __init__(self, pipeline: str, known: Usual, now: float) -> None:
        self._pipeline, self._known, self._asked_at = pipeline, known, now
        self._live = Live(console=Console(highlight=False), auto_refresh=False)

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, row: DeploymentRow | None, now: float, why: str = "") -> None:
        """Draw the deployment as it is now, or `why` it has not begun."""
        if row is None:
            waited = duration(now - self._asked_at)
            picture: RenderableType = Text(f"{self._pipeline}: {why}, {waited}")
        else:
            picture = self._picture(row, now)
        self._live.update(picture, refresh=True)

    def _picture(self, row: DeploymentRow, now: float) -> RenderableType:
        grid = Grid.grid(padding=(0, 1))
        for cells in stage_lines(row, self._known, now):
            grid.add_row(*(Text.from_ansi(cell) for cell in cells))
        parts: list[RenderableType] = [Text(heading(row), no_wrap=True, overflow="ellipsis"), grid]
        told = followed(row.followed_by(now), row.next_look, now)
        if told:
            parts.append(Text(f"  {told}"))
        left = remaining(row, self._known, now)
        if row.status is None and left is not None:
            bar = Grid.grid(padding=(0, 1))
            bar.add_row(*_bar(now - row.started_at, left, BAR_WIDTH))
            parts.append(bar)
        return Group(*parts)


class RunTable:
    """Several deployments, redrawn at each look: a line for each, with its progress.

    One that is over keeps its line, until the pipeline's next one takes it.
    """

    def __init__(self) -> None:
        self._lines: dict[str, Seen] = {}
        self._live = Live(console=Console(highlight=False), auto_refresh=False)

    def __enter__(self) -> RunTable:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, seen: Iterable[Seen], now: float) -> None:
        """Draw what is there now."""
        for one in seen:
            before = self._lines.get(one.pipeline)
            is_over = before is not None and before.row is not None and before.row.status
            if one.row is not None or not is_over:
                self._lines[one.pipeline] = one
        self._live.update(run_table(self._lines.values(), now), refresh=True)


def run_table(lines: Iterable[Seen], now: float) -> RenderableType:
    """A line for each pipeline: commit, stage or outcome, time, and how far it is; below the table
    what those that have not begun wait for.
    """
    lines = list(lines)
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name in ("PIPELINE", "COMMIT", "NOW", "TIME", "PROGRESS", ""):
        grid.add_column(name, no_wrap=True, overflow="ellipsis")
    for one in lines:
        grid.add_row(one.pipeline, *_cells(one, now))
    waiting = [Text(f"{one.pipeline}: {one.why}") for one in lines if one.row is None]
    return Group(grid, *waiting)


def _cells(one: Seen, now: float) -> list[RenderableType]:
    """Commit, stage or outcome, time, a bar, and what is left."""
    row = one.row
    if row is None:
        return ["", Text("waits", style=BUSY)]
    commit = short(row.commit.id) if row.commit else ""
    if row.status is not None:
        took = duration((row.ended_at or now) - row.started_at)
        return [commit, Text.from_ansi(outcome(row.status)), took]
    stage = "rolling out" if row.followed_by(now) else row.stage
    elapsed, left = now - row.started_at, remaining(row, one.known, now)
    bar = _bar(elapsed, left, SHORT_BAR) if left is not None else []
    return [commit, Text(stage, style=BUSY), duration(elapsed), *bar]


def _bar(elapsed: float, left: float, width: int) -> list[RenderableType]:
    """How far it is, and how long it usually takes from here."""
    bar = ProgressBar(
        total=elapsed + left or 1,
        completed=elapsed,
        width=width,
        complete_style=BUSY,
        finished_style=BUSY,
    )
    return [bar, Text(f"usually {duration(left)} to go" if left else "longer than usual")]
