"""A one-off task of the new revision, run before the service changes (a database migration)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from build_agent.rollout.api import Api
from build_agent.rollout.follow import interval
from build_agent.rollout.plan import OneOffTask, short
from build_agent.rollout.reasons import reason_of
from build_agent.rollout.service import Service
from build_agent.rollout.taskdef import Definition
from contracts.errors import WrongUse


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    """How the task ended. `ok`: it was started (not waited for), or every container exited 0."""

    ok: bool
    text: str
    arn: str | None = None


def run_once(
    api: Api,
    task: OneOffTask,
    *,
    definition: Definition,
    task_definition: str,
    cluster: str | None,
    service: Service | None,
    timeout: float,
) -> TaskRun:
    """Run `task_definition` once; where it is waited for, every container's exit code counts.

    A task that is not over after `timeout` seconds is stopped.
    """
    answer = api.change(
        "run_task",
        **({} if cluster is None else {"cluster": cluster}),
        taskDefinition=task_definition,
        count=1,
        clientToken=uuid.uuid4().hex,
        startedBy="slipway",
        **placement(task, service),
        **_overrides(task, definition),
    )
    started = answer.get("tasks") or []
    if not started:
        why = ", ".join(_failure(f) for f in answer.get("failures") or []) or "no reason given"
        return TaskRun(ok=False, text=f"the task of {short(task_definition)} did not start: {why}")
    arn = str(started[0]["taskArn"])
    if not task.wait:
        return TaskRun(ok=True, arn=arn, text=f"task {_id(arn)} was started")
    return _wait(api, arn, cluster, timeout)


def placement(task: OneOffTask, service: Service | None) -> dict[str, Any]:
    """Where and how the task runs: as `task` says, else as the service does."""
    raw: Mapping[str, Any] = service.raw if service is not None else {}
    wanted: dict[str, Any] = {}
    if task.launch_type:
        wanted["launchType"] = task.launch_type
    elif raw.get("capacityProviderStrategy"):
        wanted["capacityProviderStrategy"] = raw["capacityProviderStrategy"]
    elif raw.get("launchType"):
        wanted["launchType"] = raw["launchType"]
    version = task.platform_version or raw.get("platformVersion")
    if version:
        wanted["platformVersion"] = version
    network = task.network_configuration or raw.get("networkConfiguration")
    if network:
        wanted["networkConfiguration"] = network
    return wanted


def container_of(task: OneOffTask, definition: Definition) -> str:
    """The container whose command is replaced; WrongUse, with those there are, for an unknown."""
    containers = definition.get("containerDefinitions") or []
    names = [str(c.get("name")) for c in containers]
    if task.container is not None:
        if task.container not in names:
            raise WrongUse(
                f"no container {task.container!r} for the pre-deploy command; there are: "
                + ", ".join(names)
            )
        return task.container
    essential = [str(c.get("name")) for c in containers if c.get("essential", True)]
    return (essential or names)[0]


def _overrides(task: OneOffTask, definition: Definition) -> dict[str, Any]:
    if not task.command:
        return {}
    override = {"name": container_of(task, definition), "command": list(task.command)}
    return {"overrides": {"containerOverrides": [override]}}


def _wait(api: Api, arn: str, cluster: str | None, timeout: float) -> TaskRun:
    begun = api.clock.now()
    where = {} if cluster is None else {"cluster": cluster}
    api.deadline = begun + timeout
    try:
        while True:
            found = api.read("describe_tasks", **where, tasks=[arn]).get("tasks") or []
            if found and found[0].get("lastStatus") == "STOPPED":
                return judged(found[0])
            age = api.clock.now() - begun
            if age > timeout:
                reason = f"not over after {timeout:.0f} s"
                api.change("stop_task", **where, task=arn, reason=reason)
                return TaskRun(ok=False, arn=arn, text=f"task {_id(arn)} was {reason}; stopped it")
            api.clock.sleep(interval(age))
    finally:
        api.deadline = None


def judged(task: Mapping[str, Any]) -> TaskRun:
    """How a stopped task ended: well only if every container that ran exited with 0.

    A container without an exit code never ran.
    """
    arn = str(task.get("taskArn", ""))
    codes = [c.get("exitCode") for c in task.get("containers") or []]
    if codes and all(code == 0 for code in codes):
        return TaskRun(ok=True, arn=arn, text=f"task {_id(arn)} exited with 0")
    return TaskRun(ok=False, arn=arn, text=f"task {_id(arn)} failed: {reason_of(task)}")


def _failure(failure: Mapping[str, Any]) -> str:
    return " ".join(str(failure[k]) for k in ("reason", "detail") if failure.get(k))


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]
