"""The parts of a configuration: their keys, defaults and what each is for (docs are made of it)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from slipway.configuration.values import (
    Account,
    Ami,
    AvailabilityZone,
    Boundary,
    Branch,
    BuildName,
    Cidr,
    CodeDeployName,
    CodeRepositoryName,
    CommitUrl,
    EcrName,
    EcrRepository,
    EcsName,
    Email,
    InstallationName,
    InstanceType,
    KeyArn,
    LayerArn,
    PipelineName,
    Platform,
    Port,
    PrincipalArn,
    Region,
    Registry,
    RelativePath,
    RetentionDays,
    RoleArn,
    Seconds,
    SecretId,
    SecretSource,
    StageName,
    SubnetId,
    Url,
    VpcId,
)


class Part(BaseModel):
    """A part of the configuration: strict types, no unknown key, not changed afterwards."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
    )


class Side(Part):
    """One of the two accounts."""

    account: Account = Field(description="The account's number. Both sides may name the same one.")
    region: Region | None = Field(
        default=None, description="The region, where it differs from the installation's."
    )
    operators: list[PrincipalArn] = Field(
        default=[],
        description="Dev side only: roles or users of the prod account, beside the reconciler, "
        "that may assume the `tip` role and so ask for the tip of the configured branches.",
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


class BuildHost(Part):
    """The EC2 instances that build. They sleep while there is nothing to do."""

    count: int = Field(default=1, ge=1, le=10, description="How many hosts share the build queue.")
    architecture: Literal["arm64", "x86_64"] = Field(
        default="arm64", description="The hosts' processor. It is what images are built for."
    )
    instance_type: InstanceType = Field(
        default="t4g.medium",
        description="Must fit the architecture. The default is the cheapest for builds of minutes "
        "(`docs/benchmarks.md`, cost model); from half an hour on a c7g.large is.",
    )
    ami: Ami | None = Field(
        default=None,
        description="An Amazon Linux 2023 image of that architecture and region; another one "
        "replaces the hosts. Default: the newest, found once by `slipway prepare` and kept in "
        "`cdk.context.json`.",
    )
    price_per_hour: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="Dollars for an hour of one host, for the dashboard; default: no cost shown.",
    )
    volume_size: int = Field(
        default=50,
        ge=20,
        le=16384,
        description="GiB of the disk; layers are kept on it. Of the default 36 are left for images "
        "and mirrors (`docs/benchmarks.md`, cost model).",
    )
    volume_key: KeyArn | None = Field(
        default=None,
        description="A KMS key of yours for the disks; its policy has to let the account's IAM "
        "policies decide (KMS's default does). Default: AWS's own `aws/ebs`, whatever key the "
        "account's EBS encryption takes by default. Another key replaces the hosts.",
    )
    egress_ports: list[Port] = Field(
        default=[80, 443],
        min_length=1,
        description="TCP ports that the host may connect to. 80 is for package mirrors that "
        "builds fetch from.",
    )


class Network(Part):
    """Where the hosts live: a network made for them, or an existing subnet."""

    availability_zone: AvailabilityZone | None = Field(
        default=None,
        description="Of a made network; default: one that offers the hosts' type, found once by "
        "`slipway prepare` and kept in `cdk.context.json`.",
    )
    cidr: Cidr = Field(default="10.68.0.0/24", description="The address range of a made network.")
    vpc_id: VpcId | None = Field(
        default=None, description="An existing VPC, in place of a made one."
    )
    subnet_id: SubnetId | None = Field(
        default=None, description="The subnet of the existing VPC that hosts are put into."
    )
    public_address: bool = Field(
        default=True,
        description="Hosts get a public address. false where the subnet has another way out.",
    )


class Notices(Part):
    """Who is told."""

    slack: bool = Field(default=True, description="Notices go to a Slack channel.")
    emails: list[Email] = Field(
        default=[], max_length=20, description="Addresses that get the same as plain text."
    )


class Lambdas(Part):
    """Settings that the functions share."""

    powertools_layer: LayerArn | None = Field(
        default=None,
        description="Powertools' layer for python3.13 on arm64; default: the public one of the "
        "release in `requirements.txt`. Needed in GovCloud, where AWS does not say "
        "which layer that is.",
    )
    log_retention_days: RetentionDays = Field(
        default=90, description="How long logs of functions and builds are kept."
    )
    reconcile_every_minutes: int = Field(
        default=5, ge=1, le=60, description="How often the reconciler looks."
    )


class Alarms(Part):
    """When somebody is woken."""

    oldest_request_minutes: int = Field(
        default=90, ge=5, description="A request that waits longer raises an alarm."
    )
    awake_hours: int = Field(
        default=4, ge=1, le=24, description="A host that is awake longer raises an alarm."
    )


class LimitSettings(Part):
    """The protocol's times, in seconds."""

    idle_period: Seconds = Field(
        default=300,
        description="A host without work says it is idle. The default is the longest at which a "
        "boot avoided costs less than a deployment's work (`docs/benchmarks.md`, idle period).",
    )
    heartbeat: Seconds = Field(default=30, description="Between two signs of life of a host.")
    visibility: Annotated[int, Field(ge=10, le=43200)] = Field(
        default=360, description="A held request comes back this long after its last renewal."
    )
    lock_ttl: Seconds = Field(default=330, description="A pipeline lock ends without renewal.")
    stop_claim: Annotated[int, Field(ge=60, le=3600)] = Field(
        default=120, description="A claim to stop a host ends; longer than the stopper can live."
    )
    no_heartbeat: Seconds = Field(default=600, description="A silent host is stopped.")
    no_progress: Seconds = Field(default=3900, description="A host stuck in a stage is stopped.")
    awake_long: Seconds = Field(default=14400, description="A host is said to be awake long.")
    republish_after: Seconds = Field(default=900, description="A lost request is sent again.")
    drift_every: Seconds = Field(default=900, description="Between two looks at the tips.")
    drift_age: Seconds = Field(default=300, description="How old a missed tip has to be.")
    give_up_after: Seconds = Field(default=21600, description="A request is given up.")
    max_attempts: Annotated[int, Field(ge=1, le=50)] = Field(
        default=8, description="Failed attempts (not seconds) after which it is given up."
    )
    settled_kept: Annotated[int, Field(ge=40 * 86400, le=400 * 86400)] = Field(
        default=40 * 86400,
        description="Settled ids are known: longer than SNS and SQS together can hold a duplicate.",
    )
    deployments_kept: Annotated[int, Field(ge=86400, le=3 * 366 * 86400)] = Field(
        default=400 * 86400, description="Deployments are kept for `history` and `report`."
    )


class Local(Part):
    """One machine in place of two accounts: set by the local run, never in AWS.

    What differs in the stacks then is in `infra/local_differences.py`, each difference listed.
    """

    registry: Registry = Field(
        description="The registry that images are pushed to, in place of ECR's."
    )
    git_base_url: Url = Field(description="Git remotes are `<this>/<repository>`.")


class Configuration(Part):
    """Everything that one installation of Slipway is told."""

    name: InstallationName = Field(
        default="slipway",
        description="Names of all resources start with it. Another name is another "
        "installation, e.g. `slipway-stage` beside `slipway`.",
    )
    region: Region = Field(description="The region of both stacks.")
    dev: Side = Field(description="The account that is pushed to.")
    prod: Side = Field(description="The account that builds and runs.")
    pipelines: list[Pipeline] = Field(min_length=1, max_length=100)
    build_host: BuildHost
    network: Network = Network()
    notices: Notices = Notices()
    lambdas: Lambdas = Lambdas()
    alarms: Alarms = Alarms()
    limits: LimitSettings = LimitSettings()
    operator_policies: bool = Field(
        default=True,
        description="true: the prod stack makes the policies `<name>-read`, `<name>-operate` and "
        "`<name>-webhook`, to be attached to the roles of who runs `slipway`.",
    )
    customer_key: bool = Field(
        default=False,
        description="true: topics and queues of the prod stack are encrypted under one KMS key "
        "made for them ($1 a month), `alias/<name>`. false: topics without a key, queues under "
        "SQS's own.",
    )
    permissions_boundary: Boundary | None = Field(
        default=None,
        description="A policy set as the boundary of every role, on both sides: AWS's own by its "
        "ARN; one of yours by its name (with its path), for it has to be in either account. "
        "What it takes away is gone: `slipway doctor` says which of a role's actions.",
    )
    tags: dict[str, str] = Field(default={}, max_length=40, description="Tags of every resource.")
    local: Local | None = Field(default=None, description="Only for the run on one machine.")

    @property
    def dev_region(self) -> str:
        return self.dev.region or self.region

    @property
    def prod_region(self) -> str:
        return self.prod.region or self.region

    @property
    def platform(self) -> Platform:
        """What the build host builds for."""
        return "linux/arm64" if self.build_host.architecture == "arm64" else "linux/amd64"

    @property
    def partition(self) -> str:
        """Of all regions of the installation; a rule sees to that."""
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"
