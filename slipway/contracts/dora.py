"""The four DORA figures from deployment rows: one computation for the report and the metrics.

Pure, standard library only. All times are seconds since the epoch (UTC), all durations seconds.
The figures are those of https://dora.dev/guides/dora-metrics-four-keys/ as far as deployments tell:

* *deployment frequency*: successful deployments a day;
* *lead time*: commit time to steady; *push to steady* beside it, from the push. Only what a push
  (or the drift check in its place) made run: a rollback or a redeploy is no new change;
* *change failure rate*: of the changes that reached production, those that failed there: rolled
  back, failed in the rollout, or taken back later by an operator's rollback. A build that fails
  never reached production; such are counted apart;
* *time to restore*: from the failure in production (for what an operator took back: from its going
  live) until the pipeline's next deployment succeeded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slipway.contracts.messages import DeploymentResult
from slipway.contracts.sentences import BEFORE_ROLLOUT
from slipway.contracts.table.deployments import DeploymentRow

DAY = 86400.0
LEAD_TIME = "lead time"
PUSH_TO_STEADY = "push to steady"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median and 90th percentile of some durations, None where there are none."""

    count: int
    p50: float | None
    p90: float | None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of one pipeline, or of all, from `since` until `until`.

    `change_failure_rate` is between 0 and 1, None without a change. `failed_builds`: commits that
    never reached production.
    """

    since: float
    until: float
    deployments: int
    per_day: float
    lead_time: Spread
    push_to_steady: Spread
    changes: int
    failed_changes: int
    change_failure_rate: float | None
    time_to_restore: Spread
    failed_builds: int
    not_restored: int


def figures(rows: Iterable[DeploymentRow], since: float, until: float) -> Figures:
    """The figures of the deployments that ended between `since` and `until`.

    `rows` may hold older and newer ones, of several pipelines, in any order. What happens after
    `until` still tells whether a change was taken back, and when it was restored.
    """
    done = sorted((r for r in rows if r.ended_at is not None), key=_end)
    inside = [row for row in done if since <= _end(row) < until]
    succeeded = [row for row in inside if row.status == "succeeded"]
    all_bad = failures(done)
    bad = [failure for failure in all_bad if since <= failure.at < until]
    failed = {deployment for failure in all_bad for deployment in failure.deployments}
    changes = [row for row in inside if reached_production(row)]
    failed_changes = sum(1 for row in changes if row.deployment_id in failed)
    restored = [f.restored_at - f.at for f in bad if f.restored_at is not None]
    return Figures(
        since=since,
        until=until,
        deployments=len(succeeded),
        per_day=len(succeeded) / ((until - since) / DAY) if until > since else 0.0,
        lead_time=spread(d for row in succeeded if (d := lead_time(row)) is not None),
        push_to_steady=spread(d for row in succeeded if (d := push_to_steady(row)) is not None),
        changes=len(changes),
        failed_changes=failed_changes,
        change_failure_rate=failed_changes / len(changes) if changes else None,
        time_to_restore=spread(restored),
        failed_builds=sum(1 for row in inside if is_failed_build(row)),
        not_restored=len(bad) - len(restored),
    )


def lead_time(row: DeploymentRow | DeploymentResult) -> float | None:
    """Commit time to steady; None for what is no push's own success."""
    committed = row.commit.committed_at if row.commit else None
    return _since(row, committed)


def push_to_steady(row: DeploymentRow | DeploymentResult) -> float | None:
    """From the push until it ran; None for what is no push's own success."""
    return _since(row, row.pushed_at)


def _since(row: DeploymentRow | DeploymentResult, begin: float | None) -> float | None:
    if row.status != "succeeded" or row.reason not in ("push", "drift"):
        return None
    return max(0.0, _end(row) - begin) if begin is not None else None


def time_to_restore(result: DeploymentResult, recent: Iterable[DeploymentRow]) -> float | None:
    """How long production had failed when this deployment restored it; None if it did not.

    `recent`: the pipeline's deployments before it, in any order; the oldest bounds what is seen.
    """
    row = DeploymentRow(
        deployment_id=result.deployment_id,
        pipeline=result.pipeline,
        request_id=result.request_id,
        reason=result.reason,
        stage=result.stage,
        status=result.status,
        ended_at=result.ended_at,
    )
    before = [
        r
        for r in recent
        if r.ended_at is not None
        and r.ended_at <= result.ended_at
        and r.deployment_id != result.deployment_id
    ]
    restored = [f for f in failures([*before, row]) if f.restored_at == result.ended_at]
    return result.ended_at - restored[-1].at if restored else None


def reached_production(row: DeploymentRow) -> bool:
    """A change of what runs was made, or tried, in production. Rollbacks are no changes."""
    if row.reason == "rollback":
        return False
    return row.status in ("succeeded", "rolled_back") or _failed_in_rollout(row)


def is_failed_build(row: DeploymentRow) -> bool:
    """It ended before anything in production was touched."""
    failed = row.status in ("failed", "gave_up")
    return failed and row.reason != "rollback" and not _failed_in_rollout(row)


def _failed_in_rollout(row: DeploymentRow) -> bool:
    return row.status == "failed" and row.stage not in BEFORE_ROLLOUT


@dataclass(frozen=True)
class Failure:
    """A time in which a pipeline's production was not as it should be.

    `at`: its beginning; `restored_at`: the end of the pipeline's next success, None if there is
    none yet; `deployments`: the ids of those that failed.
    """

    pipeline: str
    at: float
    restored_at: float | None
    deployments: tuple[str, ...]


def failures(ended: Sequence[DeploymentRow]) -> list[Failure]:
    """The failures in production of rows that have ended, by the time of their beginning.

    Failed changes in a row are one failure: it lasts until the next success.
    """
    by_pipeline: dict[str, list[DeploymentRow]] = {}
    for row in sorted(ended, key=_end):
        by_pipeline.setdefault(row.pipeline, []).append(row)
    found = [f for rows in by_pipeline.values() for f in _failures_of(rows)]
    return sorted(found, key=lambda failure: failure.at)


def _failures_of(rows: Sequence[DeploymentRow]) -> list[Failure]:
    """`rows` of one pipeline, in order of their end."""
    found: list[Failure] = []
    bad: list[DeploymentRow] = []
    live: DeploymentRow | None = None
    for row in rows:
        if row.status == "rolled_back" or _failed_in_rollout(row):
            bad.append(row)
        elif row.status == "succeeded":
            if row.reason == "rollback" and live is not None and live not in bad:
                bad.insert(0, live)
            if bad:
                found.append(_failure(bad, _end(row)))
            bad, live = [], None if row.reason == "rollback" else row
    if bad:
        found.append(_failure(bad, None))
    return found


def _failure(bad: Sequence[DeploymentRow], restored_at: float | None) -> Failure:
    ids = tuple(row.deployment_id for row in bad)
    return Failure(bad[0].pipeline, min(map(_end, bad)), restored_at, ids)


def spread(values: Iterable[float]) -> Spread:
    """Median and 90th percentile by the nearest-rank rule: each is a duration that occurred."""
    ordered = sorted(values)
    return Spread(count=len(ordered), p50=_rank(ordered, 0.5), p90=_rank(ordered, 0.9))


def _rank(ordered: Sequence[float], share: float) -> float | None:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _end(row: DeploymentRow | DeploymentResult) -> float:
    return row.ended_at or 0.0
