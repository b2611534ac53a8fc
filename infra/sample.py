"""Sample services to try Slipway with: one small Fargate service for each pipeline that wants one.

The service names its task definition by *family*: a later update of this stack then takes the
newest revision, which is the one that the agent registered, and not the template's first one.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import accept_checkov
from infra.function import retention_of
from infra.hosts.network import HostNetwork
from infra.permissions.arns import Arns
from infra.permissions.roles import slipway_role
from infra.permissions.statements import NO_RESOURCES, PULL, allow, write_logs
from slipway.configuration import Configuration, Pipeline, Service
from slipway.configuration.resolve import (
    family_of,
    sample_cluster,
    sample_log_group,
    sample_role,
    service_of,
)


class SampleServices(Construct):
    """A cluster, an execution role, and the services. Attribute: `passed_roles`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        arns: Arns,
        network: HostNetwork | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._configuration = configuration
        samples = [(p, p.sample) for p in configuration.pipelines if p.sample]
        pipelines = [pipeline for pipeline, _ in samples]
        self.passed_roles: list[str] = []
        if not pipelines or network is None:
            return
        self._network = network
        self._cluster = ecs.CfnCluster(
            self,
            "Cluster",
            cluster_name=sample_cluster(configuration),
            cluster_settings=[
                ecs.CfnCluster.ClusterSettingsProperty(name="containerInsights", value="enabled")
            ],
        )
        self._log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=sample_log_group(configuration),
            retention=retention_of(configuration.lambdas.log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        accept_checkov(
            self._log_group, {"CKV_AWS_158": "CloudWatch's own key; the sample has no secret."}
        )
        role_name = sample_role(configuration)
        repositories = sorted({p.images[0].repository.name for p in pipelines})
        self._role = slipway_role(
            self,
            "ExecutionRole",
            name=role_name,
            description="Starts the tasks of Slipway's sample services.",
            trusted=iam.ServicePrincipal(
                "ecs-tasks.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": configuration.prod.account},
                    "ArnLike": {"aws:SourceArn": arns.prod("ecs", "*")},
                },
            ),
            statements=[
                allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"], why=NO_RESOURCES),
                allow(
                    "PullImages",
                    PULL,
                    [arns.image_repository(name) for name in repositories],
                ),
                write_logs(arns.log_group(sample_log_group(configuration))),
            ],
        )
        self.passed_roles = [arns.prod_role(role_name)]
        for pipeline, service in samples:
            self._service(pipeline, service)

    def _service(self, pipeline: Pipeline, service: Service) -> None:
        family = family_of(self._configuration, pipeline)
        group = self._network.security_group(
            f"SampleGroup-{pipeline.name}",
            description=f"Slipway sample service {pipeline.name}",
            egress=[443],
            ingress=dict.fromkeys(service.allow_from, service.port),
        )
        definition = ecs.CfnTaskDefinition(
            self,
            f"Definition-{pipeline.name}",
            family=family,
            cpu="256",
            memory="512",
            network_mode="awsvpc",
            requires_compatibilities=["FARGATE"],
            runtime_platform=ecs.CfnTaskDefinition.RuntimePlatformProperty(
                cpu_architecture=self._architecture(), operating_system_family="LINUX"
            ),
            execution_role_arn=self._role.role_arn,
            container_definitions=[self._container(pipeline, service)],
        )
        # The service may run a revision of the agent's: deregistering the first one is harmless.
        running = ecs.CfnService(
            self,
            f"Service-{pipeline.name}",
            service_name=service_of(pipeline),
            cluster=self._cluster.ref,
            task_definition=family,
            desired_count=1,
            launch_type="FARGATE",
            availability_zone_rebalancing="DISABLED",
            deployment_configuration=ecs.CfnService.DeploymentConfigurationProperty(
                minimum_healthy_percent=100,
                maximum_percent=200,
                deployment_circuit_breaker=ecs.CfnService.DeploymentCircuitBreakerProperty(
                    enable=True, rollback=True
                ),
            ),
            network_configuration=ecs.CfnService.NetworkConfigurationProperty(
                awsvpc_configuration=ecs.CfnService.AwsVpcConfigurationProperty(
                    subnets=[self._network.subnet_id],
                    security_groups=[group],
                    assign_public_ip=(
                        "ENABLED" if self._configuration.network.public_address else "DISABLED"
                    ),
                )
            ),
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
        )
        running.add_resource_dependency(definition)
        self._network.connect(running)

    def _architecture(self) -> str:
        return "ARM64" if self._configuration.architecture == "arm64" else "X86_64"

    def _health_check(self, service: Service) -> ecs.CfnTaskDefinition.HealthCheckProperty | None:
        if not service.health_command:
            return None
        return ecs.CfnTaskDefinition.HealthCheckProperty(
            command=service.health_command,
            interval=5,
            timeout=3,
            retries=3,
            start_period=service.health_start_period or None,
        )

    def _container(
        self, pipeline: Pipeline, service: Service
    ) -> ecs.CfnTaskDefinition.ContainerDefinitionProperty:
        containers = pipeline.images[0].containers
        return ecs.CfnTaskDefinition.ContainerDefinitionProperty(
            name=containers[0] if containers else "app",
            image=service.initial_image,
            essential=True,
            health_check=self._health_check(service),
            port_mappings=[
                ecs.CfnTaskDefinition.PortMappingProperty(
                    container_port=service.port, protocol="tcp"
                )
            ],
            log_configuration=ecs.CfnTaskDefinition.LogConfigurationProperty(
                log_driver="awslogs",
                options={
                    "awslogs-group": self._log_group.log_group_name,
                    "awslogs-region": self._configuration.prod_region,
                    "awslogs-stream-prefix": pipeline.name,
                },
            ),
        )
