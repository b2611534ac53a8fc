"""Why tasks stopped, in their own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from slipway.rollout.api import Api, clean
from slipway.rollout.service import Service
from slipway.rollout.tasks import tasks_of

SHOWN = 3
"""How many different reasons are told, the most frequent first."""


def stopped_reasons(api: Api, service: Service, task_definition: str) -> tuple[str, ...]:
    """Why tasks of `task_definition` stopped, with how often; empty where ECS does not tell."""
    stopped = tasks_of(api, service, "STOPPED")
    return summarize(t for t in stopped if t.get("taskDefinitionArn") == task_definition)


def summarize(tasks: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The different reasons of stopped tasks, the most frequent first, `(2×)` where repeated."""
    counted = Counter(reason_of(task) for task in tasks)
    return tuple(
        reason if times == 1 else f"{reason} ({times}×)"
        for reason, times in counted.most_common(SHOWN)
    )


def reason_of(task: Mapping[str, Any]) -> str:
    """Why one task stopped: ECS's reason, and the containers' exit codes and reasons."""
    parts = [clean(task.get("stoppedReason") or "no reason given")]
    for container in task.get("containers") or []:
        code, reason = container.get("exitCode"), container.get("reason")
        if code or reason:
            exit_code = "" if code is None else f" exit code {code}"
            parts.append(f"container {container.get('name')}{exit_code}" + _why(reason))
    return "; ".join(parts)


def with_reasons(cause: str, reasons: tuple[str, ...]) -> str:
    """`cause` as a sentence's worth with the tasks' own reasons."""
    return f"{cause}: {' / '.join(reasons)}" if reasons else cause


def _why(reason: str | None) -> str:
    return f" ({clean(reason)})" if reason else ""
