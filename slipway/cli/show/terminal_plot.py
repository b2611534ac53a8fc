"""The history as bars in the terminal: one line a deployment, oldest first."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import click

from slipway.cli.show.moments import short_moment
from slipway.cli.show.output import STATUS_COLOURS, columns
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import duration, short

BAR = "█"
TEXT_WIDTH = 62
"""Cells that the columns around the bar take."""


def bars(rows: Sequence[DeploymentRow]) -> list[str]:
    """Start, pipeline, commit, a bar as long as it took in the outcome's colour, time, outcome."""
    done = [row for row in reversed(rows) if row.ended_at is not None]
    if not done:
        return ["no deployments"]
    room = max(10, shutil.get_terminal_size().columns - TEXT_WIDTH)
    longest = max(_seconds(row) for row in done) or 1.0
    return columns(
        [
            [
                short_moment(row.started_at),
                row.pipeline,
                short(row.commit.id) if row.commit else "",
                click.style(
                    BAR * max(1, round(_seconds(row) / longest * room)),
                    fg=STATUS_COLOURS.get(row.status or ""),
                ),
                duration(_seconds(row)),
                (row.status or "").replace("_", " "),
            ]
            for row in done
        ]
    )


def _seconds(row: DeploymentRow) -> float:
    return max(0.0, (row.ended_at or row.started_at) - row.started_at)
