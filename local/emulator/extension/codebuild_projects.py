"""Gap closed: ministack forgets of a project where its logs go, its limit, its network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core.responses import json_response
from ministack.services import codebuild
from ministack.services.cloudformation import provisioners

from local.emulator.extension.private import entry, need, wrap

Data = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

KEPT = ("logsConfig", "queuedTimeoutInMinutes", "concurrentBuildLimit", "vpcConfig", "cache")


def _kept_of_api(handle: Callable[[Data], Response]) -> Callable[[Data], Response]:
    """CreateProject and UpdateProject keep what ministack forgets."""

    def handled(data: Data) -> Response:
        response = handle(data)
        project = codebuild._projects.get(data.get("name") or "")
        if response[0] == 200 and project is not None:
            project.update({name: data[name] for name in KEPT if name in data})
            response = json_response({"project": codebuild._project_shape(project)})
        return response

    return handled


def _kept_of_template(make: Callable[..., Any]) -> Callable[..., Any]:
    """The same, of `AWS::CodeBuild::Project`; the properties are the second-last argument."""

    def made(first: str, *rest: Any) -> Any:
        name, attributes = make(first, *rest)
        given = provisioners._pascal_to_camel(rest[-2])
        project = codebuild._projects[name]
        project.update({key: _numbers(given[key]) for key in KEPT if key in given})
        return name, attributes

    return made


def _numbers(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _kept_shape(shape: Callable[[Data], Data]) -> Callable[[Data], Data]:
    def shown(project: Data) -> Data:
        return {**shape(project), **{name: project[name] for name in KEPT if name in project}}

    return shown


def install() -> None:
    """Keep these, whoever makes the project."""
    need(codebuild, "_projects")
    need(provisioners, "_pascal_to_camel")
    wrap(codebuild, "_project_shape", _kept_shape)
    wrap(codebuild, "_create_project", _kept_of_api)
    wrap(codebuild, "_update_project", _kept_of_api)
    handlers = need(provisioners, "_RESOURCE_HANDLERS")["AWS::CodeBuild::Project"]
    kept = {name: _kept_of_template(handlers[name]) for name in ("create", "update")}
    entry(provisioners, "_RESOURCE_HANDLERS", "AWS::CodeBuild::Project", {**handlers, **kept})
