"""What the dashboard is told of a deployment, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest

from lambdas.notifier import measures
from lambdas.notifier.measures import OUTCOMES, measure
from slipway.contracts.messages import Commit, DeploymentResult, Status
from slipway.contracts.table.deployments import DeploymentRow

RESULT = DeploymentResult(
    deployment_id="shop-20260101120000-aaaaaa",
    pipeline="shop",
    status="succeeded",
    stage="close",
    reason="push",
    request_id="0" * 32,
    commit=Commit(id="a" * 40, committed_at=400.0),
    pushed_at=1000.0,
    started_at=1010.0,
    ended_at=1090.0,
)


@dataclass
class History:
    rows: list[DeploymentRow]

    def newest(self, pipeline: str, limit: int) -> list[DeploymentRow]:
        assert pipeline == "shop"
        return self.rows[:limit]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    values: dict[str, float] = {}
    monkeypatch.setattr(measures, "count", lambda name: values.update({name: 1}))
    monkeypatch.setattr(measures, "took", lambda name, seconds: values.update({name: seconds}))
    return values


def row(timestamp: str, status: Status, ended_at: float) -> DeploymentRow:
    return DeploymentRow(
        deployment_id=f"shop-{timestamp}-aaaaaa",
        pipeline="shop",
        request_id="0" * 32,
        reason="push",
        status=status,
        ended_at=ended_at,
    )


@pytest.mark.parametrize("status", get_args(Status))
def test_each_outcome_is_one_count(status: Status, sent: dict[str, Any]) -> None:
    # WHEN an outcome is measured
    measure(replace(RESULT, status=status), None)
    # THEN its own metric counts one; a superseded push has none, its commit runs with the newer one
    counted = {name for name in OUTCOMES.values() if sent.get(name) == 1}
    assert counted == ({OUTCOMES[status]} if status != "superseded" else set())


def test_lead_time_is_from_the_commit_and_push_to_steady_from_the_push(
    sent: dict[str, Any],
) -> None:
    measure(RESULT, None)
    assert sent["LeadTime"] == 690.0
    assert sent["PushToSteady"] == 90.0


@pytest.mark.parametrize(
    "result",
    [
        replace(RESULT, status="failed"),
        replace(RESULT, reason="rollback"),
        replace(RESULT, pushed_at=None, commit=None),
    ],
)
def test_only_a_push_that_came_to_run_has_a_lead_time(
    result: DeploymentResult, sent: dict[str, Any]
) -> None:
    measure(result, None)
    assert not {"LeadTime", "PushToSteady"} & set(sent)


def test_restoring_takes_from_the_first_failure_of_the_spell(sent: dict[str, Any]) -> None:
    # GIVEN a spell of two failures with a superseded push between, after an older failure
    history = History(
        [
            row("20260101120000", "succeeded", 1090.0),
            row("20260101115000", "failed", 900.0),
            row("20260101114000", "superseded", 850.0),
            row("20260101113000", "rolled_back", 800.0),
            row("20260101112000", "succeeded", 700.0),
            row("20260101111000", "failed", 600.0),
        ]
    )
    # WHEN the success that ended it is measured
    measure(replace(RESULT, failures_before=2), history)  # type: ignore[arg-type]
    # THEN it took from the spell's first failure
    assert sent["TimeToRestore"] == 290.0


def test_a_rollback_restores_from_when_the_change_it_takes_back_went_live(
    sent: dict[str, Any],
) -> None:
    history = History(
        [
            row("20260101115000", "succeeded", 900.0),
            row("20260101114000", "succeeded", 850.0),
        ]
    )
    measure(replace(RESULT, reason="rollback"), history)  # type: ignore[arg-type]
    assert sent["TimeToRestore"] == 190.0


def test_without_a_failure_in_production_nothing_was_restored(sent: dict[str, Any]) -> None:
    # GIVEN a build that failed: production went on
    history = History(
        [row("20260101115000", "failed", 900.0), row("20260101112000", "succeeded", 700.0)]
    )
    measure(replace(RESULT, failures_before=1), history)  # type: ignore[arg-type]
    assert "TimeToRestore" not in sent
