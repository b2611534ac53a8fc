"""What a pipeline has beside its services: scheduled tasks, and task definitions alone."""

from __future__ import annotations

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from slipway.configuration.base import Part
from slipway.configuration.values import BusName, EcsName, RoleArn, RuleName, ScheduleName

MOST_TASKS = 20
"""Of one pipeline: the deployment's row holds what is known of each rollout."""
_RULE_OR_SCHEDULE: JsonDict = {
    "oneOf": [
        {"required": ["rule"], "properties": {"group": {"type": "null"}}},
        {
            "required": ["schedule"],
            "properties": {"bus": {"type": "null"}, "target": {"type": "null"}},
        },
    ]
}


class TaskDefinition(Part):
    """A task definition that no service runs: it is registered with the new images."""

    family: EcsName = Field(description="Its family. The newest ACTIVE revision is the base.")
    containers: list[EcsName] = Field(
        default=[],
        description="The containers that a deployment changes. Default: those that run the "
        "pipeline's images already.",
    )
    roles: list[RoleArn] = Field(
        default=[],
        description="The task role and the execution role that the task definition names. Who "
        "rolls out may pass these roles on, no others, and only to ECS tasks.",
    )


class ScheduledTask(TaskDefinition):
    """An ECS task that EventBridge starts: the target of a rule, or of an EventBridge Scheduler
    schedule. It is set to the new revision once all services are steady and proved.
    """

    model_config = ConfigDict(json_schema_extra=_RULE_OR_SCHEDULE)

    rule: RuleName | None = Field(
        default=None, description="The EventBridge rule: either this or `schedule`."
    )
    bus: BusName | None = Field(
        default=None, description="The rule's event bus. Default: the account's default bus."
    )
    target: RuleName | None = Field(
        default=None,
        description="The id of the rule's target. It is needed where several targets of the rule "
        "run tasks of the family.",
    )
    schedule: ScheduleName | None = Field(
        default=None, description="The schedule of EventBridge Scheduler."
    )
    group: ScheduleName | None = Field(
        default=None, description="The schedule's group. Default: the group `default`."
    )
    family: EcsName = Field(
        description="The family of the task definition that it runs. Where this is the family of "
        "a service of the pipeline, it runs the revision that the service runs. Else the family's "
        "newest ACTIVE revision is the base of a new one."
    )
    target_role: RoleArn = Field(
        description="The role with which EventBridge starts the task, as the target names it. "
        "Who rolls out may pass this role on, and only to EventBridge."
    )
