"""How an ended rollout or a failure is called, and what it changes in the pipeline's row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from slipway.contracts.errors import DeploymentFailed, WrongUse
from slipway.contracts.messages import (
    BuildRequest,
    Commit,
    DeploymentResult,
    ServiceOutcome,
    Stage,
    Status,
)
from slipway.contracts.sentences import with_kind
from slipway.contracts.table.pipelines import PipelineRow
from slipway.rollout import RolloutResult, short
from slipway.rollout.roll_out import ended_early
from slipway.rollout.state import RolloutState
from slipway.rollout.unfinished import has_begun, service_changed

RowValue = str | float | int | bool | None
_STAGES: tuple[Stage, ...] = (
    "received", "fetch", "build", "test", "push", "register", "update", "wait", "prove",
    "rollout", "record", "close",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How the work on a request ended. Task definitions are `family:revision`.

    `services`: each of several; the task definitions then name all of them.
    """

    status: Status
    stage: Stage
    commit: Commit | None = None
    cause: str | None = None
    warning: str | None = None
    tests: str | None = None
    log_tail: tuple[str, ...] = ()
    image_digest: str | None = None
    before: str | None = None
    after: str | None = None
    now_running: str | None = None
    commits_since: tuple[Commit, ...] = ()
    commits_since_count: int | None = None
    tip_seen: str | None = None
    told_by: str | None = None
    cancelled_by: str | None = None
    services: tuple[ServiceOutcome, ...] | None = None
    definition_changes: tuple[str, ...] | None = None
    untouched_since: str | None = None
    timings: Mapping[str, float] = field(default_factory=dict)


def of_rollout(result: RolloutResult, *, stage: Stage, resumed: bool) -> Ended:
    """`resumed`: this deployment had begun the rollout before: what runs now is its work."""
    status: Status
    if result.outcome in ("succeeded", "registered", "planned"):
        status = "succeeded"
    elif result.outcome == "unchanged":
        status = "succeeded" if resumed else "unchanged"
    elif result.outcome in ("superseded", "cancelled"):
        status = result.outcome
    elif result.outcome == "rolled_back" or result.restored:
        status = "rolled_back"
    else:
        status = "failed"
    good = status in ("succeeded", "unchanged")
    return Ended(
        status=status,
        stage="close" if good else stage,
        cause=None if good else result.cause,
        before=_short(result.before),
        after=_short(result.after),
        now_running=_short(result.running),
    )


def of_told(told: DeploymentResult) -> Ended:
    """An earlier deployment was of this push, too: nothing is to be done, nothing to be told."""
    return Ended(
        status="superseded",
        stage="close",
        cause=f"deployment {told.deployment_id} was of this push, too",
        now_running=told.now_running,
        told_by=told.deployment_id,
    )


def of_failure(error: DeploymentFailed, *, stage: str, now_running: str | None) -> Ended:
    """How a deployment ended that the commit itself made fail, in `stage` or where the error
    says.
    """
    named = error.stage or stage
    known: Stage = next((s for s in _STAGES if s == named), "received")
    return Ended(
        status="failed",
        stage=known,
        cause=error.cause,
        log_tail=error.log_tail,
        now_running=_short(now_running),
    )


def of_failed_plan(state: RolloutState, error: WrongUse, now: float) -> Ended | None:
    """A plan that cannot be right, for the service as it is; None once the service was changed."""
    if not has_begun(state):
        failure = DeploymentFailed(str(error), stage="rollout")
        return of_failure(failure, stage="rollout", now_running=state.before)
    if service_changed(state):
        return None
    return of_rollout(ended_early(state, error, now), stage="rollout", resumed=False)


def of_given_up(attempts: int, error: str, stage: Stage) -> Ended:
    """The world failed it so often that it is left to people."""
    cause = f"given up after {attempts} failed attempts: {error}"
    return Ended(status="gave_up", stage=stage, cause=cause)


def of_superseded(stage: Stage, cause: str) -> Ended:
    """Something newer runs in its place."""
    return Ended(status="superseded", stage=stage, cause=cause)


def tip_seen(request: BuildRequest, fetched: Commit | None) -> str | None:
    """The branch's tip that a tip request dealt with: as fetched, or else as the request named it.

    A tip that cannot even be fetched is dealt with, too: else the drift check would ask for it
    again and again, and wake a host each time.
    """
    if not request.is_tip:
        return None
    return fetched.id if fetched else request.commit_id


def pipeline_changes(
    request: BuildRequest, result: DeploymentResult, row: PipelineRow, tip_seen: str | None
) -> dict[str, RowValue]:
    """What the outcome changes in the pipeline's row; None removes a member.

    `tip_seen`: the branch's tip at this request's fetch: whatever came of it, it was handled.
    """
    changes: dict[str, RowValue] = {}
    if row.untouched_tip is not None:
        changes["untouched_tip"] = None
    if result.untouched_since is not None:
        changes |= {"failures": 0, "failing_since": None, "untouched_tip": tip_seen}
    elif result.status in ("succeeded", "unchanged"):
        changes |= _running(result, row)
        if request.reason == "rollback":
            changes |= {
                "rolled_back_to": request.target.deployment_id or request.target.commit_id,
                "rolled_back_at": request.pushed_at,
            }
    elif result.status not in ("superseded", "cancelled"):
        changes |= {
            "failures": result.failures_before + 1,
            "failing_since": row.failing_since or result.ended_at,
        }
        changes |= _left_running(result, row)
    if result.services is not None:
        changes |= _left_mixed(result, row)
    elif row.mixed is not None and mixed_now(result, row) is None:
        changes["mixed"] = None
    if tip_seen is not None:
        changes |= {"handled_tip": tip_seen, "handled_at": _attempted_at(result)}
        changes |= {"ahead_tip": None, "ahead_since": None}
    if _ends_rollback(request, result) and tip_seen is not None:
        changes |= {"rolled_back_to": None, "rolled_back_at": None}
    return changes


def mixed_now(result: DeploymentResult, row: PipelineRow) -> str | None:
    """What each service runs, where these are versions of different deployments; else None.

    Where all were left as they were, it is as it was, told by what each was seen to run. A success
    of one service ends it: there were others, which are not of the pipeline any more. (A rollback
    may leave a companion as it is.)
    """
    good = result.status in ("succeeded", "unchanged") and result.untouched_since is None
    if result.services is None and good and result.reason != "rollback":
        return None
    if result.services is None or result.untouched_since is not None:
        return row.mixed
    runs = {service.runs for service in result.services}
    if runs == {"new"}:
        return None
    told = ", ".join(
        [
            *(f"{with_kind(s, s.service)} {s.now or 'not known'}" for s in result.services),
            *_left_alone(result, row),
        ]
    )
    if runs == {"before"}:
        is_seen = all(service.now for service in result.services)
        return told if row.mixed is not None and is_seen else row.mixed
    return told


def _left_alone(result: DeploymentResult, row: PipelineRow) -> list[str]:
    """What was said of those that a rollback has left as they are."""
    if result.reason != "rollback" or row.mixed is None:
        return []
    named = tuple(f"{with_kind(s, s.service)} " for s in result.services or ())
    return [said for said in row.mixed.split(", ") if not said.startswith(named)]


def with_mixed(result: DeploymentResult, row: PipelineRow) -> DeploymentResult:
    """`result`, saying so where the services are left at versions of different deployments."""
    mixed = mixed_now(result, row)
    if mixed is None:
        return result
    text = f"the services run versions of different deployments: {mixed}"
    return replace(result, warning=f"{result.warning}; {text}" if result.warning else text)


def _left_mixed(result: DeploymentResult, row: PipelineRow) -> dict[str, RowValue]:
    """What several services run is kept also where nobody is told of the outcome."""
    mixed = mixed_now(result, row)
    silent = result.status in ("superseded", "cancelled")
    left = _left_running(result, row) if silent and mixed is not None else {}
    return {**left, "mixed": mixed}


def _ends_rollback(request: BuildRequest, result: DeploymentResult) -> bool:
    """A push ends the rollback that stands, but for one that concerns another pipeline."""
    concerns = result.untouched_since is None
    return request.is_tip and request.reason != "drift" and concerns


def _attempted_at(result: DeploymentResult) -> float:
    """When the attempt that ended so began: its fetch, which saw the tip, comes first."""
    return result.ended_at - sum(result.timings.values())


def undoes_rollback(request: BuildRequest, row: PipelineRow) -> bool:
    """Whether a tip request is older than the operator's rollback that stands (or is a guess)."""
    if not request.is_tip or row.rolled_back_to is None:
        return False
    return request.reason == "drift" or request.pushed_at <= (row.rolled_back_at or 0.0)


def _running(result: DeploymentResult, row: PipelineRow) -> dict[str, RowValue]:
    changes: dict[str, RowValue] = {
        "running_deployment": result.deployment_id,
        "running_digest": result.image_digest,
        "running_task_definition": result.now_running or result.task_definition_after,
        "failures": 0,
        "failing_since": None,
    }
    commit = result.commit.id if result.commit else None
    if commit != row.running_commit or result.status == "succeeded":
        changes |= {
            "running_commit": commit,
            "running_since": result.ended_at,
            "running_by": result.pushed_by or None,
        }
    return changes


def _left_running(result: DeploymentResult, row: PipelineRow) -> dict[str, RowValue]:
    """A failure that leaves another revision running than is known: of which commit is not known.

    An earlier attempt of the same deployment brought the service there, or somebody else did. What
    runs is not known at all where an attempt had begun a rollout and the last one never looked.
    """
    now = result.now_running
    never_looked = now is None and result.task_definition_after is not None
    if row.running_task_definition is None or (
        now in (None, row.running_task_definition) and not never_looked
    ):
        return {}
    unknown = dict.fromkeys(
        ("running_commit", "running_digest", "running_deployment", "running_since", "running_by")
    )
    return {"running_task_definition": now, **unknown}


def _short(task_definition: str | None) -> str | None:
    return short(task_definition) if task_definition else None
