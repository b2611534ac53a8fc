"""A pipeline: what is built from which branch, the service that runs it, and how it rolls out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from slipway.configuration.base import Part
from slipway.configuration.values import (
    Branch,
    BuildName,
    Cidr,
    CodeDeployName,
    CodeRepositoryName,
    CommitUrl,
    DockerfilePath,
    EcrName,
    EcrRepository,
    EcsName,
    FunctionName,
    LogGroupName,
    PathPattern,
    PipelineName,
    Platform,
    Port,
    RelativePath,
    ReportPattern,
    RoleArn,
    Seconds,
    SecretId,
    SecretSource,
    StageName,
    ValuePath,
)


class CodeRepository(Part):
    """The CodeCommit repository that a pipeline builds from."""

    name: CodeRepositoryName = Field(description="The repository's name in the dev account.")
    create: bool = Field(
        default=False,
        description="true: the dev stack makes it, with a trigger. false: it exists already, "
        "and an EventBridge rule tells of pushes.",
    )


class ImageRepository(Part):
    """The ECR repository that an image is pushed to."""

    name: EcrName = Field(description="The repository's name in the prod account.")
    create: bool = Field(
        default=False,
        description="true: the prod stack makes it, with lifecycle rules; a tag cannot be "
        "changed, but for `latest` and `running.…`. false: it exists already.",
    )
    keep: int = Field(
        default=50,
        ge=5,
        le=1000,
        description="How many images a repository keeps that the prod stack made. What "
        "pipelines run is kept besides.",
    )


class Test(Part):
    """Tests of an image: a stage of its Dockerfile that is built, and then run as a container.

    Its exit code decides: with any but 0 nothing is pushed and nothing is rolled out.
    """

    __test__ = False  # no class of tests

    target: StageName = Field(description="The stage of the Dockerfile that is built and run.")
    command: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        max_length=100,
        description="The command, in place of the stage's CMD; its ENTRYPOINT stays. Default: the "
        "stage's own.",
    )
    reports: list[ReportPattern] = Field(
        default=[],
        max_length=20,
        description="Where the tests write reports in JUnit's XML: paths in the container, such "
        "as `reports/*.xml`. A relative path begins at the stage's WORKDIR; `**` stands for "
        "folders of any depth. The notice counts what they hold. They never decide. Default: none "
        "are read.",
    )
    timeout: Seconds = Field(
        default=1200, description="Seconds that the tests may take. Then they have failed."
    )
    memory: int = Field(
        default=2048,
        ge=64,
        le=1 << 20,
        description="MiB of memory that the container may use. With more it is killed, and the "
        "tests have failed.",
    )
    cpus: Annotated[float, Field(ge=0.1, le=256)] | None = Field(
        default=None,
        description="Processors that the container may use, such as 1.5. Default: all of the "
        "machine's.",
    )
    network: bool = Field(
        default=False,
        description="true: the container has a network, as a step of the build has. false: it "
        "reaches nothing but itself.",
    )


class Image(Part):
    """One image that the pipeline builds, and the containers that run it."""

    repository: ImageRepository
    dockerfile: DockerfilePath = Field(
        default="Dockerfile",
        description="The Dockerfile, a path from the context. It may stand anywhere in the "
        "repository: `../../docker/web.Dockerfile`. Of the ignore files, "
        "`NAME.dockerignore` beside the Dockerfile `NAME` is read before the "
        "context's `.dockerignore`.",
    )
    context: RelativePath = Field(
        default=".", description="The build context: a path in the repository."
    )
    target: StageName | None = Field(
        default=None, description="The stage of the Dockerfile to build. Default: the last one."
    )
    build_arguments: dict[BuildName, str] = Field(
        default={},
        description="The `--build-arg` of docker, by name. `{commit}` in a value becomes the "
        "commit's id. The image keeps them, so put no secret here.",
    )
    build_secrets: dict[SecretId, SecretSource] = Field(
        default={},
        description="Secrets that a step of the Dockerfile may mount, by id. Each is the name "
        "of an SSM parameter, or the ARN of a Secrets Manager secret, in the prod "
        "account.",
    )
    base_repositories: list[EcrRepository] = Field(
        default=[],
        max_length=20,
        description="Private ECR repositories whose images the Dockerfile builds on (`FROM`), "
        "each without a tag. Give the whole URI, or the name alone if it is in the "
        "prod account. The build host may then pull from them. A repository of "
        "another account must allow that in its own policy.",
    )
    platform: Platform | None = Field(
        default=None,
        description="The platform of the image. Default: the build host's; a host builds for "
        "no other.",
    )
    build_cache: bool = Field(
        default=True,
        description="true: what the stages of the Dockerfile made is kept in the image's "
        "repository, under tags that begin with `cache.`, and a host with an empty disk builds "
        "from it. A stage whose files hold a build secret is not kept. A repository that Slipway "
        "did not make must let these tags move. false: such a host runs every step.",
    )
    containers: list[EcsName] = Field(
        default=[],
        description="The containers that run this image. Default: those whose image comes from "
        "this repository already.",
    )
    test: Test | None = None


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


class PreDeploy(Part):
    """A one-off task of the new revision that has to end well before the service changes."""

    container: EcsName = Field(description="The container whose command is replaced.")
    command: list[str] = Field(min_length=1, description="The command, e.g. a migration.")


class Rollout(Part):
    """How a rollout waits and cleans up."""

    healthy_timeout: Seconds = Field(
        default=1800,
        description="Seconds that the new tasks have to become healthy. Else the previous "
        "version is put back.",
    )
    drain_timeout: Seconds = Field(
        default=900,
        description="Seconds that the old tasks have to finish their connections. If they need "
        "longer, nothing is rolled back.",
    )
    max_definitions: int | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="How many revisions of the task definition are kept after a success. "
        "Default: all.",
    )
    new_push: Literal["wait", "takeOver"] = Field(
        default="wait",
        description="What a push does that comes while a rollout is under way. `wait`: it is "
        "built once the rollout has ended, however that ends. `takeOver`: a host wakes at once, "
        "and the rollout ends as superseded before the new one begins.",
    )
    cancel_stale_build: bool = Field(
        default=False,
        description="Whether a push ends the build under way of an older push, so that the newest "
        "commit is built at once. Where pushes come faster than a build ends, none is deployed. "
        "Default: the older build is finished and rolled out first.",
    )
    pre_deploy: PreDeploy | None = None


class PipelineNotices(Part):
    """What is particular in a pipeline's notices."""

    own_webhook: bool = Field(
        default=False,
        description="true: this pipeline has a webhook of its own, and so a channel of its own "
        "(`slipway webhook set --pipeline NAME`).",
    )
    mention_on_failure: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Whom Slack calls when a deployment fails, such as `<!here>` or "
        "`<@U0123456789>`.",
    )
    superseded: bool = Field(
        default=False, description="true: also tell of a push that was dropped for a newer one."
    )
    untouched: bool = Field(
        default=False,
        description="true: also tell of a push that touches none of the pipeline's `paths`. One "
        "after failed deployments is told of in any case.",
    )
    commit_url: CommitUrl | None = Field(
        default=None,
        description="The page of a commit, with `{commit}` for its id. Default: CodeCommit's page.",
    )


class Pipeline(Part):
    """One repository + branch deployed to one ECS service."""

    name: PipelineName = Field(description="Its name in notices, logs and commands.")
    repository: CodeRepository
    branch: Branch = Field(description="The branch whose pushes are deployed.")
    submodules: list[CodeRepositoryName] = Field(
        default=[],
        max_length=50,
        description="The repositories that the code's git submodules come from, nested ones too: "
        "names of CodeCommit repositories of the dev account. Whoever builds may then fetch them. "
        "A submodule of any other place is not fetched, and a build that has it in its context "
        "fails.",
    )
    paths: list[PathPattern] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="The paths in the repository that concern this pipeline, as git's pathspecs. A "
        "push is deployed if a file that they match differs between the commit that runs and the "
        "branch's tip. `!` before a pattern excludes what it matches. Where `**` stands in a "
        "pattern, its `*` stops at `/`; in any other `*` goes past `/`. A folder means all that is "
        "in it. Default: every push is deployed.",
    )
    images: list[Image] = Field(
        min_length=1, max_length=10, description="What is built, and where it goes."
    )
    service: Service
    rollout: Rollout = Rollout()
    notices: PipelineNotices = PipelineNotices()
    build_timeout: Seconds = Field(
        default=3600, description="Seconds that a build may take. Then it has failed."
    )
    fetch_timeout: Seconds = Field(
        default=600, description="Seconds that a fetch may take. Then it is tried again."
    )
