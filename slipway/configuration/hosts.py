"""The build hosts, and the network that they live in."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

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

DISK_GB = 20
"""GiB of a new host's disk. The build cache in ECR makes a small one do: it brings back what was
pruned."""


class BuildHost(Part):
    """The EC2 instances that build. They sleep while there is nothing to do."""

    count: int = Field(
        default=1, ge=1, le=10, description="How many hosts there are. They share the build queue."
    )
    builds: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="How many builds a host runs at the same time (build slots). Default: what "
        "its processors, memory and disk allow, as it finds them "
        "(`docs/operating.md`, build slots).",
    )
    architecture: Literal["arm64", "x86_64"] = Field(
        default="arm64", description="The hosts' processor. Images are built for it."
    )
    instance_type: InstanceType = Field(
        default="t4g.medium",
        description="A type of that architecture. The default is the cheapest for builds of up "
        "to five minutes; for longer ones a c7g.large is (`docs/benchmarks.md`, cost model).",
    )
    ami: Ami | None = Field(
        default=None,
        description="An Amazon Linux 2023 image of that architecture and region. Default: the "
        "newest, found once by `slipway prepare` and kept in `cdk.context.json`. "
        "Another image replaces the hosts.",
    )
    price_per_hour: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="Dollars for an hour of one host. The dashboard then shows costs. Default: "
        "it shows none.",
    )
    volume_size: int | None = Field(
        default=None,
        ge=20,
        le=16384,
        description="GiB of the disk. It keeps docker's layers. Another size replaces the hosts. "
        "Default: 20 for hosts that are made anew, of which 8 are left for images and mirrors "
        "(`docs/benchmarks.md`, cost model); hosts that are there keep theirs, which "
        "`slipway prepare` finds and keeps in `cdk.context.json`.",
    )
    volume_key: KeyArn | None = Field(
        default=None,
        description="A KMS key of yours that encrypts the disks. Its policy must leave the "
        "decision to the account's IAM policies, as KMS's default policy does. "
        "Default: AWS's own key `aws/ebs`, whatever key the account takes by "
        "default. Another key replaces the hosts.",
    )
    egress_ports: list[Port] = Field(
        default=[80, 443],
        min_length=1,
        description="TCP ports that the host may connect to. Builds fetch packages from "
        "mirrors on port 80.",
    )


_BOTH_OR_NONE: JsonDict = {
    "dependentRequired": {"vpcId": ["subnetId"], "subnetId": ["vpcId"]},
}


class Network(Part):
    """Where the hosts live: a network made for them, or an existing subnet."""

    model_config = ConfigDict(json_schema_extra=_BOTH_OR_NONE)

    availability_zone: AvailabilityZone | None = Field(
        default=None,
        description="The zone of a network that is made. Default: one that offers the hosts' "
        "type, found once by `slipway prepare` and kept in `cdk.context.json`.",
    )
    cidr: Cidr = Field(
        default="10.68.0.0/24", description="The address range of a network that is made."
    )
    vpc_id: VpcId | None = Field(
        default=None, description="A VPC that exists. Default: a network is made."
    )
    subnet_id: SubnetId | None = Field(
        default=None, description="The subnet of that VPC for the hosts."
    )
    public_address: bool = Field(
        default=True,
        description="true: hosts get a public address. false: the subnet has another way out.",
    )
