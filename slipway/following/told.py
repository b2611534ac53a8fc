"""One push, one notice: whether an earlier deployment's notice told of a request's push already.

A host that is awake fetches the branch's tip while further pushes come: they are part of that
deployment, and their own requests, which are received afterwards, find the very same tip.
"""

from __future__ import annotations

from collections.abc import Iterable

from slipway.contracts.messages import BuildRequest, DeploymentResult
from slipway.contracts.table.deployments import DeploymentRow

_TELLS = ("succeeded", "unchanged", "failed", "rolled_back", "cancelled")
"""What was given up on is tried again: the world may be well by now."""


def told_of(
    request: BuildRequest, tip: str, rows: Iterable[DeploymentRow]
) -> DeploymentResult | None:
    """The outcome that told of the branch's `tip` after the request's push, or None.

    Only the pipeline's last outcome counts: whatever came later may have changed what runs. `rows`:
    the pipeline's newest deployments, in any order. What an operator asks for has its own answer.
    """
    if not is_found(request):
        return None
    results = [row.result for row in rows if row.result is not None]
    last = max(filter(_is_told, results), key=lambda result: result.ended_at, default=None)
    if last is None or last.status not in _TELLS or last.commit is None:
        return None
    of_this_push = last.commit.id == tip and request.pushed_at <= last.ended_at
    return last if of_this_push else None


def is_found(request: BuildRequest) -> bool:
    """Whether the request says no more than that the branch has moved."""
    return request.is_tip and request.reason in ("push", "drift")


def _is_told(result: DeploymentResult) -> bool:
    """All but what ended in silence: for a newer push, or because its push had been told of."""
    touched = result.task_definition_after is not None and result.told_by is None
    return result.status != "superseded" or touched
