"""A pipeline: what is built from which branch, the service that runs it, and how it rolls out."""

from __future__ import annotations

from pydantic import Field

from slipway.configuration.base import Part
from slipway.configuration.values import (
    Branch,
    BuildName,
    Cidr,
    CodeDeployName,
    CodeRepositoryName,
    CommitUrl,
    EcrName,
    EcrRepository,
    EcsName,
    PipelineName,
    Platform,
    Port,
    RelativePath,
    RoleArn,
    Seconds,
    SecretId,
    SecretSource,
    StageName,
)


class CodeRepository(Part):
    """The CodeCommit repository that a pipeline builds from."""

    name: CodeRepositoryName = Field(description="The repository's name in the dev account.")
    create: bool = Field(
        default=False,
        description="true: made by the dev stack, with a trigger. false: it exists; "
        "an EventBridge rule tells of pushes.",
    )


class ImageRepository(Part):
    """The ECR repository that an image is pushed to."""

    name: EcrName = Field(description="The repository's name in the prod account.")
    create: bool = Field(
        default=False,
        description="true: made by the prod stack, with lifecycle rules and immutable tags "
        "(but `latest` and `running.…`). false: it exists.",
    )
    keep: int = Field(
        default=50,
        ge=5,
        le=1000,
        description="How many images a created repository keeps, besides those that pipelines run.",
    )


class Image(Part):
    """One image that the pipeline builds, and the containers that run it."""

    repository: ImageRepository
    dockerfile: RelativePath = Field(
        default="Dockerfile",
        description="Path from the context. `NAME.dockerignore` beside it goes before the"
        " context's `.dockerignore`.",
    )
    context: RelativePath = Field(
        default=".", description="The build context, a path in the repository."
    )
    target: StageName | None = Field(default=None, description="A stage of the Dockerfile.")
    build_arguments: dict[BuildName, str] = Field(
        default={},
        description="docker's `--build-arg`s; `{commit}` in a value becomes the commit's id. "
        "They are kept in the image: no secrets here.",
    )
    build_secrets: dict[SecretId, SecretSource] = Field(
        default={},
        description="BuildKit secrets: id to the name of an SSM parameter or the ARN of a "
        "Secrets Manager secret, in the prod account.",
    )
    base_repositories: list[EcrRepository] = Field(
        default=[],
        max_length=20,
        description="Private ECR repositories that the Dockerfile names after FROM, without a tag: "
        "the whole URI, or the name of one of the prod account's. The build host may pull from "
        "them and is logged in to them. Of another account's its own policy must let it.",
    )
    platform: Platform | None = Field(
        default=None, description="Default: the build host's. It builds for no other."
    )
    containers: list[EcsName] = Field(
        default=[],
        description="The containers whose image this is. None named: those whose image "
        "already comes from this repository.",
    )


class CodeDeploy(Part):
    """What deploys a service whose controller is CODE_DEPLOY: the build host may use no other."""

    application: CodeDeployName = Field(description="The CodeDeploy application.")
    group: CodeDeployName = Field(description="The deployment group of the service.")


class Service(Part):
    """The ECS service that runs the images: an existing one, or a sample made by the prod stack."""

    sample: bool = Field(
        default=False,
        description="true: the prod stack makes a small Fargate service, to try Slipway with.",
    )
    cluster: EcsName | None = Field(default=None, description="The existing service's cluster.")
    name: EcsName | None = Field(default=None, description="The existing service's name.")
    family: EcsName | None = Field(
        default=None,
        description="The family of its task definition; default: the service's name.",
    )
    roles: list[RoleArn] = Field(
        default=[],
        description="The task role and the execution role that its task definition names: the "
        "only roles that the build host may pass on, and only to ECS tasks.",
    )
    code_deploy: CodeDeploy | None = Field(
        default=None, description="Where the service's controller is CODE_DEPLOY."
    )
    port: Port = Field(default=8080, description="Sample only: the port that its container opens.")
    allow_from: list[Cidr] = Field(
        default=[], description="Sample only: who may connect to the port. Default: nobody."
    )
    health_command: list[str] = Field(
        default=[],
        description="Sample only: the container's health check, run inside it every 5 s, in ECS's "
        'form such as `["CMD-SHELL", "wget -q -O- localhost:8080"]`. Default: none.',
    )
    initial_image: str = Field(
        default="public.ecr.aws/nginx/nginx:stable-alpine",
        min_length=1,
        description="Sample only: the image that runs until the first deployment.",
    )


class PreDeploy(Part):
    """A one-off task of the new revision that has to end well before the service changes."""

    container: EcsName = Field(description="The container whose command is replaced.")
    command: list[str] = Field(min_length=1, description="The command, e.g. a migration.")


class Rollout(Part):
    """How a rollout waits and cleans up."""

    healthy_timeout: Seconds = Field(
        default=1800, description="Seconds within which the new tasks have to be healthy."
    )
    drain_timeout: Seconds = Field(
        default=900,
        description="Seconds for the old tasks to drain; overrunning never rolls back.",
    )
    max_definitions: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="How many revisions of the task definition stay after a success; default: all.",
    )
    pre_deploy: PreDeploy | None = None


class PipelineNotices(Part):
    """What is particular in a pipeline's notices."""

    own_webhook: bool = Field(
        default=False,
        description="true: this pipeline has a webhook, and so a channel, of its own "
        "(`slipway webhook set --pipeline NAME`).",
    )
    mention_on_failure: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Whom Slack calls on a failure, e.g. `<!here>` or `<@U0123456789>`.",
    )
    superseded: bool = Field(
        default=False, description="true: also a notice for a push that a newer one overtook."
    )
    commit_url: CommitUrl | None = Field(
        default=None,
        description="Where a person reads a commit, with `{commit}`; default: CodeCommit's page.",
    )


class Pipeline(Part):
    """One repository + branch deployed to one ECS service."""

    name: PipelineName = Field(description="Its name in notices, logs and commands.")
    repository: CodeRepository
    branch: Branch = Field(description="The branch whose pushes are deployed.")
    images: list[Image] = Field(
        min_length=1, max_length=10, description="What is built, and where it goes."
    )
    service: Service
    rollout: Rollout = Rollout()
    notices: PipelineNotices = PipelineNotices()
    build_timeout: Seconds = Field(default=3600, description="Seconds that a build may take.")
    fetch_timeout: Seconds = Field(default=600, description="Seconds that a fetch may take.")
