"""The configuration: context key `slipway` of cdk.json, or a file of the same shape.

Keys are camelCase. Everything is checked before a stack is made; each fault is told by its path,
its value and what is allowed. This module knows no CDK, so that `slipway config check` is quick.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import core_schema

from contracts.errors import InvalidConfiguration
from contracts.installation import LEAST_LOCK
from contracts.messages import PIPELINE_NAME

CONTEXT_KEY = "slipway"
MOST_SAMPLES = 50
MOST_CREATED_IMAGES = 150
"""CloudFormation allows 500 resources in a stack: with these, prod stays below it."""


@dataclass(frozen=True)
class _Checked:
    """A text that `check` accepts; `allowed` says in words which, in errors and in the docs."""

    check: Callable[[str], bool]
    allowed: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._value, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "allowed": self.allowed}

    def _value(self, value: str) -> str:
        if not self.check(value):
            raise ValueError(f"must be {self.allowed}")
        return value


def _pattern(pattern: str, allowed: str) -> _Checked:
    """A text that matches `pattern` as a whole."""
    compiled = re.compile(pattern)
    return _Checked(lambda value: compiled.fullmatch(value) is not None, allowed)


def _is_inside_repository(value: str) -> bool:
    relative = value != "" and not value.startswith(("/", "-"))
    return relative and value.isprintable() and ".." not in value.split("/")


def _is_branch(value: str) -> bool:
    return bool(
        re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", value)
        and not value.startswith("-")
        and not value.endswith(".")
        and ".." not in value
        and all(part and part[0] != "." and part[-5:] != ".lock" for part in value.split("/"))
    )


Account = Annotated[str, _pattern(r"[0-9]{12}", "an account number of 12 digits")]
Region = Annotated[
    str, _pattern(r"[a-z]{2}(-[a-z]+)+-[0-9]", "a region's name such as eu-central-1")
]
InstallationName = Annotated[
    str,
    _pattern(r"[a-z][a-z0-9-]{0,23}", "1 to 24 lower-case letters, digits and '-', a letter first"),
]
PipelineName = Annotated[
    str,
    _pattern(PIPELINE_NAME, "1 to 40 lower-case letters, digits and '-', a letter first"),
]
CodeRepositoryName = Annotated[
    str,
    _pattern(
        r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,100}(?<!\.git)",
        "1 to 100 letters, digits, '.', '_' and '-', not '.', '..' or with '.git' at the end",
    ),
]
Branch = Annotated[
    str, _Checked(_is_branch, "a branch name of letters, digits, '.', '_', '-' and '/'")
]
RelativePath = Annotated[
    str, _Checked(_is_inside_repository, "a relative path inside the repository, without '..'")
]
EcrName = Annotated[
    str,
    _pattern(
        r"(?=.{2,256}\Z)[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*",
        "an ECR repository name: lower-case letters, digits, single '.', '_', '-' and '/'",
    ),
]
EcsName = Annotated[str, _pattern(r"[A-Za-z0-9_-]{1,255}", "letters, digits, '_' and '-'")]
CodeDeployName = Annotated[
    str, _pattern(r"[A-Za-z0-9._+=,@-]{1,100}", "1 to 100 letters, digits and '._+=,@-'")
]
BuildName = Annotated[
    str, _pattern(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "a name of letters, digits and '_'")
]
StageName = Annotated[
    str, _pattern(r"[A-Za-z][A-Za-z0-9_.-]{0,127}", "a stage's name: letters, digits, '_.-'")
]
SecretId = Annotated[
    str, _pattern(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits, '_', '.' and '-'")
]
SecretSource = Annotated[
    str,
    _pattern(
        r"/[A-Za-z0-9_./-]{1,1000}|arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:\S+",
        "an SSM parameter's name that starts with '/', or a Secrets Manager secret's ARN",
    ),
]
RoleArn = Annotated[
    str, _pattern(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/\S{1,512}", "the ARN of an IAM role")
]
PrincipalArn = Annotated[
    str,
    _pattern(
        r"arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/\S{1,512}", "the ARN of an IAM role or user"
    ),
]
PolicyArn = Annotated[
    str,
    _pattern(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/\S{1,512}", "an IAM policy's ARN"),
]
LayerArn = Annotated[
    str,
    _pattern(
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]+:[0-9]+",
        "the ARN of a Lambda layer's version",
    ),
]
Email = Annotated[str, _pattern(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")]
Url = Annotated[str, _pattern(r"https?://[^\s{}]+", "an http or https URL")]
CommitUrl = Annotated[
    str, _pattern(r"https?://\S*\{commit\}\S*", "an http or https URL that holds {commit}")
]
Cidr = Annotated[
    str, _pattern(r"([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}", "an IPv4 range such as 10.68.0.0/24")
]
Ami = Annotated[str, _pattern(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", "an AMI's id, ami-…")]
Seconds = Annotated[int, Field(ge=1, le=400 * 86400)]
Port = Annotated[int, Field(ge=1, le=65535)]
Platform = Literal["linux/arm64", "linux/amd64"]
RetentionDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]


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
        "(but `latest`). false: it exists.",
    )
    keep: int = Field(
        default=50, ge=5, le=1000, description="How many images a created repository keeps."
    )


class Image(Part):
    """One image that the pipeline builds, and the containers that run it."""

    repository: ImageRepository
    dockerfile: RelativePath = Field(default="Dockerfile", description="Path in the repository.")
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
    instance_type: Annotated[
        str, _pattern(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "an instance type such as t4g.medium")
    ] = Field(
        default="t4g.medium",
        description="Must fit the architecture. The default is the cheapest for builds of minutes "
        "(`docs/benchmarks.md`, cost model); from half an hour on a c7g.large is.",
    )
    ami: Ami = Field(
        description="An Amazon Linux 2023 image of that architecture and region, pinned: "
        "another one replaces the hosts. `docs/operating.md` says how to find it."
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
    egress_ports: list[Port] = Field(
        default=[80, 443],
        min_length=1,
        description="TCP ports that the host may connect to. 80 is for package mirrors that "
        "builds fetch from.",
    )


class Network(Part):
    """Where the hosts live: a network made for them, or an existing subnet."""

    availability_zone: (
        Annotated[
            str,
            _pattern(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]", "an availability zone, e.g. eu-central-1a"),
        ]
        | None
    ) = Field(default=None, description="Of a made network; default: the region's `a`.")
    cidr: Cidr = Field(default="10.68.0.0/24", description="The address range of a made network.")
    vpc_id: Annotated[str, _pattern(r"vpc-[0-9a-f]{8,17}", "a VPC's id, vpc-…")] | None = Field(
        default=None, description="An existing VPC, in place of a made one."
    )
    subnet_id: (
        Annotated[str, _pattern(r"subnet-[0-9a-f]{8,17}", "a subnet's id, subnet-…")] | None
    ) = Field(default=None, description="The subnet of the existing VPC that hosts are put into.")
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
        description="Powertools' layer for python3.13 on arm64; default: its public layer in "
        "the region, at a pinned version.",
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

    registry: Annotated[
        str, _pattern(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", "a registry's host[:port]")
    ] = Field(description="The registry that images are pushed to, in place of ECR's.")
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
    permissions_boundary: PolicyArn | None = Field(
        default=None, description="A policy set as the boundary of every role."
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
        for prefix, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
            if self.region.startswith(prefix):
                return partition
        return "aws"

    @classmethod
    def parse(cls, data: Any) -> Self:
        """The configuration that `data` (JSON values) is; InvalidConfiguration names each fault."""
        try:
            configuration = cls.model_validate(data)
        except ValidationError as error:
            raise InvalidConfiguration(_problems(error)) from None
        problems = [fault for rule in _RULES for fault in rule(configuration)]
        if problems:
            raise InvalidConfiguration(problems)
        return configuration


Fault = tuple[str, str]


def load(path: Path) -> Configuration:
    """The configuration in a file: cdk.json (its context key `slipway`), or the value itself."""
    return Configuration.parse(read(path))


def read(path: Path) -> Any:
    """The raw value in a file, or InvalidConfiguration with the path `$`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfiguration([("$", f"cannot read {path}: {error.strerror}")]) from None
    except (ValueError, RecursionError) as error:
        raise InvalidConfiguration([("$", f"{path} is not JSON: {error}")]) from None
    if isinstance(data, dict) and "app" in data:
        context = data.get("context", {})
        if not isinstance(context, dict) or CONTEXT_KEY not in context:
            raise InvalidConfiguration([(f"context.{CONTEXT_KEY}", f"is missing in {path}")])
        return context[CONTEXT_KEY]
    return data


def _problems(error: ValidationError) -> list[Fault]:
    return [(_path(e["loc"]), _problem(dict(e))) for e in error.errors(include_url=False)]


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return _printable(path) or "$"


def _problem(error: dict[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a known key here"
    text = str(context.get("error", "")) if kind == "value_error" else error["msg"]
    text = re.sub(r"^Input should be", "must be", text)
    return f"{_shown(error.get('input'))}: {text}"


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "..."
    return _printable(text if len(text) <= 80 else text[:77] + "...")


def _printable(text: str) -> str:
    """`text` as a terminal shows it: what is no character to be seen is written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _unique_names(c: Configuration) -> list[Fault]:
    seen: set[str] = set()
    faults = []
    for index, pipeline in enumerate(c.pipelines):
        if pipeline.name in seen:
            faults.append((f"pipelines[{index}].name", f'"{pipeline.name}": is taken already'))
        seen.add(pipeline.name)
    return faults


def _one_pipeline_per_service(c: Configuration) -> list[Fault]:
    owners: dict[tuple[str | None, str | None], str] = {}
    faults = []
    for index, pipeline in enumerate(c.pipelines):
        if pipeline.service.sample:
            continue
        key = (pipeline.service.cluster, pipeline.service.name)
        owner = owners.setdefault(key, pipeline.name)
        if owner != pipeline.name:
            problem = f"{key[0]}/{key[1]} is deployed by pipeline {owner!r}: one pipeline a service"
            faults.append((f"pipelines[{index}].service", problem))
    return faults


def _whole_service(c: Configuration) -> list[Fault]:
    faults = []
    for index, pipeline in enumerate(c.pipelines):
        service, path = pipeline.service, f"pipelines[{index}].service"
        for key in ("cluster", "name"):
            given = getattr(service, key) is not None
            if service.sample and given:
                faults.append((f"{path}.{key}", "is not allowed where sample is true"))
            if not service.sample and not given:
                faults.append((f"{path}.{key}", "is missing (or set sample to true)"))
        if service.sample and len(pipeline.images) > 1:
            faults.append((f"pipelines[{index}].images", "a sample service has one image"))
    return faults


def _same_everywhere(c: Configuration) -> list[Fault]:
    """A repository named twice is meant once: `create` and `keep` may not contradict."""
    faults: list[Fault] = []
    code: dict[str, CodeRepository] = {}
    images: dict[str, ImageRepository] = {}
    for i, pipeline in enumerate(c.pipelines):
        wanted = pipeline.repository
        if code.setdefault(wanted.name, wanted) != wanted:
            faults.append(
                (f"pipelines[{i}].repository", f'"{wanted.name}": is said differently above')
            )
        for j, image in enumerate(pipeline.images):
            place = image.repository
            if images.setdefault(place.name, place) != place:
                path = f"pipelines[{i}].images[{j}].repository"
                faults.append((path, f'"{place.name}": is said differently above'))
    return faults


def _few_samples(c: Configuration) -> list[Fault]:
    """A sample is four resources; CloudFormation allows 500 in a stack."""
    samples = sum(p.service.sample for p in c.pipelines)
    if samples <= MOST_SAMPLES:
        return []
    return [("pipelines", f"{samples} sample services: at most {MOST_SAMPLES} are made")]


def _few_created_images(c: Configuration) -> list[Fault]:
    created = {i.repository.name for p in c.pipelines for i in p.images if i.repository.create}
    if len(created) <= MOST_CREATED_IMAGES:
        return []
    problem = f"{len(created)} image repositories to be created: at most {MOST_CREATED_IMAGES} are"
    return [("pipelines", f"{problem}; make the others yourself, with create false")]


def _host_builds_it(c: Configuration) -> list[Fault]:
    return [
        (
            f"pipelines[{i}].images[{j}].platform",
            f'"{image.platform}": the build host builds for {c.platform} only',
        )
        for i, pipeline in enumerate(c.pipelines)
        for j, image in enumerate(pipeline.images)
        if image.platform not in (None, c.platform)
    ]


def _image_repositories_apart(c: Configuration) -> list[Fault]:
    faults = []
    for i, pipeline in enumerate(c.pipelines):
        names = [image.repository.name for image in pipeline.images]
        faults += [
            (f"pipelines[{i}].images[{j}].repository.name", f'"{name}": each image needs its own')
            for j, name in enumerate(names)
            if name in names[:j]
        ]
    return faults


def _whole_network(c: Configuration) -> list[Fault]:
    n = c.network
    if (n.vpc_id is None) == (n.subnet_id is None):
        zone = n.availability_zone
        if zone is not None and not zone.startswith(c.prod_region):
            return [("network.availabilityZone", f'"{zone}": is not in {c.prod_region}')]
        return []
    missing = "subnetId" if n.subnet_id is None else "vpcId"
    return [(f"network.{missing}", "is missing: vpcId and subnetId go together")]


def _code_repository_limits(c: Configuration) -> list[Fault]:
    """CodeCommit: 10 triggers a repository, 10 branches a trigger."""
    branches: dict[str, set[str]] = {}
    for pipeline in c.pipelines:
        if pipeline.repository.create:
            branches.setdefault(pipeline.repository.name, set()).add(pipeline.branch)
    return [
        ("pipelines", f"repository {name!r} has {len(of)} branches: a trigger serves 100 at most")
        for name, of in branches.items()
        if len(of) > 100
    ]


def _limits_fit(c: Configuration) -> list[Fault]:
    limits = c.limits
    lock = max(
        (2 * limits.heartbeat, "twice heartbeat"),
        (0 if c.local else LEAST_LOCK, "AWS takes calls of who has lost it until then"),
    )
    rules: tuple[tuple[str, int, int, str], ...] = (
        ("visibility", limits.visibility, limits.lock_ttl + 1, "longer than lockTtl"),
        ("lockTtl", limits.lock_ttl, *lock),
        ("noHeartbeat", limits.no_heartbeat, 3 * limits.heartbeat, "three times heartbeat"),
    )
    return [
        (f"limits.{name}", f"{value}: must be at least {least} ({why})")
        for name, value, least, why in rules
        if value < least
    ]


def _operators_are_of_prod(c: Configuration) -> list[Fault]:
    faults = [
        (f"dev.operators[{i}]", f'"{arn}": must be a role or user of the prod account')
        for i, arn in enumerate(c.dev.operators)
        if f"::{c.prod.account}:" not in arn
    ]
    if c.prod.operators:
        faults.append(("prod.operators", "is not allowed: operators belong under dev"))
    return faults


_RULES: tuple[Callable[[Configuration], list[Fault]], ...] = (
    _unique_names,
    _one_pipeline_per_service,
    _whole_service,
    _few_samples,
    _few_created_images,
    _same_everywhere,
    _host_builds_it,
    _image_repositories_apart,
    _whole_network,
    _code_repository_limits,
    _limits_fit,
    _operators_are_of_prod,
)
