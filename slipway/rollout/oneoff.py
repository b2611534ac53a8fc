"""A one-off task of the new revision, run before the service changes (a database migration)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.rollout.actions import RunTask, StopTask
from slipway.rollout.beginning import with_task_run
from slipway.rollout.looks import Answer, Look, TaskSeen, TaskToRun, of_kind
from slipway.rollout.pace import pause
from slipway.rollout.plan import OneOffTask, Progress, short
from slipway.rollout.reasons import reason_of
from slipway.rollout.service import Service
from slipway.rollout.state import Advanced, RolloutState, TaskUnderWay, intend, on, started_by, sure
from slipway.rollout.taskdef import Definition
from slipway.rollout.telling import over, tell

_WHERE = ("launchType", "capacityProviderStrategy")
"""Members of which RunTask takes one."""


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    """How the task ended. `ok`: it was started (not waited for), or what counts exited with 0."""

    ok: bool
    text: str


def task(state: RolloutState, look: Look, now: float) -> Advanced:
    """Run the task. A repetition has the same client token: ECS starts no second one."""
    wanted = _wanted(state)
    if isinstance(look, TaskToRun):
        request = run_request(state, wanted, state.id, look)
        counted = counting(wanted, look.definition)
        state = replace(state, task=TaskUnderWay(arn="", begun=now, counted=counted))
        return intend(state, now, RunTask(request=request))
    look = of_kind(Answer, look)
    state = replace(state, intent=None)
    started = started_in(look, state)
    if isinstance(started, TaskRun):
        return _ended(state, started, now)
    if not wanted.wait:
        return _ended(state, TaskRun(ok=True, text=f"task {task_id(started)} was started"), now)
    under_way = replace(sure(state.task), arn=started, begun=now)
    return on(replace(state, step="task_wait", task=under_way, look_at=now))


def run_request(
    state: RolloutState, wanted: OneOffTask, token: str, look: TaskToRun
) -> dict[str, Any]:
    """What RunTask is asked; `token`: by which ECS, and a search, knows the task again.

    WrongUse for a container that is not there.
    """
    return {
        **cluster_of(state),
        "taskDefinition": state.after,
        "count": 1,
        "clientToken": token,
        "startedBy": started_by(token),
        **placement(wanted, look.service),
        **look.volumes,
        **_overrides(wanted, look.definition),
    }


def started_in(answer: Answer, state: RolloutState) -> str | TaskRun:
    """The task that RunTask has started (its ARN), or why there is none."""
    started = answer.value.get("tasks") or []
    if started:
        return str(started[0]["taskArn"])
    why = ", ".join(map(_failure, answer.value.get("failures") or [])) or "no reason given"
    return TaskRun(ok=False, text=f"the task of {short(state.after)} did not start: {why}")


def task_wait(state: RolloutState, look: Look, now: float) -> Advanced:
    """Wait for its end; see `judged` for which exit codes count.

    A task that is not over after `timeouts.task` seconds is stopped.
    """
    under_way = sure(state.task)
    timeout = state.plan.timeouts.task
    reason = f"not over after {timeout:.0f} s"
    if isinstance(look, Answer):
        text = f"task {task_id(under_way.arn)} was {reason}; stopped it"
        return _ended(replace(state, intent=None), TaskRun(ok=False, text=text), now)
    look = of_kind(TaskSeen, look)
    if look.task is not None and look.task.get("lastStatus") == "STOPPED" and not state.intent:
        return _ended(state, judged(look.task, under_way.counted), now)
    age = now - under_way.begun
    if age > timeout:
        request = {**cluster_of(state), "task": under_way.arn, "reason": reason}
        return intend(state, now, StopTask(request=request))
    return on(replace(state, look_at=now + pause(state.id, now, age)))


def _ended(state: RolloutState, ended: TaskRun, now: float) -> Advanced:
    """Go on after a task that went well; the rollout is over after one that did not."""
    note = Progress(step="pre_deploy", elapsed=0.0, note=ended.text, task_definition=state.after)
    state, told = tell(state, now, note)
    if ended.ok:
        state = replace(state, task=replace(sure(state.task), done=True))
        return with_task_run(state, now, told)
    running = None if state.place is None else state.before
    members = {"before": state.before, "after": state.after, "running": running}
    return over(state, now, told, outcome="failed", cause=ended.text, **members)


def _wanted(state: RolloutState) -> OneOffTask:
    return sure(state.plan.task)


def cluster_of(state: RolloutState) -> dict[str, Any]:
    """The plan's cluster, as ECS's calls take it."""
    return {} if state.plan.cluster is None else {"cluster": state.plan.cluster}


def check(task: OneOffTask, definition: Definition, service: Service | None) -> None:
    """WrongUse for a task that ECS would refuse, before anything is registered for it."""
    if task.command:
        container_of(task, definition)
    where = placement(task, service)
    if task.platform_version and _is_elsewhere(where):
        raise WrongUse(
            f"platform version {task.platform_version!r}: only tasks on FARGATE take one, not "
            f"those of {where.get('launchType') or 'this capacity provider strategy'}"
        )
    configured = {str(c.get("name")) for c in _configured_volumes(service)}
    missing = [name for name in _at_launch(definition) if name not in configured]
    if missing:
        raise WrongUse(
            f"volume {', '.join(map(repr, missing))} is configured at launch (configuredAtLaunch), "
            "and no service says how: the task cannot be run"
        )


def placement(task: OneOffTask, service: Service | None) -> dict[str, Any]:
    """Where and how the task runs: as `task` says, else as the service does.

    What RunTask refuses for the launch type that comes of it is left out (ECS API reference,
    RunTask): a platform version and a public address off Fargate, constraints on Fargate.
    """
    raw = _placed(service)
    wanted: dict[str, Any] = {}
    if task.launch_type:
        wanted["launchType"] = task.launch_type
    elif raw.get("capacityProviderStrategy"):
        wanted["capacityProviderStrategy"] = raw["capacityProviderStrategy"]
    elif raw.get("launchType"):
        wanted["launchType"] = raw["launchType"]
    inherited = None if _is_elsewhere(wanted) else raw.get("platformVersion")
    if task.platform_version or inherited:
        wanted["platformVersion"] = task.platform_version or inherited
    network = task.network_configuration or raw.get("networkConfiguration")
    if network:
        own = task.network_configuration is not None
        wanted["networkConfiguration"] = network if own else _fitting(network, wanted)
    if raw.get("placementConstraints") and _is_elsewhere(wanted):
        wanted["placementConstraints"] = raw["placementConstraints"]
    return wanted


def _placed(service: Service | None) -> Mapping[str, Any]:
    """How a service's tasks are placed; a CODE_DEPLOY service says it in its task set."""
    if service is None:
        return {}
    sets = service.raw.get("taskSets") or []
    primary: Mapping[str, Any] = next((s for s in sets if s.get("status") == "PRIMARY"), {})
    said = {name: value for name, value in service.raw.items() if value}
    if said.keys() & set(_WHERE):
        primary = {name: value for name, value in primary.items() if name not in _WHERE}
    return {**primary, **said}


def _is_elsewhere(where: Mapping[str, Any]) -> bool:
    """Whether tasks that are placed so run elsewhere than on Fargate; False where it is not said.

    A strategy cannot mix Fargate's providers with others.
    """
    providers = {p.get("capacityProvider") for p in where.get("capacityProviderStrategy") or []}
    if providers:
        return not providers <= {"FARGATE", "FARGATE_SPOT"}
    return where.get("launchType") not in (None, "FARGATE")


def _fitting(network: Mapping[str, Any], where: Mapping[str, Any]) -> Mapping[str, Any]:
    """The service's network for a task placed so: only Fargate gives a public address."""
    settings = network.get("awsvpcConfiguration") or {}
    if not _is_elsewhere(where) or settings.get("assignPublicIp") != "ENABLED":
        return network
    kept = {name: value for name, value in settings.items() if name != "assignPublicIp"}
    return {**network, "awsvpcConfiguration": kept}


def _at_launch(definition: Definition) -> list[str]:
    volumes = definition.get("volumes") or []
    return [str(v.get("name")) for v in volumes if v.get("configuredAtLaunch")]


def _configured_volumes(service: Service | None) -> list[Mapping[str, Any]]:
    """How the service's primary deployment configures its volumes."""
    if service is None:
        return []
    deployments = service.raw.get("deployments") or []
    primary: Mapping[str, Any] = next((d for d in deployments if d.get("status") == "PRIMARY"), {})
    found: list[Mapping[str, Any]] = primary.get("volumeConfigurations") or []
    return found


def volumes(model: Any, definition: Definition, service: Service | None) -> dict[str, Any]:
    """The service's configuration of volumes that are configured at launch, as RunTask takes it.

    A task's tags cannot come from a service (ECS API reference, RunTask, `propagateTags`). `model`:
    botocore's service model of ECS.
    """
    wanted = set(_at_launch(definition))
    shape = model.shape_for("TaskManagedEBSVolumeConfiguration")
    configurations = []
    for configured in _configured_volumes(service):
        if configured.get("name") in wanted:
            volume = configured.get("managedEBSVolume") or {}
            kept = {name: value for name, value in volume.items() if name in shape.members}
            if "tagSpecifications" in kept:
                kept["tagSpecifications"] = [_without_service(t) for t in kept["tagSpecifications"]]
            configurations.append({"name": configured["name"], "managedEBSVolume": kept})
    return {"volumeConfigurations": configurations} if configurations else {}


def _without_service(tags: Mapping[str, Any]) -> dict[str, Any]:
    from_service = tags.get("propagateTags") == "SERVICE"
    return {n: v for n, v in tags.items() if not (from_service and n == "propagateTags")}


def container_of(task: OneOffTask, definition: Definition) -> str:
    """The container whose command is replaced; WrongUse, with those there are, for an unknown."""
    containers = definition.get("containerDefinitions") or []
    names = [str(c.get("name")) for c in containers]
    if task.container is not None:
        if task.container not in names:
            raise WrongUse(
                f"no container {task.container!r} for the command of the task; there are: "
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


def counting(task: OneOffTask, definition: Definition) -> frozenset[str] | None:
    """The containers whose exit codes say how the task went; None: every one (`--run-task`).

    With a command: the container that runs it, and the essential ones. Another one is stopped with
    the task, so that its exit code (137, 143, none) says nothing.
    """
    if not task.command:
        return None
    containers = definition.get("containerDefinitions") or []
    essential = {str(c.get("name")) for c in containers if c.get("essential", True)}
    return frozenset(essential | {container_of(task, definition)})


def judged(task: Mapping[str, Any], counted: frozenset[str] | None) -> TaskRun:
    """How a stopped task ended: well only if every container that is `counted` exited with 0.

    A container without an exit code never ran.
    """
    arn = str(task.get("taskArn", ""))
    containers = {c.get("name"): c for c in task.get("containers") or []}
    names = set(containers) if counted is None else counted
    codes = [(containers.get(name) or {}).get("exitCode") for name in names]
    if codes and all(code == 0 for code in codes):
        return TaskRun(ok=True, text=f"task {task_id(arn)} exited with 0")
    return TaskRun(ok=False, text=f"task {task_id(arn)} failed: {reason_of(task)}")


def _failure(failure: Mapping[str, Any]) -> str:
    return " ".join(str(failure[k]) for k in ("reason", "detail") if failure.get(k))


def task_id(arn: str) -> str:
    """The last part of a task's ARN."""
    return arn.rpartition("/")[2]


STEPS: Mapping[str, Any] = {"task": task, "task_wait": task_wait}
"""Which function takes the look of which step."""
