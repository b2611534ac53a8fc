"""The DORA figures of small pasts whose answers can be counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.contracts.dora import DAY, Spread, figures, spread
from slipway.contracts.messages import Commit
from slipway.contracts.table.deployments import DeploymentRow

START = 1_795_000_000.0
END = START + 10 * DAY


def row(
    number: int, status: str, ended: float, *, pipeline: str = "shop", **changes: Any
) -> DeploymentRow:
    """A deployment that ended `ended` seconds after the start of the period."""
    at = START + ended
    values: dict[str, Any] = {
        "deployment_id": f"{pipeline}-20261118000000-{number:06x}",
        "pipeline": pipeline,
        "request_id": f"{number:032x}",
        "reason": "push",
        "pushed_at": at - 200,
        "started_at": at - 100,
        "ended_at": at,
        "stage": "close" if status in ("succeeded", "unchanged") else "wait",
        "status": status,
        "commit": Commit(id=f"{number:040x}", committed_at=at - 1000),
    }
    return DeploymentRow(**{**values, **changes})


def of(*rows: DeploymentRow) -> Any:
    return figures(rows, START, END)


def test_an_empty_past_has_no_rates_and_no_durations() -> None:
    found = of()

    assert (found.deployments, found.per_day, found.change_failure_rate) == (0, 0.0, None)
    assert found.lead_time == Spread(count=0, p50=None, p90=None)


def test_frequency_counts_successes_a_day_within_the_period() -> None:
    # GIVEN five successes in ten days, one before, one after, and what is no success
    inside = [row(n, "succeeded", n * DAY) for n in range(5)]
    outside = [row(7, "succeeded", -1), row(8, "succeeded", 10 * DAY)]
    others = [row(9, "unchanged", 5), row(10, "superseded", 6), row(11, "failed", 7, stage="build")]

    # WHEN, THEN
    assert of(*inside, *outside, *others).per_day == 0.5


def test_what_was_cancelled_is_no_deployment_no_change_and_no_failure() -> None:
    found = of(row(1, "succeeded", 1000), row(2, "cancelled", 2000), row(3, "cancelled", 3000))

    assert (found.deployments, found.changes, found.failed_changes) == (1, 1, 0)
    assert (found.failed_builds, found.not_restored, found.time_to_restore.count) == (0, 0, 0)


def test_lead_time_is_commit_to_steady_and_push_to_steady_stands_beside_it() -> None:
    found = of(row(1, "succeeded", 5000))

    assert found.lead_time.p50 == 1000
    assert found.push_to_steady.p50 == 200


@pytest.mark.parametrize(
    ("reason", "counts"), [("push", 1), ("drift", 1), ("redeploy", 0), ("rollback", 0)]
)
def test_only_a_new_change_has_a_lead_time(reason: str, counts: int) -> None:
    assert of(row(1, "succeeded", 5000, reason=reason)).lead_time.count == counts


def test_change_failure_rate_is_of_those_that_reached_production() -> None:
    # GIVEN two good changes, one rolled back, one that failed in its rollout, one failed build
    found = of(
        row(1, "succeeded", 1000),
        row(2, "rolled_back", 2000),
        row(3, "failed", 3000, stage="wait"),
        row(4, "failed", 4000, stage="build"),
        row(5, "succeeded", 5000),
    )

    # WHEN, THEN two of four failed; the build is counted apart
    assert (found.failed_changes, found.changes, found.change_failure_rate) == (2, 4, 0.5)
    assert found.failed_builds == 1


def test_a_change_that_an_operator_takes_back_has_failed() -> None:
    # GIVEN a change that went live at 2000 and was rolled back by hand at 3000
    found = of(
        row(1, "succeeded", 1000),
        row(2, "succeeded", 2000),
        row(3, "succeeded", 3000, reason="rollback"),
    )

    # WHEN, THEN one of two changes failed (a rollback is none), and it took 1000 s to restore
    assert (found.failed_changes, found.changes) == (1, 2)
    assert found.time_to_restore.p50 == 1000


def test_a_second_rollback_in_a_row_fails_no_further_change() -> None:
    found = of(
        row(1, "succeeded", 1000),
        row(2, "succeeded", 2000),
        row(3, "succeeded", 3000, reason="rollback"),
        row(4, "succeeded", 4000, reason="rollback"),
    )

    assert found.failed_changes == 1


def test_failures_in_a_row_are_restored_once_from_the_first() -> None:
    # GIVEN failures at 1000 and 2000, a failed build between, and a success at 4000
    found = of(
        row(1, "rolled_back", 1000),
        row(2, "failed", 1500, stage="build"),
        row(3, "rolled_back", 2000),
        row(4, "succeeded", 4000),
    )

    # WHEN, THEN
    assert found.time_to_restore == Spread(count=1, p50=3000, p90=3000)
    assert found.not_restored == 0


def test_one_pipelines_success_does_not_restore_another() -> None:
    found = of(row(1, "rolled_back", 1000), row(2, "succeeded", 2000, pipeline="api"))

    assert (found.time_to_restore.count, found.not_restored) == (0, 1)


def test_a_success_after_the_period_still_restores_what_failed_in_it() -> None:
    found = of(row(1, "rolled_back", 10 * DAY - 100), row(2, "succeeded", 10 * DAY + 400))

    assert found.time_to_restore.p50 == 500


def test_what_is_under_way_counts_for_nothing() -> None:
    under_way = replace(row(1, "succeeded", 100), ended_at=None, status=None)

    assert of(under_way) == of()


@given(st.lists(st.floats(min_value=0, max_value=1e9), min_size=1))
def test_median_and_ninetieth_percentile_are_durations_that_occurred(values: list[float]) -> None:
    found = spread(values)

    assert found.p50 in values
    assert found.p90 in values
    assert min(values) <= found.p50 <= found.p90 <= max(values)
