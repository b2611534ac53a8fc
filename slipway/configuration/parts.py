"""The whole of a configuration: both sides, pipelines, hosts and what they share.

Keys, defaults and what each is for; docs are made of it.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from slipway.configuration.base import Part
from slipway.configuration.builders import (
    IMAGES,
    LEAST_TIMEOUT,
    MOST_TIMEOUT,
    TIMEOUT_MARGIN,
    Builders,
    DockerHub,
)
from slipway.configuration.hosts import BuildHost, Network
from slipway.configuration.pipeline import Pipeline
from slipway.configuration.protocol import Alarms, LimitSettings
from slipway.configuration.values import (
    Account,
    Boundary,
    Email,
    InstallationName,
    LayerArn,
    Platform,
    PrincipalArn,
    Region,
    Registry,
    RetentionDays,
    Url,
)


def builder_minutes(pipeline: Pipeline) -> int:
    """Minutes that a builder of CodeBuild may need for one deployment of the pipeline.

    Where all its slots are in use the images come one after another, and so do their tests.
    """
    tests = sum(image.test.timeout for image in pipeline.images if image.test)
    seconds = pipeline.fetch_timeout + pipeline.build_timeout + tests
    return math.ceil(seconds / 60) + TIMEOUT_MARGIN


class Side(Part):
    """One of the two accounts."""

    account: Account = Field(
        description="The account's number. Both sides may name the same account."
    )
    region: Region | None = Field(
        default=None, description="The region of this side, if it is not the installation's."
    )
    operators: list[PrincipalArn] = Field(
        default=[],
        description="Dev side only: roles or users of the prod account that may ask for the "
        "tips of the branches, by assuming the role `tip`. The reconciler may in "
        "any case.",
    )


class Notices(Part):
    """Who is told."""

    slack: bool = Field(default=True, description="true: notices go to a Slack channel.")
    emails: list[Email] = Field(
        default=[],
        max_length=20,
        description="E-mail addresses that get the notices as plain text.",
    )


class Lambdas(Part):
    """Settings that the functions share."""

    powertools_layer: LayerArn | None = Field(
        default=None,
        description="The ARN of Powertools' Lambda layer for Python 3.13 on arm64. Default: "
        "the public layer of the release in `requirements.txt`. You must give it "
        "in GovCloud, where AWS does not say which layer that is.",
    )
    log_retention_days: RetentionDays = Field(
        default=90, description="How many days the logs of functions and builds are kept."
    )
    reconcile_every_minutes: int = Field(
        default=5, ge=1, le=60, description="The reconciler looks every so many minutes."
    )


class Local(Part):
    """One machine in place of two accounts: set by the local run, never in AWS.

    What differs in the stacks then is in `infra/local_differences.py`, each difference listed.
    """

    registry: Registry = Field(
        description="The registry that images are pushed to, in place of ECR."
    )
    git_base_url: Url = Field(description="Git remotes are `<this>/<repository>`.")


_HOST_UNLESS_CODE_BUILD: JsonDict = {
    "if": {
        "properties": {
            "builders": {"properties": {"when": {"const": "codeBuild"}}, "required": ["when"]}
        },
        "required": ["builders"],
    },
    "then": {},
    "else": {"required": ["buildHost"]},
}


class Configuration(Part):
    """Everything that one installation of Slipway is told."""

    model_config = ConfigDict(json_schema_extra=_HOST_UNLESS_CODE_BUILD)

    schema_place: str | None = Field(
        default=None,
        alias="$schema",
        description="Where an editor finds the JSON Schema, to complete and check what is written: "
        "`docs/configuration.schema.json`, or what `slipway config schema` writes. Slipway does "
        "not read it.",
    )
    name: InstallationName = Field(
        default="slipway",
        description="The names of all resources begin with it. Another name makes another "
        "installation, such as `slipway-stage` beside `slipway`.",
    )
    region: Region = Field(description="The region of both stacks.")
    dev: Side = Field(description="The account that is pushed to.")
    prod: Side = Field(description="The account that builds and runs.")
    pipelines: list[Pipeline] = Field(min_length=1, max_length=100)
    build_host: BuildHost | None = Field(
        default=None,
        description="The hosts. Must be given, but where `builders.when` is `codeBuild`: there "
        "they are not made.",
    )
    builders: Builders = Builders()
    docker_hub: DockerHub | None = Field(
        default=None, description="Default: pulls from Docker Hub bear no name."
    )
    network: Network = Network()
    notices: Notices = Notices()
    lambdas: Lambdas = Lambdas()
    alarms: Alarms = Alarms()
    limits: LimitSettings = LimitSettings()
    operator_policies: bool = Field(
        default=True,
        description="true: the prod stack makes the policies `<name>-read`, `<name>-operate` "
        "and `<name>-webhook`. Attach them to the roles of those who run "
        "`slipway`.",
    )
    customer_key: bool = Field(
        default=False,
        description="true: one KMS key, `alias/<name>`, is made for the topics and queues of "
        "the prod stack ($1 a month). false: SQS's own encryption, and topics "
        "without a key.",
    )
    permissions_boundary: Boundary | None = Field(
        default=None,
        description="An IAM policy that limits every role of both stacks (a permissions "
        "boundary). Give the ARN of a policy of AWS, or the name, with its path, "
        "of one of yours that both accounts have. What it does not allow, no role "
        "can do: `slipway doctor` names what a role then lacks.",
    )
    tags: dict[str, str] = Field(
        default={}, max_length=40, description="Tags that every resource gets."
    )
    local: Local | None = Field(default=None, description="Only for the local run.")

    @property
    def dev_region(self) -> str:
        return self.dev.region or self.region

    @property
    def prod_region(self) -> str:
        return self.prod.region or self.region

    @property
    def hosts(self) -> BuildHost | None:
        """The hosts that there are: None where CodeBuild alone builds, whatever is configured."""
        return self.build_host if self.builders.uses_hosts else None

    @property
    def architecture(self) -> Literal["arm64", "x86_64"]:
        """The processor of whoever builds: hosts and builders build the same images."""
        wanted = self.builders.code_build.architecture
        return self.hosts.architecture if self.hosts else wanted or "x86_64"

    @property
    def builder_image(self) -> str:
        """The image that a build of CodeBuild runs in."""
        return self.builders.code_build.image or IMAGES[self.architecture]

    @property
    def builder_timeout(self) -> int:
        """Minutes after which CodeBuild ends a build."""
        least = max(LEAST_TIMEOUT, *map(builder_minutes, self.pipelines))
        return self.builders.code_build.timeout or min(least, MOST_TIMEOUT)

    @property
    def needs_network(self) -> bool:
        """Whether anything of ours runs in a subnet: hosts, or sample services."""
        return self.hosts is not None or any(p.sample for p in self.pipelines)

    @property
    def platform(self) -> Platform:
        """What images are built for."""
        return "linux/arm64" if self.architecture == "arm64" else "linux/amd64"

    @property
    def partition(self) -> str:
        """Of all regions of the installation; a rule sees to that."""
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"
