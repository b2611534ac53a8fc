"""The live view of a deployment on a terminal."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from slipway.cli.show.output import BUSY
from slipway.cli.show.progress import Usual, remaining
from slipway.cli.show.views import heading, stage_lines
from slipway.contracts.sentences import followed
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import duration

BAR_WIDTH = 40


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
            elapsed = now - row.started_at
            bar = Grid.grid(padding=(0, 1))
            bar.add_row(
                ProgressBar(
                    total=elapsed + left or 1,
                    completed=elapsed,
                    width=BAR_WIDTH,
                    complete_style=BUSY,
                    finished_style=BUSY,
                ),
                Text(f"usually {duration(left)} to go" if left else "longer than usual"),
            )
            parts.append(bar)
        return Group(*parts)
