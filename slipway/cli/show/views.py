"""A deployment under way in words: line by line, and what a live view (`live`) draws."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import click

from slipway.cli.show.output import BUSY, GOOD, Output
from slipway.cli.show.progress import Usual, progress, remaining
from slipway.contracts.sentences import asked_for, commit_line, followed
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.wording import duration


class LineView:
    """One line for each change: where the output is no terminal, and under `--json`.

    `among`: other pipelines' lines come between, so each line names its own.
    """

    def __init__(self, out: Output, pipeline: str, known: Usual, *, among: bool = False) -> None:
        self._out, self._pipeline, self._known = out, pipeline, known
        self._before = f"{pipeline}: " if among else "  "
        self._last: tuple[str, str, str | None] | None = None

    def __enter__(self) -> LineView:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, row: DeploymentRow | None, now: float, why: str = "") -> None:
        """Print what is new since the last look, if anything is. `why`: it has not begun."""
        by = row.followed_by(now) if row else None
        state = (row.deployment_id, row.stage, by) if row else ("", why, None)
        if state == self._last or (row is not None and row.status is not None):
            return
        begun = row is not None and (self._last is None or self._last[0] != row.deployment_id)
        self._last = state
        if row is None:
            self._out.event({"pipeline": self._pipeline, "waiting": True, "why": why})
            self._out.say(f"{self._pipeline}: {why}")
            return
        left = remaining(row, self._known, now)
        self._out.event(
            {
                "pipeline": self._pipeline,
                "deployment": row.deployment_id,
                "stage": row.stage,
                "elapsed": now - row.started_at,
                "remaining": left,
                **({"followed_by": by, "next_look": row.next_look} if by else {}),
            }
        )
        if begun:
            self._out.say(heading(row))
        told = followed(by, row.next_look, now)
        self._out.say(
            f"{self._before}{row.stage}{f' (usually {duration(left)} to go)' if left else ''}"
            f"{f', {told}' if told else ''}"
        )


@dataclass(frozen=True)
class Seen:
    """A pipeline among several: its deployment, or `why` that has not begun."""

    pipeline: str
    row: DeploymentRow | None
    known: Usual
    why: str = ""


class RunLines:
    """Several deployments, one line for each change."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._views: dict[str, LineView] = {}

    def __enter__(self) -> RunLines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, seen: Iterable[Seen], now: float) -> None:
        """Print what is new of each since the last look."""
        for one in seen:
            view = self._views.setdefault(
                one.pipeline, LineView(self._out, one.pipeline, one.known, among=True)
            )
            view.show(one.row, now, one.why)


def heading(row: DeploymentRow) -> str:
    """`shop-20261121102907-0123ab: 0123abcd Fix the basket (Ada), pushed by ada`."""
    commit = f"{commit_line(row.commit, 60)}, " if row.commit else ""
    who = asked_for(row.reason, row.pushed_by)
    return f"{row.deployment_id}: {commit}{who[:1].lower()}{who[1:]}"


def stage_lines(row: DeploymentRow, known: Usual, now: float) -> list[tuple[str, str, str]]:
    """Mark, stage and time of each stage, for a live view."""
    lines = []
    for stage in progress(row, known, now):
        usually = f"usually {duration(stage.usual)}" if stage.usual is not None else ""
        if stage.seconds is None:
            lines.append((" ", stage.stage, usually))
        elif stage.under_way:
            of = f" ({usually})" if usually else ""
            mark = click.style("▶", fg=BUSY)
            lines.append((mark, stage.stage, f"{duration(stage.seconds)}{of}"))
        else:
            lines.append((click.style("✓", fg=GOOD), stage.stage, duration(stage.seconds)))
    return lines
