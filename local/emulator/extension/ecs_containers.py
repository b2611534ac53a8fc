"""Gap closed: much of a task definition does not reach the container.

`entryPoint`, working directory, user, memory, read-only root and health check are given to Docker.
A service's task counts as up only when its health check says healthy, and one that becomes
unhealthy is replaced, which the circuit breaker counts. As in ECS, a HEALTHCHECK in the image is
not looked at. Members of a task definition that ministack does not know are kept, and choices that
nobody made are not answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ecs

from local.emulator.extension.private import entry, need, replace, wrap
from local.emulator.settings import EmulatorSettings

Data = dict[str, Any]

SECOND = 1_000_000_000
MEBIBYTE = 1024 * 1024
CHOICES = frozenset({"pidMode", "ipcMode", "stopCode"})
"""Members whose values ECS lists, and which ministack answers as empty text where there is none."""
NO_HEALTH_CHECK = {"test": ["NONE"]}


def health_check(container: Data, longest_interval: float) -> Data:
    """Docker's health check for a container definition; defaults are ECS's (30 s, 5 s, 3).

    The interval is cut to `longest_interval` seconds, so that a local rollout need not wait.
    """
    wanted = container.get("healthCheck")
    if not wanted or not wanted.get("command"):
        return NO_HEALTH_CHECK
    return {
        "test": list(wanted["command"]),
        "interval": int(min(wanted.get("interval") or 30, longest_interval) * SECOND),
        "timeout": int((wanted.get("timeout") or 5) * SECOND),
        "retries": int(wanted.get("retries") or 3),
        "start_period": int((wanted.get("startPeriod") or 0) * SECOND),
    }


def run_options(container: Data, definition: Data, longest_interval: float) -> Data:
    """Arguments for Docker that ministack leaves out."""
    options: Data = {"healthcheck": health_check(container, longest_interval)}
    if container.get("entryPoint"):
        options["entrypoint"] = list(container["entryPoint"])
    if container.get("workingDirectory"):
        options["working_dir"] = container["workingDirectory"]
    if container.get("user"):
        options["user"] = container["user"]
    memory = container.get("memory") or definition.get("memory")
    if memory:
        options["mem_limit"] = int(memory) * MEBIBYTE
    if container.get("readonlyRootFilesystem"):
        options["read_only"] = True
    if (container.get("linuxParameters") or {}).get("initProcessEnabled"):
        options["init"] = True
    return options


class TaskHealth:
    """Follows the health of tasks that have health checks."""

    def watching(self, look: Callable[..., Any]) -> Callable[..., Any]:
        """ministack looks at each running task ten times a second; look at its health as well."""

        def looked(task: Data, client: Any = None) -> Any:
            result = look(task, client)
            if task.get("_health_checked") and task.get("lastStatus") == "RUNNING":
                self._look(task, client or ecs._get_docker())
            return result

        return looked

    def _look(self, task: Data, client: Any) -> None:
        states = []
        for index, docker_id in enumerate(list(task.get("_docker_ids") or [])):
            if index not in task["_health_checked"]:
                continue
            state = health_of(client, docker_id)
            states.append(state)
            task["containers"][index]["healthStatus"] = state
        before = task.get("healthStatus")
        task["healthStatus"] = _worst(states)
        if before != "HEALTHY" and task["healthStatus"] == "HEALTHY":
            _let_the_rollout_see(task)
        elif task["healthStatus"] == "UNHEALTHY" and task.get("group", "").startswith("service:"):
            _replace_unhealthy(task, client)

    def confirming(self, confirm: Callable[..., Any]) -> Callable[..., Any]:
        """A task with health checks has survived its start only when it is healthy."""

        def confirmed(service_key: str, task: Data) -> Any:
            if task.get("_health_checked") and task.get("healthStatus") != "HEALTHY":
                return None
            return confirm(service_key, task)

        return confirmed

    def starting(self, start: Callable[..., Any]) -> Callable[..., Any]:
        """Remember which containers of a task have a health check."""

        def started(task: Data, definition: Data, *rest: Any) -> Any:
            task["_health_checked"] = [
                index
                for index, container in enumerate(definition.get("containerDefinitions", []))
                if (container.get("healthCheck") or {}).get("command")
            ]
            return start(task, definition, *rest)

        return started


def health_of(client: Any, docker_id: str) -> str:
    """ECS's word for what Docker says of a container's health.

    Docker calls a container that has ended unhealthy; what counts then is that it ended.
    """
    import docker.errors  # noqa: PLC0415

    try:
        state = client.api.inspect_container(docker_id)["State"]
    except docker.errors.DockerException:
        return "UNKNOWN"
    if not state.get("Running"):
        return "UNKNOWN"
    docker_word = (state.get("Health") or {}).get("Status", "")
    return {"healthy": "HEALTHY", "unhealthy": "UNHEALTHY"}.get(docker_word, "UNKNOWN")


def _worst(states: list[str]) -> str:
    for state in ("UNHEALTHY", "UNKNOWN"):
        if state in states:
            return state
    return "HEALTHY"


def _let_the_rollout_see(task: Data) -> None:
    cluster = ecs._cluster_name_from_arn(task.get("clusterArn", ""))
    group = task.get("group", "")
    if cluster and group.startswith("service:"):
        ecs._schedule_service_deployment_completion(
            cluster,
            f"{cluster}/{group.split(':', 1)[1]}",
            get_account_id(),
            get_region(),
            healthy_task=task,
        )


def _replace_unhealthy(task: Data, client: Any) -> None:
    stopped = ecs._mark_task_stopped(
        task["taskArn"], task, "Task failed container health checks", "ServiceSchedulerInitiated"
    )
    if stopped:
        ecs._cleanup_task_resources(task, client)
        ecs._record_service_task_failure(task)


def _keeping_members(register: Callable[[Data], Any]) -> Callable[[Data], Any]:
    """RegisterTaskDefinition drops what it does not know; ECS keeps it."""

    def registered(data: Data) -> Any:
        response = register(data)
        if response[0] >= 400:
            return response
        answer = json.loads(response[2])
        shown = answer["taskDefinition"]
        stored = ecs._task_defs[f"{shown['family']}:{shown['revision']}"]
        for member, value in data.items():
            if member != "tags":
                stored.setdefault(member, value)
        return ecs.json_response({"taskDefinition": stored, "tags": answer.get("tags", [])})

    return registered


def without_empty_choices(value: Any) -> Any:
    """An answer without members of `CHOICES` that are empty: ECS leaves them out."""
    if isinstance(value, list):
        return [without_empty_choices(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: without_empty_choices(member)
        for name, member in value.items()
        if member or name not in CHOICES
    }


def _milliseconds(_whole_seconds: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """ECS's times have milliseconds; cut to seconds, two deployments look alike."""
    from datetime import datetime  # noqa: PLC0415

    def epoch(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
        except ValueError:
            return value

    return epoch


def _answering(respond: Callable[..., Any]) -> Callable[..., Any]:
    def responded(data: Any, *rest: Any, **more: Any) -> Any:
        return respond(without_empty_choices(data), *rest, **more)

    return responded


def install(settings: EmulatorSettings) -> None:
    """Give Docker the rest of the container definition."""
    for name in (
        "_get_docker",
        "_cluster_name_from_arn",
        "_schedule_service_deployment_completion",
        "_mark_task_stopped",
        "_cleanup_task_resources",
        "_record_service_task_failure",
        "_task_defs",
        "json_response",
    ):
        need(ecs, name)
    health = TaskHealth()

    def building(build: Callable[..., Data]) -> Callable[..., Data]:
        def built(container: Data, definition: Data, *rest: Any) -> Data:
            options = run_options(container, definition, settings.health_interval_seconds)
            return {**build(container, definition, *rest), **options}

        return built

    wrap(ecs, "_build_run_kwargs", building)
    wrap(ecs, "_maybe_mark_stopped", health.watching)
    wrap(ecs, "_record_service_task_healthy", health.confirming)
    wrap(ecs, "_start_task_worker", health.starting)
    wrap(ecs, "_ts_to_epoch", _milliseconds)
    wrap(ecs, "json_response", _answering)
    register = _keeping_members(need(ecs, "_register_task_definition"))
    replace(ecs, "_register_task_definition", register)
    entry(ecs, "_ACTION_MAP", "RegisterTaskDefinition", register)
