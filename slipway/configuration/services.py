"""A service that a pipeline deploys, and what deploys it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from slipway.configuration.base import Part
from slipway.configuration.values import (
    Cidr,
    CodeDeployName,
    EcsName,
    FunctionName,
    HttpStatus,
    LogGroupName,
    Needle,
    Port,
    RelativePath,
    RoleArn,
    SmokeUrl,
    ValuePath,
)


class CodeDeployHooks(Part):
    """Lambda functions that CodeDeploy calls in a deployment, as hooks of the AppSpec. CodeDeploy's
    own service role calls them, and waits for each one's word.
    """

    before_install: FunctionName | None = Field(
        default=None, description="Before the new task set is made."
    )
    after_install: FunctionName | None = Field(
        default=None, description="Once the new task set is there, with its target group."
    )
    after_allow_test_traffic: FunctionName | None = Field(
        default=None,
        description="Once the test listener serves the new task set. The group must name one.",
    )
    before_allow_traffic: FunctionName | None = Field(
        default=None, description="Before traffic moves to the new task set."
    )
    after_allow_traffic: FunctionName | None = Field(
        default=None, description="Once the new task set serves all traffic."
    )


class CodeDeploy(Part):
    """What deploys a service whose controller is CODE_DEPLOY: the build host may use no other."""

    application: CodeDeployName = Field(description="The CodeDeploy application.")
    group: CodeDeployName = Field(description="The deployment group of the service.")
    hooks: CodeDeployHooks | None = None


class Smoke(Part):
    """A request that the new version has to answer well, once its deployment is steady. Else the
    previous version is put back. Whoever follows the rollout makes it: the follower, or a build
    host. So it goes to public addresses only.
    """

    url: SmokeUrl = Field(
        description="What is asked for, with GET: http or https, a public host, no user and "
        "password. No redirect is followed. What stands after a `?` is not told in notices."
    )
    status: HttpStatus | list[HttpStatus] = Field(
        default=200,
        description="The status of a good answer, or a list of those that are good. A 3xx is an "
        "answer like others.",
    )
    contains: Needle | None = Field(
        default=None,
        description="A text that a good answer's body contains. 64 KiB of it are read.",
    )
    pattern: Needle | None = Field(
        default=None,
        description='The same, where `*` stands for any text: `"status":*"ok"`. It is no '
        "regular expression: those may take minutes.",
    )
    within: Annotated[int, Field(ge=1, le=1800)] = Field(
        default=60,
        description="Seconds in which a good answer must come. The first one is enough.",
    )


_SAMPLE_OR_NAMED: JsonDict = {
    "if": {"properties": {"sample": {"const": True}}, "required": ["sample"]},
    "then": {"properties": {"cluster": {"type": "null"}, "name": {"type": "null"}}},
    "else": {"required": ["cluster", "name"]},
}


class Service(Part):
    """The ECS service that runs the images: an existing one, or a sample made by the prod stack."""

    model_config = ConfigDict(json_schema_extra=_SAMPLE_OR_NAMED)

    sample: bool = Field(
        default=False,
        description="true: the prod stack makes a small Fargate service, to try Slipway with.",
    )
    cluster: EcsName | None = Field(default=None, description="The existing service's cluster.")
    name: EcsName | None = Field(default=None, description="The existing service's name.")
    family: EcsName | None = Field(
        default=None,
        description="The family of its task definition. Default: the service's name.",
    )
    containers: list[EcsName] = Field(
        default=[],
        description="The containers of this service that a deployment changes. Default: those "
        "that run the pipeline's images already.",
    )
    roles: list[RoleArn] = Field(
        default=[],
        description="The task role and the execution role that the task definition names. The "
        "build host may pass these roles on, no others, and only to ECS tasks.",
    )
    task_definition: RelativePath | None = Field(
        default=None,
        description="A file of the repository that *is* the task definition: JSON (or YAML, by "
        "its name) as RegisterTaskDefinition takes it and `slipway taskdef` writes it. An image "
        "may be a placeholder such as `<IMAGE1_NAME>`, for the first of `images`. Its family and "
        "roles must be those of `family` and `roles`. Default: of what the service runs only the "
        "images change.",
    )
    values: dict[ValuePath, str] = Field(
        default={},
        description="Values of this installation in that file, as `--set` of `slipway taskdef` "
        'takes them: `{"cpu": "512", "web.environment.LEVEL": "debug"}`. Put no secret here.',
    )
    base: Literal["service", "family"] = Field(
        default="service",
        description="Without `taskDefinition`: what a new revision is made from. `service`: what "
        "the service runs. `family`: the family's newest ACTIVE revision, such as Terraform or "
        "the console has registered; then a push rolls that out, too.",
    )
    log_groups: list[LogGroupName] = Field(
        default=[],
        description="The CloudWatch log groups that its containers write to. If a rollout fails, "
        "the notice shows the last lines of a container that stopped. The build host may read "
        "these groups and no others. Default: the notice says where the lines are.",
    )
    smoke: Smoke | None = Field(
        default=None,
        description="What proves the service after its deployment. Default: nothing is asked.",
    )
    code_deploy: CodeDeploy | None = Field(
        default=None,
        description="Only for a service that CodeDeploy deploys (controller CODE_DEPLOY).",
    )
    port: Port = Field(default=8080, description="Sample only: the port that its container opens.")
    allow_from: list[Cidr] = Field(
        default=[], description="Sample only: who may connect to the port. Default: nobody."
    )
    health_command: list[str] = Field(
        default=[],
        description="Sample only: a command that runs in the container every 5 s and tells "
        'whether it is healthy, such as `["CMD-SHELL", "wget -q -O- '
        'localhost:8080"]`. Default: none.',
    )
    health_start_period: Annotated[int, Field(ge=0, le=300)] = Field(
        default=0,
        description="Sample only: seconds after a container's start in which a failed "
        "`healthCommand` does not count.",
    )
    initial_image: str = Field(
        default="public.ecr.aws/nginx/nginx:stable-alpine",
        min_length=1,
        description="Sample only: the image that runs until the first deployment.",
    )
