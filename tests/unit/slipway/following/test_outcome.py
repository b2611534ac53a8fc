"""How an end is called, and what it changes in the pipeline's row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.messages import Commit, DeploymentResult, Target
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.outcome import of_failure, of_rollout, pipeline_changes, undoes_rollback
from tests.unit.build_agent.fakes import (
    A,
    B,
    definition,
    result_of,
)
from tests.unit.build_agent.world import START, make_request

OLD = "web-20270114080000-abcdef"


@pytest.mark.parametrize(
    ("outcome", "restored", "resumed", "status"),
    [
        ("succeeded", None, False, "succeeded"),
        ("unchanged", None, False, "unchanged"),
        ("unchanged", None, True, "succeeded"),
        ("rolled_back", True, False, "rolled_back"),
        ("crash_loop", True, False, "rolled_back"),
        ("crash_loop", False, False, "failed"),
        ("timed_out", None, True, "failed"),
        ("failed", None, False, "failed"),
        ("superseded", None, False, "superseded"),
    ],
)
def test_the_status_of_a_rollout(
    outcome: str, restored: bool | None, resumed: bool, status: str
) -> None:
    result = result_of(outcome, definition(1), definition(2), restored=restored)
    ended = of_rollout(result, stage="wait", resumed=resumed)
    assert ended.status == status
    assert (ended.cause is None) == (status in ("succeeded", "unchanged"))
    assert (ended.before, ended.after) == ("web:1", "web:2")


def test_a_failure_names_the_stage_that_it_knows_best() -> None:
    ended = of_failure(DeploymentFailed("no", stage="build"), stage="fetch", now_running=None)
    assert ended.stage == "build"
    ended = of_failure(DeploymentFailed("no"), stage="fetch", now_running=definition(3))
    assert (ended.stage, ended.now_running) == ("fetch", "web:3")


def result(status: str, **changes: Any) -> DeploymentResult:
    values: dict[str, Any] = {
        "deployment_id": "web-20270115080000-abcdef", "pipeline": "web", "status": status,
        "stage": "close", "reason": "push", "request_id": make_request(1).request_id,
        "started_at": START, "ended_at": START + 9, "commit": Commit(id=B),
        "failures_before": 2, "image_digest": "sha256:x", "now_running": "web:2",
    }  # fmt: skip
    return DeploymentResult(**{**values, **changes})


ROW = PipelineRow(pipeline="web", running_commit=A, failures=2, failing_since=START - 50)


def test_a_success_says_what_runs_and_ends_the_row_of_failures() -> None:
    changes = pipeline_changes(make_request(1), result("succeeded"), ROW, B)
    assert changes["running_commit"] == changes["handled_tip"] == B
    assert (changes["failures"], changes["failing_since"]) == (0, None)
    assert changes["running_since"] == START + 9


def test_a_failure_is_counted_from_what_was_before_and_leaves_what_runs() -> None:
    changes = pipeline_changes(make_request(1), result("failed"), ROW, B)
    assert (changes["failures"], changes["failing_since"]) == (3, START - 50)
    assert not any(name.startswith("running") for name in changes)
    assert changes["handled_tip"] == B


def test_a_failure_that_leaves_another_revision_makes_its_commit_unknown() -> None:
    known = replace(ROW, running_task_definition="web:1", running_digest="sha256:a")
    changes = pipeline_changes(make_request(1), result("rolled_back"), known, B)
    assert changes["running_task_definition"] == "web:2"
    assert changes["running_commit"] is changes["running_digest"] is None
    begun = result("failed", now_running=None, task_definition_after="web:2")
    changes = pipeline_changes(make_request(1), begun, known, B)
    assert changes["running_task_definition"] is changes["running_commit"] is None
    for now in ("web:1", None):
        same = pipeline_changes(make_request(1), result("failed", now_running=now), known, B)
        assert "running_commit" not in same


@pytest.mark.parametrize("status", ["superseded", "cancelled"])
def test_being_superseded_or_cancelled_changes_neither(status: str) -> None:
    assert pipeline_changes(make_request(1), result(status), ROW, None) == {}


def test_the_tip_of_a_cancelled_push_is_dealt_with() -> None:
    changes = pipeline_changes(make_request(1), result("cancelled"), ROW, A)
    assert changes["handled_tip"] == A
    assert "failures" not in changes


def test_an_unchanged_commit_keeps_the_time_since_it_runs() -> None:
    changes = pipeline_changes(make_request(1), result("unchanged", commit=Commit(id=A)), ROW, A)
    assert "running_since" not in changes
    assert changes["handled_tip"] == A


def test_a_rollback_stands_only_if_it_succeeded() -> None:
    target = Target(kind="deployment", deployment_id=OLD)
    request = make_request(7, reason="rollback", target=target)
    assert pipeline_changes(request, result("succeeded"), ROW, None)["rolled_back_to"] == OLD
    assert "rolled_back_to" not in pipeline_changes(request, result("failed"), ROW, None)


@pytest.mark.parametrize(
    ("changes", "undoes"),
    [
        ({"pushed_at": START - 1}, True),
        ({"pushed_at": START}, True),
        ({"pushed_at": START + 1}, False),
        ({"pushed_at": START + 1, "reason": "drift"}, True),
        ({"pushed_at": START - 1, "target": Target(kind="commit", commit_id=A)}, False),
    ],
)
def test_only_a_later_push_undoes_a_rollback(changes: dict[str, Any], undoes: bool) -> None:
    row = PipelineRow(pipeline="web", rolled_back_to=OLD, rolled_back_at=START)
    assert undoes_rollback(make_request(1, **changes), row) is undoes
    assert not undoes_rollback(make_request(1, **changes), PipelineRow(pipeline="web"))


# --- a push that concerns others

UNTOUCHED = {"stage": "fetch", "untouched_since": A, "image_digest": None}


def test_a_push_that_concerns_others_leaves_what_runs_and_ends_the_row_of_failures() -> None:
    changes = pipeline_changes(make_request(1), result("unchanged", **UNTOUCHED), ROW, B)
    assert changes == {
        "failures": 0, "failing_since": None, "untouched_tip": B, "handled_tip": B,
        "handled_at": START + 9, "ahead_tip": None, "ahead_since": None,
    }  # fmt: skip


def test_a_rollback_outlives_it() -> None:
    row = replace(ROW, rolled_back_to=OLD, rolled_back_at=START)
    changes = pipeline_changes(make_request(1), result("unchanged", **UNTOUCHED), row, B)
    assert "rolled_back_to" not in changes


@pytest.mark.parametrize("status", ["succeeded", "failed", "superseded"])
def test_any_other_outcome_forgets_it(status: str) -> None:
    row = replace(ROW, untouched_tip=A)
    assert pipeline_changes(make_request(1), result(status), row, B)["untouched_tip"] is None
    assert "untouched_tip" not in pipeline_changes(make_request(1), result(status), ROW, B)
