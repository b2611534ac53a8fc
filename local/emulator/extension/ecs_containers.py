"""Gap closed: much of a task definition does not reach the container.

`entryPoint`, working directory, user, memory, read-only root and health check (`ecs_health`) are
given to Docker. Members of a task definition that ministack does not know are kept, and choices
that nobody made are not answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.services import ecs

from local.emulator.extension.ecs_health import health_check
from local.emulator.extension.private import entry, need, replace, wrap

Data = dict[str, Any]

MEBIBYTE = 1024 * 1024
CHOICES = frozenset({"pidMode", "ipcMode", "stopCode"})
"""Members whose values ECS lists, and which ministack answers as empty text where there is none."""


def run_options(container: Data, definition: Data) -> Data:
    """Arguments for Docker that ministack leaves out."""
    options: Data = {"healthcheck": health_check(container)}
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


def install() -> None:
    """Give Docker the rest of the container definition."""
    for name in ("_task_defs", "json_response"):
        need(ecs, name)

    def building(build: Callable[..., Data]) -> Callable[..., Data]:
        def built(container: Data, definition: Data, *rest: Any) -> Data:
            return {**build(container, definition, *rest), **run_options(container, definition)}

        return built

    wrap(ecs, "_build_run_kwargs", building)
    wrap(ecs, "_ts_to_epoch", _milliseconds)
    wrap(ecs, "json_response", _answering)
    register = _keeping_members(need(ecs, "_register_task_definition"))
    replace(ecs, "_register_task_definition", register)
    entry(ecs, "_ACTION_MAP", "RegisterTaskDefinition", register)
