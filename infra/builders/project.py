"""The CodeBuild project: each of its builds runs the agent for one pipeline."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.builders.buildspec import buildspec
from infra.findings import accept, accept_checkov
from slipway.configuration import Configuration
from slipway.configuration.builders import CURATED
from slipway.contracts.names import Names

QUEUED_MINUTES = 480
"""The longest that CodeBuild lets a build wait (botocore's model: `TimeOut`)."""
LOG_PREFIX = "builder"
"""Streams of the build log group: `builder/<build's id>`."""
ENVIRONMENT = {"arm64": "ARM_CONTAINER", "x86_64": "LINUX_CONTAINER"}

CHECKOV = {
    "CKV_AWS_147": "It has neither artifacts nor a cache that could be encrypted.",
    "CKV_AWS_316": "A docker daemon needs it; each build is alone on its machine.",
}


class BuilderProject(Construct):
    """No source, no artifacts; what a build works on is in its variables. Attribute: `name`.

    It has no limit of its own: CodeBuild would refuse what is beyond, and rows are counted.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        names: Names,
        role: iam.Role,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = names.builder_project
        project = codebuild.CfnProject(
            self,
            "Project",
            name=self.name,
            description="Slipway: builds an image and hands its rollout over.",
            service_role=role.role_arn,
            source=codebuild.CfnProject.SourceProperty(
                type="NO_SOURCE", build_spec=buildspec(configuration.builder_image)
            ),
            artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
            environment=_environment(configuration, names),
            logs_config=_logs(names),
            timeout_in_minutes=configuration.builder_timeout,
            queued_timeout_in_minutes=QUEUED_MINUTES,
            vpc_config=_network(configuration),
        )
        project.node.add_dependency(role)
        cdk.Tags.of(project).add("slipway", names.installation)
        accept(project, "CB3", CHECKOV["CKV_AWS_316"])
        accept(project, "CB4", CHECKOV["CKV_AWS_147"])
        if not configuration.builder_image.startswith(CURATED):
            accept(project, "CB5", "The configuration names an image of its own.")
        accept_checkov(project, CHECKOV)


def _environment(c: Configuration, names: Names) -> codebuild.CfnProject.EnvironmentProperty:
    own = c.builder_image.startswith(CURATED)
    return codebuild.CfnProject.EnvironmentProperty(
        type=ENVIRONMENT[c.architecture],
        compute_type=f"BUILD_GENERAL1_{c.builders.code_build.compute.upper()}",
        image=c.builder_image,
        image_pull_credentials_type="CODEBUILD" if own else "SERVICE_ROLE",
        privileged_mode=True,
        environment_variables=[
            codebuild.CfnProject.EnvironmentVariableProperty(
                name="SLIPWAY_AGENT_PARAMETER", type="PLAINTEXT", value=names.agent_parameter
            )
        ],
    )


def _logs(names: Names) -> codebuild.CfnProject.LogsConfigProperty:
    return codebuild.CfnProject.LogsConfigProperty(
        cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(
            status="ENABLED", group_name=names.build_log_group, stream_name=LOG_PREFIX
        )
    )


def _network(c: Configuration) -> codebuild.CfnProject.VpcConfigProperty | None:
    network = c.builders.code_build.network
    if network is None:
        return None
    return codebuild.CfnProject.VpcConfigProperty(
        vpc_id=network.vpc or c.network.vpc_id,
        subnets=network.subnets,
        security_group_ids=network.security_groups,
    )
