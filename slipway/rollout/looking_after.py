"""Reads what the proof after a deployment looks at: a request's answer, a task, alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slipway.rollout.looking import fresh_service, task_seen, task_to_cancel, task_to_run
from slipway.rollout.looks import Alarm, AlarmsSeen, Look, SmokeSeen, TaskSeen
from slipway.rollout.means import Means
from slipway.rollout.service import CODE_DEPLOY, Service
from slipway.rollout.state import RolloutState, post_token, sure

MOST_REASON = 200
"""Characters of an alarm's reason that are told."""


def _smoke(means: Means, state: RolloutState) -> SmokeSeen:
    return means.visit(sure(state.plan.smoke))


def _post_task(means: Means, state: RolloutState) -> TaskSeen:
    return task_seen(means, state, sure(sure(state.proving).task))


def _post_task_to_cancel(means: Means, state: RolloutState) -> TaskSeen:
    return task_to_cancel(means, state, sure(sure(state.proving).task), post_token(state))


def _alarms(means: Means, state: RolloutState) -> AlarmsSeen:
    """Whether they are there."""
    return AlarmsSeen(alarms=tuple(_described(means, sure(state.plan.alarms))))


def _baking(means: Means, state: RolloutState) -> AlarmsSeen:
    service, judged = fresh_service(means, state), sure(state.proving).judged
    names = sure(state.plan.alarms) if judged is None else judged
    return AlarmsSeen(
        alarms=tuple(_described(means, names)),
        followed=_followed(means, state, service) if judged is None else frozenset(),
        service=service,
    )


def _described(means: Means, names: tuple[str, ...]) -> Iterator[Alarm]:
    if not names:
        return
    # Metric alarms alone: composite ones are told only to who may see all alarms (CloudWatch API
    # reference, DescribeAlarms).
    found = means.cloudwatch.read("describe_alarms", AlarmNames=list(names))
    for alarm in found.get("MetricAlarms") or []:
        yield Alarm(
            name=str(alarm.get("AlarmName")),
            state=str(alarm.get("StateValue")),
            since=_seconds(alarm.get("StateTransitionedTimestamp")),
            reason=str(alarm.get("StateReason") or "")[:MOST_REASON],
        )


def _followed(means: Means, state: RolloutState, service: Service) -> frozenset[str]:
    """The alarms for which ECS, or CodeDeploy's group, takes a deployment back by itself."""
    if service.controller != CODE_DEPLOY:
        return watched_by_ecs(service.raw)
    from slipway.rollout.codedeploy import described_group

    if state.group is None:
        return frozenset()
    alarms = described_group(means.codedeploy, state.group).get("alarmConfiguration") or {}
    named = [str(alarm.get("name")) for alarm in alarms.get("alarms") or []]
    return frozenset(named) if alarms.get("enabled") else frozenset()


def watched_by_ecs(service: Mapping[str, Any]) -> frozenset[str]:
    """The alarms for which ECS takes a deployment back by itself. `service`: DescribeServices'."""
    alarms = (service.get("deploymentConfiguration") or {}).get("alarms") or {}
    return frozenset(alarms.get("alarmNames") or []) if alarms.get("enable") else frozenset()


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    return float(value.timestamp()) if hasattr(value, "timestamp") else float(value)


LOOKS_AFTER: Mapping[str, Callable[[Means, RolloutState], Look]] = {
    "alarms": _alarms,
    "smoke": _smoke,
    "post_task": task_to_run,
    "post_task_wait": _post_task,
    "cancel_post_task": _post_task_to_cancel,
    "bake": _baking,
}
