"""What `slipway prepare` asks of the prod account, and the one thing that it makes there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from slipway.cli.aws.session import Session
from slipway.configuration import BuildHost, Configuration
from slipway.configuration.hosts import DISK_GB
from slipway.configuration.place import (
    disk_key,
    image_key,
    makes_network,
    read_context,
    zone_key,
)
from slipway.configuration.placeholders import image_parameter, placeholders
from slipway.contracts.errors import WrongUse
from slipway.contracts.names import Names

ECS = "ecs.amazonaws.com"
THERE = ("pending", "running", "stopping", "stopped")
"""States of an instance that has its disk."""

_HOW = {
    True: "offers the hosts' type, kept from now on",
    False: "the first of the account's, kept from now on",
}

Found = tuple[str, str]
"""A value, and how it came about."""
Prepared = dict[str, Found]


def prepare(
    session: Session, configuration: Configuration, kept: dict[str, Any], context: Path
) -> Prepared:
    """Find and keep what is left out, and make what is missing; what there is now, in words.

    `kept` is what was found before; it is in the file `context` afterwards. WrongUse where it does
    not fit: other credentials, the example's values, a type that is not offered. Nothing is kept
    then.
    """
    c = configuration
    _ours(session, c)
    kept = dict(kept)
    prepared = _found(session, c, kept)
    write_context(context, kept)
    if any(p.sample for p in c.pipelines):
        prepared["ECS's service-linked role"] = _service_linked_role(session.client("iam"))
    return prepared


def _found(session: Session, c: Configuration, kept: dict[str, Any]) -> Prepared:
    """The hosts' image, and the zone of what is made; without hosts and samples neither."""
    ec2, ssm = (session.client(name, region=c.prod_region) for name in ("ec2", "ssm"))
    prepared: Prepared = {}
    if c.hosts is not None:
        _fits_architecture(ec2, c.hosts, c.prod_region)
        prepared["image"] = _image(ssm, c, c.hosts, kept)
        if c.hosts.ami is None:
            kept[image_key(c)] = prepared["image"][0]
        disk = _disk(ec2, c, c.hosts, kept)
        prepared["disk"] = (f"{disk[0]} GiB", disk[1])
        if c.hosts.volume_size is None:
            kept[disk_key(c)] = disk[0]
    if c.needs_network:
        prepared["zone"] = _zone(ec2, c, kept)
        if makes_network(c) and c.network.availability_zone is None:
            kept[zone_key(c)] = prepared["zone"][0]
    return prepared


def write_context(path: Path, values: dict[str, Any]) -> None:
    """As the CDK writes it, and only if anything has changed."""
    if values == read_context(path):
        return
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    new.replace(path)


def _ours(session: Session, c: Configuration) -> None:
    faults = placeholders(c)
    if faults:
        raise WrongUse("; ".join(f"{path}: {problem}" for path, problem in faults))
    if c.local is not None:
        raise WrongUse("this is a local run's configuration: it needs no preparation")
    account = session.client("sts").get_caller_identity()["Account"]
    if account != c.prod.account:
        raise WrongUse(
            f"these credentials are account {account}'s, prod is {c.prod.account}: give --profile"
        )


def _fits_architecture(ec2: Any, host: BuildHost, region: str) -> None:
    try:
        answer = ec2.describe_instance_types(InstanceTypes=[host.instance_type])
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "InvalidInstanceType":
            raise
        raise WrongUse(
            f'buildHost.instanceType: "{host.instance_type}" is no type in {region}'
        ) from None
    (described,) = answer["InstanceTypes"]
    can = described["ProcessorInfo"]["SupportedArchitectures"]
    if host.architecture not in can:
        raise WrongUse(
            f'buildHost.instanceType: "{host.instance_type}" is {" or ".join(can)}, and '
            f'buildHost.architecture says "{host.architecture}"'
        )


def _image(ssm: Any, c: Configuration, host: BuildHost, kept: dict[str, Any]) -> Found:
    if host.ami is not None:
        return host.ami, "configured"
    if image_key(c) in kept:
        return str(kept[image_key(c)]), "kept"
    value = ssm.get_parameter(Name=image_parameter(c))["Parameter"]["Value"]
    return str(value), "the newest Amazon Linux 2023, kept from now on"


def _zone(ec2: Any, c: Configuration, kept: dict[str, Any]) -> Found:
    """The hosts' zone, which offers their type; WrongUse where it does not.

    Without hosts any zone will do for sample services.
    """
    kind = c.hosts.instance_type if c.hosts else None
    offered = _offered(ec2, kind)
    if not offered:
        raise WrongUse(
            f'buildHost.instanceType: "{kind}" is offered in no zone of '
            f"{c.prod_region} that the account has"
        )
    zone, how = _where(ec2, c, kept) or (offered[0], _HOW[kind is not None])
    if zone not in offered:
        raise WrongUse(
            f'buildHost.instanceType: "{kind}" is not offered in {zone}, '
            f"where the hosts are; it is in {', '.join(offered)}"
        )
    return zone, how


def _disk(ec2: Any, c: Configuration, host: BuildHost, kept: dict[str, Any]) -> tuple[int, str]:
    """GiB of the hosts' disks: another size than they have would replace them."""
    if host.volume_size is not None:
        return host.volume_size, "configured"
    if disk_key(c) in kept:
        return int(kept[disk_key(c)]), "kept"
    there = _disk_there(ec2, c, host)
    if there is not None:
        return there, "the hosts' that are there, kept from now on"
    return DISK_GB, "for new hosts, kept from now on"


def _disk_there(ec2: Any, c: Configuration, host: BuildHost) -> int | None:
    """GiB of the disk of one of the installation's hosts; None where there are none."""
    names = [Names(c.name).host(number) for number in range(1, host.count + 1)]
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[
            {"Name": "tag:Name", "Values": names},
            {"Name": "instance-state-name", "Values": list(THERE)},
        ]
    )
    volumes = [
        mapping["Ebs"]["VolumeId"]
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
        for mapping in instance["BlockDeviceMappings"]
        if mapping["DeviceName"] == instance["RootDeviceName"]
    ]
    if not volumes:
        return None
    return int(ec2.describe_volumes(VolumeIds=volumes[:1])["Volumes"][0]["Size"])


def _where(ec2: Any, c: Configuration, kept: dict[str, Any]) -> Found | None:
    """Where the hosts are, if that is settled."""
    if not makes_network(c):
        answer = ec2.describe_subnets(SubnetIds=[c.network.subnet_id])
        return str(answer["Subnets"][0]["AvailabilityZone"]), "the subnet's"
    if c.network.availability_zone is not None:
        return c.network.availability_zone, "configured"
    return (str(kept[zone_key(c)]), "kept") if zone_key(c) in kept else None


def _offered(ec2: Any, kind: str | None) -> list[str]:
    """The zones that the account has, and that offer the hosts' type, where there are hosts."""
    zones = ec2.describe_availability_zones(
        Filters=[
            {"Name": "zone-type", "Values": ["availability-zone"]},
            {"Name": "state", "Values": ["available"]},
        ]
    )
    has = {zone["ZoneName"] for zone in zones["AvailabilityZones"]}
    if kind is None:
        return sorted(has)
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": [kind]}],
    )
    offers = {offer["Location"] for page in pages for offer in page["InstanceTypeOfferings"]}
    return sorted(has & offers)


def _service_linked_role(iam: Any) -> Found:
    """The first cluster of an account makes it, and is refused: it is there some seconds later."""
    there = iam.list_roles(PathPrefix=f"/aws-service-role/{ECS}/")["Roles"]
    if there:
        return str(there[0]["RoleName"]), "was there"
    made = iam.create_service_linked_role(AWSServiceName=ECS)["Role"]
    iam.get_waiter("role_exists").wait(RoleName=made["RoleName"])
    return str(made["RoleName"]), "made"
