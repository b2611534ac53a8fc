"""The builds of CodeBuild that work for pipelines: what is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from slipway.contracts.table.builders import BuilderRow
    from slipway.contracts.table.hosts import HostRow


@dataclass(frozen=True, kw_only=True)
class BuilderStatus:
    """A build of CodeBuild that works for a pipeline, or is about to. `asked_at`: seconds since the
    epoch; `stage` of what it works on, if it does.
    """

    pipeline: str
    build: str | None
    asked_at: float
    stage: str | None


def builder_statuses(
    rows: Mapping[str, BuilderRow], hosts: Iterable[HostRow]
) -> tuple[BuilderStatus, ...]:
    """Those at work or about to be, of the builders' rows by pipeline and all host rows."""
    stages = {(host.host_id, host.boot): run.stage for host in hosts for run in host.runs}
    return tuple(
        BuilderStatus(
            pipeline=name,
            build=row.build_id,
            asked_at=row.asked_at,
            stage=stages.get((row.host_id, str(row.generation))),
        )
        for name, row in sorted(rows.items())
        if row.is_live
    )
