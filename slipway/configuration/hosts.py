"""The build hosts, and the network that they live in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from slipway.configuration.base import Part
from slipway.configuration.values import (
    Ami,
    AvailabilityZone,
    Cidr,
    InstanceType,
    KeyArn,
    Port,
    SubnetId,
    VpcId,
)


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
