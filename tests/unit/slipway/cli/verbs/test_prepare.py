"""`slipway prepare` against moto, which has AWS's own images, zones and offers of types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from click.testing import CliRunner, Result

from slipway.cli.main import main
from slipway.configuration import load, parse, read
from slipway.configuration.place import disk_key, image_key, place_of, zone_key
from slipway.contracts.errors import InvalidConfiguration
from tests.infra.templates import UNPREPARED

ACCOUNT = "123456789012"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, aws: None) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    monkeypatch.chdir(tmp_path)


def configuration(region: str = "eu-central-1", **host: Any) -> dict[str, Any]:
    """One account for both sides, in a region, with what the host is given."""
    data: dict[str, Any] = read(UNPREPARED)
    data |= {"region": region, "dev": {"account": ACCOUNT}, "prod": {"account": ACCOUNT}}
    data["buildHost"] |= host
    return data


def prepare(data: dict[str, Any]) -> Result:
    Path("stage.json").write_text(json.dumps(data))
    return CliRunner().invoke(
        main, ["prepare", "--installation", "stage.json"], catch_exceptions=False
    )


def kept() -> dict[str, str]:
    path = Path("cdk.context.json")
    return json.loads(path.read_text()) if path.exists() else {}


def public_image(region: str, architecture: str) -> str:
    name = f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"
    return str(boto3.client("ssm", region).get_parameter(Name=name)["Parameter"]["Value"])


@pytest.mark.parametrize(
    ("architecture", "instance_type"), [("arm64", "t4g.medium"), ("x86_64", "t3.medium")]
)
def test_the_image_of_the_hosts_processor_is_found_once_and_kept(
    architecture: str, instance_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a configuration without an image
    data = configuration(architecture=architecture, instanceType=instance_type)
    assert prepare(data).exit_code == 0
    image = public_image("eu-central-1", architecture)
    assert place_of(parse(data), kept().get).ami == image
    # WHEN AWS has a newer one
    before = Path("cdk.context.json").read_bytes()
    monkeypatch.setattr("slipway.cli.aws.prod_account.image_parameter", lambda c: "/nowhere")
    again = prepare(data)
    # THEN it is not asked for: the hosts would be replaced
    assert again.exit_code == 0
    assert f"image: {image} (kept)" in again.output
    assert Path("cdk.context.json").read_bytes() == before


def test_what_the_cdk_and_other_installations_have_kept_stays(tmp_path: Path) -> None:
    other = {
        "slipway:image:999999999999:eu-central-1:arm64": "ami-0123",
        "hosted-zone:x": {"Id": 1},
    }
    Path("cdk.context.json").write_text(json.dumps(other))
    assert prepare(configuration()).exit_code == 0
    assert kept().items() > other.items()
    # AND a configuration that names its image takes nothing away from one that does not
    found = kept()
    assert prepare(configuration(ami="ami-0123456789abcdef0")).exit_code == 0
    assert kept() == found


RARE = {"architecture": "arm64", "instanceType": "g5g.xlarge"}
"""A type that eu-central-1 offers in one zone, and that is not its first."""


def test_the_zone_is_one_that_offers_the_hosts_type() -> None:
    assert prepare(configuration(**RARE)).exit_code == 0
    assert place_of(parse(configuration(**RARE)), kept().get).zone == "eu-central-1c"
    # AND the network does not move for another type, which is offered there, too
    assert prepare(configuration()).exit_code == 0
    assert place_of(parse(configuration()), kept().get).zone == "eu-central-1c"


def test_a_type_that_is_not_offered_where_the_hosts_are_is_said() -> None:
    assert prepare(configuration()).exit_code == 0
    assert kept()[f"slipway:zone:{ACCOUNT}:eu-central-1"] == "eu-central-1a"
    result = prepare(configuration(**RARE))
    assert result.exit_code == 2
    assert "is not offered in eu-central-1a, where the hosts are; it is in eu-central-1c" in (
        result.output
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"instanceType": "t3.medium"},
            '"t3.medium": is x86_64, and buildHost.architecture is "arm64"',
        ),
        (
            {"instanceType": "mac2.metal"},
            '"mac2.metal" is arm64_mac, and buildHost.architecture says "arm64"',
        ),
        ({"instanceType": "t4g.gigantic"}, '"t4g.gigantic" is no type in eu-central-1'),
        ({"ami": "ami-00000000000000000"}, "is no image; leave it out, and `slipway prepare`"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_kept(change: dict[str, str], said: str) -> None:
    result = prepare(configuration(**change))
    assert result.exit_code == 2
    assert said in result.output
    assert kept() == {}


def test_other_credentials_than_prods_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = configuration() | {"prod": {"account": "210987654321"}}
    result = prepare(data)
    assert result.exit_code == 2
    assert "these credentials are account 123456789012's, prod is 210987654321" in result.output
    assert kept() == {}


def volume(name: str, size: int) -> None:
    """A stopped host of that name, with a disk of so many GiB."""
    ec2 = boto3.client("ec2", "eu-central-1")
    made = ec2.run_instances(
        ImageId=public_image("eu-central-1", "arm64"), MinCount=1, MaxCount=1,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": size}}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
    )["Instances"][0]["InstanceId"]  # fmt: skip
    ec2.stop_instances(InstanceIds=[made])


def test_a_new_installations_hosts_get_the_small_disk() -> None:
    result = prepare(configuration())
    assert "disk: 20 GiB (for new hosts, kept from now on)" in result.output
    assert place_of(parse(configuration()), kept().get).disk == 20


def test_hosts_that_are_there_keep_the_disk_that_they_have() -> None:
    # GIVEN a host of an earlier release, and one of somebody else
    volume("another-host-1", 30)
    volume("slipway-host-1", 50)
    result = prepare(configuration())
    assert "disk: 50 GiB (the hosts' that are there, kept from now on)" in result.output
    assert place_of(parse(configuration()), kept().get).disk == 50
    assert "disk: 50 GiB (kept)" in prepare(configuration()).output
    # AND what is configured is taken, whatever was kept
    assert "disk: 70 GiB (configured)" in prepare(configuration(volumeSize=70)).output
    assert place_of(parse(configuration(volumeSize=70)), kept().get).disk == 70


def test_where_nobody_looked_the_template_stays_as_it_was() -> None:
    # GIVEN what an earlier release kept: it knew of no disks, and made them of 50 GiB
    assert prepare(configuration()).exit_code == 0
    found = {key: value for key, value in kept().items() if ":disk:" not in key}
    assert place_of(parse(configuration()), found.get).disk == 50
    broken = found | {disk_key(parse(configuration())): "large"}
    with pytest.raises(InvalidConfiguration, match=r"buildHost\.volumeSize"):
        place_of(parse(configuration()), broken.get)


def test_ecs_has_its_role_before_the_first_cluster() -> None:
    roles = boto3.client("iam").list_roles
    assert prepare(configuration()).exit_code == 0
    made = [r["Arn"] for r in roles()["Roles"]]
    assert len(made) == 1
    assert ":role/aws-service-role/ecs.amazonaws.com/" in made[0]
    # AND a second time it is there
    assert prepare(configuration()).exit_code == 0
    assert len(roles()["Roles"]) == 1


def test_without_a_sample_nothing_is_made_in_the_account() -> None:
    data = configuration()
    data["pipelines"][0]["service"] = {"cluster": "main", "name": "shop"}
    assert prepare(data).exit_code == 0
    assert boto3.client("iam").list_roles()["Roles"] == []


def test_what_is_found_stands_beside_the_configuration(tmp_path: Path) -> None:
    # GIVEN a configuration outside this folder, in YAML
    file = tmp_path / "ours" / "stage.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(configuration()))
    # WHEN it is prepared
    result = CliRunner().invoke(main, ["prepare", "--installation", str(file)])
    assert result.exit_code == 0, result.output
    # THEN nothing was written here
    assert not Path("cdk.context.json").exists()
    beside = json.loads(file.with_name("cdk.context.json").read_text())
    keys = (image_key, zone_key, disk_key)
    assert set(beside) == {key(load(file)) for key in keys}


def test_what_was_found_in_this_folder_before_stays_found(tmp_path: Path) -> None:
    # GIVEN what an earlier release kept in this folder, for a configuration elsewhere
    file = tmp_path / "ours" / "stage.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(configuration()))
    before = {image_key(load(file)): "ami-0123456789abcdef0", "hosted-zone:x": {"Id": 1}}
    Path("cdk.context.json").write_text(json.dumps(before))
    # WHEN it is prepared, THEN the hosts keep their image, and the CDK's own look-ups stay here
    result = CliRunner().invoke(main, ["prepare", "--installation", str(file)])
    assert "image: ami-0123456789abcdef0 (kept)" in result.output
    beside = json.loads(file.with_name("cdk.context.json").read_text())
    assert beside[image_key(load(file))] == "ami-0123456789abcdef0"
    assert "hosted-zone:x" not in beside
