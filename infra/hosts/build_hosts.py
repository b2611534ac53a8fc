"""The build hosts: EC2 instances that sleep, and the agent that they run when they wake."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_s3_assets as s3_assets
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.findings import accept, accept_checkov, accept_validation
from infra.hosts.network import HostNetwork
from slipway.configuration import BuildHost, Configuration
from slipway.contracts.names import Names

AWS_OWN_KEY = "alias/aws/ebs"
"""EBS's key in each account: EC2 may use it for whoever starts an instance."""

BOOTSTRAP = Path(__file__).resolve().parents[2] / "build_agent" / "bootstrap"


class AgentRelease(Construct):
    """Which agent whoever builds runs: an archive in S3, and a parameter that names and proves it.

    A host reads the parameter when it wakes, a builder when it starts, so a deployment of this
    stack updates the agent without touching a running build.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        archive: Path,
        sha256: str,
        who: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.asset = s3_assets.Asset(self, "Archive", path=str(archive))
        ssm.CfnParameter(
            self,
            "Parameter",
            name=names.agent_parameter,
            type="String",
            description=f"Slipway: the agent that {who}.",
            value=cdk.Fn.sub(
                json.dumps(
                    {"bucket": "${Bucket}", "key": self.asset.s3_object_key, "sha256": sha256}
                ),
                {"Bucket": self.asset.s3_bucket_name},
            ),
        )


class BuildHosts(Construct):
    """`buildHost.count` instances that share the build queue. Attribute: `instances`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        hosts: BuildHost,
        names: Names,
        network: HostNetwork,
        ami: str,
        profile: str,
    ) -> None:
        super().__init__(scope, construct_id)
        group = network.security_group(
            "HostGroup",
            description="Slipway build hosts: nothing in, fetches of builds out",
            egress=hosts.egress_ports,
            ingress={},
        )
        self._configuration, self._hosts, self._names = configuration, hosts, names
        self._network, self._profile, self._group = network, profile, group
        self._ami = ami
        self.instances = [self._host(number) for number in range(1, hosts.count + 1)]

    def _host(self, number: int) -> ec2.CfnInstance:
        host = self._hosts
        instance = ec2.CfnInstance(
            self,
            f"Host{number}",
            image_id=self._ami,
            instance_type=host.instance_type,
            iam_instance_profile=self._profile,
            instance_initiated_shutdown_behavior="stop",
            propagate_tags_to_volume_on_creation=True,
            metadata_options=ec2.CfnInstance.MetadataOptionsProperty(
                http_endpoint="enabled",
                http_tokens="required",
                # One hop: containers of a build cannot reach the host's credentials.
                http_put_response_hop_limit=1,
            ),
            network_interfaces=[
                ec2.CfnInstance.NetworkInterfaceProperty(
                    device_index="0",
                    subnet_id=self._network.subnet_id,
                    group_set=[self._group],
                    associate_public_ip_address=self._configuration.network.public_address,
                )
            ],
            block_device_mappings=[
                ec2.CfnInstance.BlockDeviceMappingProperty(
                    device_name="/dev/xvda",
                    ebs=ec2.CfnInstance.EbsProperty(
                        volume_size=host.volume_size,
                        volume_type="gp3",
                        encrypted=True,
                        # Named: the account's default may be a customer's key, which whoever
                        # starts the host would have to be let use.
                        kms_key_id=host.volume_key or AWS_OWN_KEY,
                        delete_on_termination=True,
                    ),
                )
            ],
            user_data=cdk.Fn.base64(user_data(self._names, self._configuration.prod_region)),
        )
        self._network.connect(instance)
        cdk.Tags.of(instance).add("Name", self._names.host(number))
        cdk.Tags.of(instance).add("slipway", self._names.installation)
        accept_checkov(
            instance,
            {"CKV_AWS_88": "No inbound rule; a NAT gateway would cost more than the hosts."},
        )
        accept(
            instance,
            "EC28",
            "Hosts work for minutes: five-minute samples tell whether they are awake.",
        )
        accept(
            instance,
            "EC29",
            "It holds only caches; protection would block an update that replaces it.",
        )
        accept_validation(
            instance, "W9010", "The AMI is pinned: one that means 'latest' replaces the hosts."
        )
        return instance


def user_data(names: Names, region: str) -> str:
    """What makes an instance a host, constant: a change would stop and start them.

    It writes the boot unit and its script; which agent runs is the parameter's to say, and the
    agent's own unit comes with the agent. A boothook of cloud-init, and so run at every boot.
    """
    script = "#cloud-boothook\n" + (BOOTSTRAP / "user_data.sh").read_text(encoding="utf-8")
    for name in ("boot.sh", "slipway-log@.service", "slipway-boot.service"):
        content = (BOOTSTRAP / name).read_text(encoding="utf-8")
        script = script.replace(f"@{name}@", content.rstrip("\n"))
    return script.replace("@parameter@", names.agent_parameter).replace("@region@", region)
