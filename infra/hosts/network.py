"""Where hosts (and sample services) live: one public subnet made for them, or an existing one."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.findings import accept, accept_validation
from slipway.configuration import Configuration


class HostNetwork(Construct):
    """A VPC with one public subnet and no NAT gateway, or the subnet that was named.

    Nothing in it may be connected to: no security group of ours has an inbound rule, but a sample
    service's where the configuration opens it. `zone`: of the network that is made. Attributes:
    `vpc_id`, `subnet_id`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        zone: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._way_out: list[cdk.CfnResource] = []
        network = configuration.network
        if network.vpc_id is not None and network.subnet_id is not None:
            self.vpc_id, self.subnet_id = network.vpc_id, network.subnet_id
            return
        vpc = ec2.CfnVPC(
            self,
            "Vpc",
            cidr_block=network.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
        )
        accept(
            vpc,
            "VPC7",
            "Nothing in it can be connected to; a flow log would cost more than the hosts. "
            "Who needs one names a VPC of their own.",
        )
        gateway = ec2.CfnInternetGateway(self, "Gateway")
        attachment = ec2.CfnVPCGatewayAttachment(
            self, "Attachment", vpc_id=vpc.ref, internet_gateway_id=gateway.ref
        )
        subnet = ec2.CfnSubnet(
            self,
            "Subnet",
            vpc_id=vpc.ref,
            cidr_block=network.cidr,
            availability_zone=zone,
            # Addresses are asked for by whoever needs one, not given to all comers.
            map_public_ip_on_launch=False,
        )
        accept_validation(
            subnet, "W3010", "The zone is configured, so that a synth looks nothing up."
        )
        routes = ec2.CfnRouteTable(self, "Routes", vpc_id=vpc.ref)
        route = ec2.CfnRoute(
            self,
            "ToInternet",
            route_table_id=routes.ref,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.ref,
        )
        route.add_resource_dependency(attachment)
        association = ec2.CfnSubnetRouteTableAssociation(
            self, "SubnetRoutes", subnet_id=subnet.ref, route_table_id=routes.ref
        )
        self.vpc_id, self.subnet_id = vpc.ref, subnet.ref
        self._way_out = [attachment, route, association]

    def connect(self, resource: cdk.CfnResource) -> None:
        """Let `resource`, which has an address in the network, be made after its way out.

        A host boots once its instance is there, and installs itself from outside. AWS ('When a
        DependsOn attribute is required'): nor can a gateway go before the addresses that use it.
        """
        for part in self._way_out:
            resource.add_resource_dependency(part)

    def security_group(
        self, construct_id: str, *, description: str, egress: list[int], ingress: dict[str, int]
    ) -> str:
        """The id of a new group: TCP out to `egress` ports, in from `ingress` ranges to a port."""
        group = ec2.CfnSecurityGroup(
            self,
            construct_id,
            group_description=description,
            vpc_id=self.vpc_id,
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    cidr_ip="0.0.0.0/0",
                    description=f"TCP {port} to wherever builds fetch from",
                )
                for port in egress
            ],
            security_group_ingress=[
                ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    cidr_ip=cidr,
                    description="Opened by the configuration",
                )
                for cidr, port in ingress.items()
            ],
        )
        return group.attr_group_id
