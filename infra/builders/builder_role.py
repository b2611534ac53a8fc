"""What a builder of CodeBuild may do: what the agent does, and what the build itself needs."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.findings import accept_checkov
from infra.permissions.arns import Arns
from infra.permissions.building import building
from infra.permissions.roles import slipway_role
from infra.permissions.rollouts import Rollouts
from infra.permissions.statements import NO_RESOURCES, PULL, Allow, allow
from slipway.configuration import BuilderNetwork, Configuration, is_uri
from slipway.contracts.installation import Installation

CODE_BUILD = "codebuild.amazonaws.com"
MADE_INTERFACES = "An interface's id is EC2's to make; subnets and service are conditions."


def builder_role(
    scope: Construct,
    construct_id: str,
    *,
    configuration: Configuration,
    installation: Installation,
    agent: s3_assets.Asset,
    rollouts: Rollouts,
    use_key: Sequence[Allow] = (),
) -> iam.Role:
    """The role of every build of the project, which CodeBuild may take for that project alone."""
    c, arns, names = configuration, Arns(installation), installation.names
    role = slipway_role(
        scope,
        construct_id,
        name=names.builder_role,
        description="Slipway's builders of CodeBuild.",
        trusted=iam.ServicePrincipal(
            CODE_BUILD,
            conditions={
                "StringEquals": {"aws:SourceAccount": installation.prod_account},
                "ArnEquals": {"aws:SourceArn": arns.builder_project},
            },
        ),
        statements=[
            *building(c, arns, agent=agent, rollouts=rollouts, use_key=use_key, receives=False),
            *_own_image(c, arns),
            *_network(c, arns),
        ],
        shared=rollouts.shared,
    )
    accept_checkov(
        role, {"CKV_AWS_111": "Writes without a named resource: only where AWS knows no name."}
    )
    return role


def _own_image(c: Configuration, arns: Arns) -> list[Allow]:
    """Where builds run in an image in ECR: CodeBuild pulls it as this role."""
    if not is_uri(c.builder_image):
        return []
    repository = c.builder_image.partition("@")[0].partition(":")[0]
    return [allow("PullOwnImage", PULL, [arns.image_repository_of(repository)])]


def _network(c: Configuration, arns: Arns) -> list[Allow]:
    """AWS CodeBuild user guide, 'Allow CodeBuild access to AWS services required to create a VPC
    network interface': an interface for each build, in the configured subnets.
    """
    network: BuilderNetwork | None = c.builders.code_build.network
    if network is None:
        return []
    interfaces = arns.prod("ec2", "network-interface/*")
    subnets = [arns.prod("ec2", f"subnet/{name}") for name in network.subnets]
    groups = [arns.prod("ec2", f"security-group/{name}") for name in network.security_groups]
    in_subnets = {"ArnEquals": {"ec2:Subnet": subnets}}
    return [
        allow(
            "SeeNetwork",
            [
                "ec2:DescribeDhcpOptions",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            ["*"],
            why=NO_RESOURCES,
        ),
        allow(
            "MakeInterfaces",
            ["ec2:CreateNetworkInterface"],
            [interfaces, *subnets, *groups],
            why=MADE_INTERFACES,
        ),
        allow(
            "RemoveInterfaces",
            ["ec2:DeleteNetworkInterface"],
            [interfaces],
            in_subnets,
            why=MADE_INTERFACES,
        ),
        allow(
            "LendInterfaces",
            ["ec2:CreateNetworkInterfacePermission"],
            [interfaces],
            {**in_subnets, "StringEquals": {"ec2:AuthorizedService": CODE_BUILD}},
            why=MADE_INTERFACES,
        ),
    ]
