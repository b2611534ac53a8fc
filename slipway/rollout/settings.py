"""A service's count and percentages: what a rollout changes of them, and putting that back.

A service revision holds none of them, so that no rollback of ECS's own brings them back.
UpdateService takes them without a new deployment (ECS API reference, UpdateService).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.rollout.plan import RolloutPlan
from slipway.rollout.service import Service

COUNT, LEAST, MOST = "desiredCount", "minimumHealthyPercent", "maximumPercent"
Settings = Mapping[str, int]


def asked_for(plan: RolloutPlan) -> dict[str, int]:
    """What the plan sets, by ECS's names."""
    given = {COUNT: plan.desired_count, LEAST: plan.min_percent, MOST: plan.max_percent}
    return {name: value for name, value in given.items() if value is not None}


def as_request(
    settings: Settings, configuration: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`settings` as members of UpdateService, in the deployment `configuration` that is there."""
    request: dict[str, Any] = {COUNT: settings[COUNT]} if COUNT in settings else {}
    percents = {name: settings[name] for name in (LEAST, MOST) if name in settings}
    if percents:
        request["deploymentConfiguration"] = {**(configuration or {}), **percents}
    return request


def of_service(service: Service) -> dict[str, int]:
    """The settings that a service has now."""
    configuration = service.raw.get("deploymentConfiguration") or {}
    percents = {name: int(configuration[name]) for name in (LEAST, MOST) if name in configuration}
    return {COUNT: service.desired, **percents}


def to_put_back(asked: Settings, before: Settings, now: Service) -> dict[str, Any]:
    """Members of UpdateService that undo what was asked for; empty where there is nothing to undo.

    A value that is no longer ours was changed by somebody else (or by auto scaling), and stays.
    """
    there = of_service(now)
    back = {
        name: before[name]
        for name, value in asked.items()
        if name in before and before[name] != value and there.get(name) == value
    }
    return as_request(back, now.raw.get("deploymentConfiguration"))
