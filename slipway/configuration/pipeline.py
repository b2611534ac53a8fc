"""A pipeline: what is built from which branch, the services that run it, and how it rolls out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slipway.configuration.base import Part
from slipway.configuration.companions import MOST_TASKS, ScheduledTask, TaskDefinition
from slipway.configuration.services import Service
from slipway.configuration.values import (
    AlarmName,
    Branch,
    BuildName,
    CodeRepositoryName,
    CommitUrl,
    DockerfilePath,
    EcrName,
    EcrRepository,
    EcsName,
    PathPattern,
    PipelineName,
    Platform,
    RelativePath,
    ReportPattern,
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


MOST_SERVICES = 10
"""Of one pipeline: the deployment's row holds what is known of each rollout."""


class PreDeploy(Part):
    """A one-off task of the new revision that has to end well before the service changes."""

    container: EcsName = Field(description="The container whose command is replaced.")
    command: list[str] = Field(min_length=1, description="The command, e.g. a migration.")


class PostDeploy(Part):
    """A one-off task of the new revision that has to end well once the deployment is steady. Else
    the previous version is put back.
    """

    container: EcsName = Field(description="The container whose command is replaced.")
    command: list[str] = Field(min_length=1, description="The command, e.g. a test.")


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
    post_deploy: PostDeploy | None = None
    alarms: list[AlarmName] = Field(
        default=[],
        max_length=50,
        description="CloudWatch alarms of the prod account that must stay quiet for `bake` minutes "
        "after the deployment: names of metric alarms. If one goes off, the previous version is "
        "put back. One that was in ALARM before is judged once it was quiet. "
        "One that ECS or CodeDeploy itself watches in its deployments is left to it.",
    )
    bake: Annotated[int, Field(ge=1, le=180)] | None = Field(
        default=None,
        description="Minutes for which the `alarms` are watched. Default: 5, where there are any.",
    )


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
    """One repository + branch deployed to one ECS service, or to several."""

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
    service: Service | None = Field(
        default=None, description="The ECS service that runs the images: either this or `services`."
    )
    services: list[Service] = Field(
        default=[],
        max_length=MOST_SERVICES,
        description="Several ECS services that run the images, rolled out one after the other in "
        "this order. If one fails, those before it go back to what they ran. `rollout.preDeploy` "
        "is a task of the first one, `rollout.postDeploy` of the last one.",
    )
    together: bool = Field(
        default=False,
        description="true: the `services` are rolled out side by side. If one fails, all go back.",
    )
    scheduled_tasks: list[ScheduledTask] = Field(
        default=[],
        max_length=MOST_TASKS,
        description="Scheduled tasks that are set to the new version after the services, in this "
        "order. If one cannot be set, all that was changed before it goes back.",
    )
    task_definitions: list[TaskDefinition] = Field(
        default=[],
        max_length=MOST_TASKS,
        description="Task definitions without a service and without a schedule. Each gets a new "
        "revision after the services; nothing else is done.",
    )
    rollout: Rollout = Rollout()
    notices: PipelineNotices = PipelineNotices()
    build_timeout: Seconds = Field(
        default=3600, description="Seconds that a build may take. Then it has failed."
    )
    fetch_timeout: Seconds = Field(
        default=600, description="Seconds that a fetch may take. Then it is tried again."
    )

    @property
    def each_service(self) -> list[Service]:
        """`services`, or the one `service`; a rule sees to it that there is one."""
        return self.services if self.service is None else [self.service]

    @property
    def sample(self) -> Service | None:
        """The service, if the prod stack makes it as a sample."""
        return self.service if self.service is not None and self.service.sample else None
