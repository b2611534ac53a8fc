"""Who builds: hosts, builds of CodeBuild, or hosts first; and what CodeBuild's are like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slipway.configuration.base import Part
from slipway.configuration.values import (
    BuilderImage,
    SecretArn,
    SecurityGroupId,
    SubnetId,
    VpcId,
)

Compute = Literal["small", "medium", "large", "xlarge", "2xlarge"]
"""CodeBuild's on-demand compute, which exists for both processors (AWS CodeBuild user guide,
'Build environment compute modes and types'); not every region has the larger ones."""

CURATED = "aws/codebuild/"
"""What the names of CodeBuild's own images begin with."""
IMAGES = {
    "arm64": f"{CURATED}amazonlinux-aarch64-standard:4.0",
    "x86_64": f"{CURATED}amazonlinux-x86_64-standard:6.0",
}
"""CodeBuild's newest Amazon Linux 2023 by processor: docker 28 with buildx, Python 3.10 to 3.14."""

MOST_TIMEOUT = 2160
"""Minutes that CodeBuild lets a build have (botocore's model: `BuildTimeOut`)."""
LEAST_TIMEOUT = 60
"""Minutes of a builder's timeout where nobody gives one, at least."""
TIMEOUT_MARGIN = 5
"""Minutes of a builder beyond fetch and build: its start, the push, the hand-over."""


class BuilderNetwork(Part):
    """A VPC of yours that CodeBuild's builds run in. It needs a way out: a NAT gateway, say."""

    vpc: VpcId | None = Field(
        default=None, description="The VPC. Default: the one of `network.vpcId`."
    )
    subnets: list[SubnetId] = Field(
        min_length=1,
        max_length=16,
        description="Its subnets for the builds. CodeBuild gives no public address.",
    )
    security_groups: list[SecurityGroupId] = Field(
        min_length=1, max_length=5, description="Its security groups for the builds."
    )


class CodeBuild(Part):
    """What a build of CodeBuild is like. It runs the same agent as a host, for one pipeline."""

    compute: Compute = Field(
        default="small",
        description="CodeBuild's compute: `small` has 2 processors, `medium` 4, `large` 8, "
        "`xlarge` and `2xlarge` more. Not every region has the last two.",
    )
    architecture: Literal["arm64", "x86_64"] | None = Field(
        default=None,
        description="The processor. Images are built for it. Default: the hosts', and where there "
        "are none `x86_64`.",
    )
    image: BuilderImage | None = Field(
        default=None,
        description="The image that a build runs in: one of CodeBuild's own, or one in ECR. It "
        "needs bash, the AWS CLI, git, Python 3.11 or newer as `python3`, and a docker daemon that "
        "runs. "
        f"Default: `{IMAGES['x86_64']}` or `{IMAGES['arm64']}`.",
    )
    limit: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="How many builds there are at the same time. What comes beyond waits. Your "
        "account has a quota of its own for each compute, and a new account a small one.",
    )
    timeout: Annotated[int, Field(ge=5, le=MOST_TIMEOUT)] | None = Field(
        default=None,
        description="Minutes after which CodeBuild ends a build. Default: what the slowest "
        f"pipeline may take to fetch and build, and {TIMEOUT_MARGIN} more; at least "
        f"{LEAST_TIMEOUT}.",
    )
    price_per_minute: float | None = Field(
        default=None,
        gt=0,
        lt=10,
        description="Dollars for a minute of a build. `slipway cost` then counts with it. Default: "
        "AWS's price in us-east-1, where it is known (`slipway/cost/prices.py`).",
    )
    network: BuilderNetwork | None = Field(
        default=None, description="Default: CodeBuild's own network, which reaches the internet."
    )


class Builders(Part):
    """Who builds. Everything else means the same whoever does."""

    when: Literal["hosts", "overflow", "codeBuild"] = Field(
        default="hosts",
        description="`hosts`: the build hosts. `overflow`: hosts first, and what would wait longer "
        "than `overflowAfter` goes to CodeBuild. `codeBuild`: CodeBuild alone; no host, no VPC and "
        "no disk is made (`docs/operating.md`, choosing an engine).",
    )
    overflow_after: Annotated[int, Field(ge=0, le=86400)] = Field(
        default=300,
        description="With `overflow` only: seconds that a request may wait for a host.",
    )
    code_build: CodeBuild = CodeBuild()

    @property
    def uses_hosts(self) -> bool:
        return self.when != "codeBuild"

    @property
    def uses_code_build(self) -> bool:
        return self.when != "hosts"


class DockerHub(Part):
    """Credentials for Docker Hub, which limits pulls of those who have none."""

    secret: SecretArn = Field(
        description="The ARN of a Secrets Manager secret in the prod account. It holds a JSON "
        "object with `username` and `password`; for the password take an access token that may "
        "only read. Hosts and builders may read it, and nothing else may.",
    )
