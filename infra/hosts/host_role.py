"""What a build host may do: what the agent does, and what the host itself needs."""

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
from infra.permissions.statements import Allow, allow
from slipway.configuration import Configuration
from slipway.contracts.installation import Installation


class HostRole(Construct):
    """The hosts' role and instance profile. Attributes: `role`, `profile`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        installation: Installation,
        agent: s3_assets.Asset,
        rollouts: Rollouts,
        use_key: Sequence[Allow] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        names = installation.names
        statements = [
            *building(
                configuration,
                Arns(installation),
                agent=agent,
                rollouts=rollouts,
                use_key=use_key,
                receives=True,
            ),
            *_session_manager(),
        ]
        self.role = slipway_role(
            self,
            "Role",
            name=names.host_role,
            description="Slipway's build hosts.",
            trusted=iam.ServicePrincipal("ec2.amazonaws.com"),
            statements=statements,
            shared=rollouts.shared,
        )
        accept_checkov(
            self.role,
            {"CKV_AWS_111": "Writes without a named resource: only where AWS knows no name."},
        )
        self.profile = iam.CfnInstanceProfile(
            self,
            "Profile",
            instance_profile_name=names.host_role,
            roles=[self.role.role_name],
        )


def _session_manager() -> list[Allow]:
    """Session Manager's part of AmazonSSMManagedInstanceCore, without its GetParameter on all."""
    return [
        allow(
            "SessionManager",
            [
                "ssm:UpdateInstanceInformation",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            ["*"],
            why="AWS: ssmmessages know no resources; and the host registers before it has an ARN.",
        )
    ]
