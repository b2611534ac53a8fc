"""What a pipeline deploys to: services, and what comes after them, as Lambdas and agent know it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SmokeSettings:
    """The request that a service's new version has to answer well; `within` in seconds.

    `contains`: a text that the body has; `pattern`: the same, where `*` stands for any text.
    """

    url: str
    status: tuple[int, ...] = (200,)
    contains: str | None = None
    pattern: str | None = None
    within: int = 60


@dataclass(frozen=True, kw_only=True)
class CodeDeploySettings:
    """The CodeDeploy application and deployment group that deploy a service.

    `hooks`: the AppSpec's, lifecycle event to Lambda function.
    """

    application: str
    group: str
    hooks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """One ECS service of a pipeline that has several; the members are those of PipelineSettings.

    `containers`: those that a deployment changes. Empty: those that run the images already.
    """

    cluster: str
    service: str
    family: str | None = None
    log_groups: tuple[str, ...] = ()
    code_deploy: CodeDeploySettings | None = None
    task_definition: str | None = None
    values: dict[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    base: Literal["service", "family"] = "service"
    containers: tuple[str, ...] = ()
    smoke: SmokeSettings | None = None


@dataclass(frozen=True, kw_only=True)
class ScheduledTaskSettings:
    """A scheduled task of a pipeline: the ECS target of an EventBridge rule, or of a schedule.

    `place`: the rule's event bus, or the schedule's group; None: the default one. `target`: its id
    among the rule's targets. `target_role`: the role with which EventBridge starts the task.
    """

    kind: Literal["rule", "schedule"]
    name: str
    family: str
    place: str | None = None
    target: str | None = None
    containers: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    target_role: str | None = None


@dataclass(frozen=True, kw_only=True)
class DefinitionSettings:
    """A task definition of a pipeline that no service runs: it is only registered."""

    family: str
    containers: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
