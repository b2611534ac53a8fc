"""Pipeline rows: what a pipeline runs, what its branch's tip was seen to be, and its pause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.contracts.codec import decode
from slipway.contracts.table.store import Store

PARTITION = "PIPELINE"
NO_TIP = "none"
"""The baseline of a branch that was not there yet when it was first looked at."""


@dataclass(frozen=True, kw_only=True)
class PipelineRow:
    """`running_*`: the last deployment that succeeded (or found itself unchanged).

    `handled_tip`: the tip last seen through a request, whatever its outcome, at `handled_at`;
    `baseline_tip`: the first one that the drift check saw (or NO_TIP); `ahead_tip`/`ahead_since`:
    a tip that is neither, and since when. `failures`: deployments failed in a row.
    `rolled_back_to`: an operator's rollback stands. `untouched_tip`: the tip handled last, where
    nothing under the pipeline's paths differs between it and what runs. `mixed`: what each of
    several services runs, where these are versions of different deployments.
    """

    pipeline: str
    running_commit: str | None = None
    running_deployment: str | None = None
    running_digest: str | None = None
    running_task_definition: str | None = None
    running_since: float | None = None
    running_by: str | None = None
    handled_tip: str | None = None
    handled_at: float | None = None
    baseline_tip: str | None = None
    ahead_tip: str | None = None
    ahead_since: float | None = None
    checked_at: float | None = None
    failures: int = 0
    failing_since: float | None = None
    rolled_back_to: str | None = None
    rolled_back_at: float | None = None
    untouched_tip: str | None = None
    paused: bool = False
    paused_by: str | None = None
    mixed: str | None = None


class Pipelines:
    """Pipeline rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> dict[str, PipelineRow]:
        rows = [decode(PipelineRow, r, strict=False) for r in self._store.query(PARTITION)]
        return {row.pipeline: row for row in rows}

    def get(self, pipeline: str) -> PipelineRow:
        row = self._store.get(PARTITION, pipeline)
        return decode(PipelineRow, row, strict=False) if row else PipelineRow(pipeline=pipeline)

    def change(self, pipeline: str, **values: str | float | int | bool | None) -> None:
        """Set members of the row by name; None removes one. Others stay as they are."""
        allowed = PipelineRow.__dataclass_fields__
        for name in values:
            if name not in allowed or name == "pipeline":
                raise TypeError(f"a pipeline row has no member {name!r} to change")
        expression, parameters = change_expression(pipeline, values)
        self._store.update(PARTITION, pipeline, expression, parameters=parameters)


def change_expression(
    pipeline: str, values: Mapping[str, str | float | int | bool | None]
) -> tuple[str, dict[str, Any]]:
    """The update expression, and its parameters, that sets `values` (None removes)."""
    kept = {k: v for k, v in values.items() if v is not None}
    gone = [k for k, v in values.items() if v is None]
    sets = ["pipeline = :pipeline", *(f"{name} = :{name}" for name in kept)]
    expression = "SET " + ", ".join(sets)
    if gone:
        expression += " REMOVE " + ", ".join(gone)
    return expression, {":pipeline": pipeline, **{f":{k}": v for k, v in kept.items()}}
