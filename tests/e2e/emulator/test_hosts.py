"""Instances: their states, what is told of them, and the role that they give."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.utils import InstanceMetadataFetcher

from local.waiting import wait_for
from tests.e2e.emulator.world import PROD, REGION, World, allow, error_code, role_resource

USER_DATA = "#!/bin/sh\necho ä > /etc/greeting\n"


@pytest.fixture(scope="module")
def host(world: World) -> dict[str, str]:
    """An instance with a role, and a queue that hears of its states."""
    return world.deploy(
        "hosts",
        {
            "Role": role_resource("host", "ec2.amazonaws.com", allow("sqs:ListQueues")),
            "Profile": {
                "Type": "AWS::IAM::InstanceProfile",
                "Properties": {"Roles": [{"Ref": "Role"}]},
            },
            "Host": {
                "Type": "AWS::EC2::Instance",
                "Properties": {
                    "ImageId": "ami-0123456789abcdef0",
                    "InstanceType": "t3.medium",
                    "IamInstanceProfile": {"Ref": "Profile"},
                    "MetadataOptions": {"HttpTokens": "required"},
                    "UserData": {"Fn::Base64": USER_DATA},
                    "Tags": [{"Key": "slipway:host", "Value": "one"}],
                },
            },
            "Heard": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "states"}},
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "Name": "states",
                    "EventPattern": {
                        "source": ["aws.ec2"],
                        "detail-type": ["EC2 Instance State-change Notification"],
                        "detail": {"state": ["stopped"]},
                    },
                    "Targets": [{"Id": "q", "Arn": {"Fn::GetAtt": ["Heard", "Arn"]}}],
                },
            },
            "Allowed": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {
                    "Queues": [{"Ref": "Heard"}],
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "events.amazonaws.com"},
                                "Action": "sqs:SendMessage",
                                "Resource": {"Fn::GetAtt": ["Heard", "Arn"]},
                                "Condition": {
                                    "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}
                                },
                            }
                        ],
                    },
                },
            },
        },
    )


def described(world: World, instance_id: str) -> dict:
    found = world.root("ec2").describe_instances(InstanceIds=[instance_id])
    return found["Reservations"][0]["Instances"][0]


def await_state(world: World, instance_id: str, state: str) -> dict:
    def reached() -> dict | None:
        instance = described(world, instance_id)
        return instance if instance["State"]["Name"] == state else None

    return wait_for(f"{instance_id} {state}", reached, seconds=10, poll=0.05)


def run(world: World, instance_id: str) -> dict:
    """Have it running, whatever it was."""
    if described(world, instance_id)["State"]["Name"] == "stopped":
        world.root("ec2").start_instances(InstanceIds=[instance_id])
    return await_state(world, instance_id, "running")


def test_a_host_stops_and_starts_as_in_aws(world, host):
    # GIVEN a running host
    ec2, instance_id = world.root("ec2"), host["Host"]
    before = run(world, instance_id)
    assert before["MetadataOptions"]["HttpTokens"] == "required"
    assert before["Tags"] == [{"Key": "slipway:host", "Value": "one"}]
    # WHEN it is stopped
    stopping = ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"][0]
    # THEN it is stopping, cannot be started yet, and stops; the rule's queue hears it
    assert stopping["CurrentState"]["Name"] == "stopping"
    with pytest.raises(ClientError) as refused:
        ec2.start_instances(InstanceIds=[instance_id])
    assert error_code(refused.value) == "IncorrectInstanceState"
    await_state(world, instance_id, "stopped")
    heard = json.loads(world.receive(host["Heard"]))
    assert heard["detail"] == {"instance-id": instance_id, "state": "stopped"}
    assert described(world, instance_id)["StateReason"] == {
        "Code": "Client.UserInitiatedShutdown",
        "Message": "Client.UserInitiatedShutdown: User initiated shutdown",
    }
    assert heard["resources"] == [f"arn:aws:ec2:{REGION}:{PROD}:instance/{instance_id}"]
    # AND a start gives it a new launch time
    ec2.start_instances(InstanceIds=[instance_id])
    assert described(world, instance_id)["State"]["Name"] == "pending"
    assert await_state(world, instance_id, "running")["LaunchTime"] > before["LaunchTime"]


def test_a_program_on_the_host_is_the_hosts_role(world, host, monkeypatch):
    # GIVEN a running host and a program with nothing but its metadata service
    run(world, host["Host"])
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{world.url}/imds/{host['Host']}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    session = boto3.Session(region_name=REGION)
    # WHEN it asks who it is
    identity = session.client("sts", endpoint_url=world.url).get_caller_identity()
    # THEN it is a session of the role, named after the host, and may what the role may
    assert identity["Arn"] == f"arn:aws:sts::{PROD}:assumed-role/host/{host['Host']}"
    sqs = session.client("sqs", endpoint_url=world.url)
    assert "ResponseMetadata" in sqs.list_queues()
    with pytest.raises(ClientError) as refused:
        sqs.create_queue(QueueName="not-allowed")
    assert error_code(refused.value) == "AccessDenied"


def test_the_identity_document_names_the_boot(world, host):
    # GIVEN a running host
    instance = run(world, host["Host"])
    fetcher = InstanceMetadataFetcher(base_url=f"{world.url}/imds/{host['Host']}")
    token = fetcher._fetch_metadata_token()
    # WHEN the document is fetched with a token
    url = f"{world.url}/imds/{host['Host']}/latest/dynamic/instance-identity/document"
    headers = {"X-aws-ec2-metadata-token": token}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:  # noqa: S310
        document = json.loads(answer.read())
    # THEN
    assert document["instanceId"] == host["Host"]
    assert document["accountId"] == PROD
    assert document["region"] == REGION
    assert document["pendingTime"] == instance["LaunchTime"].strftime("%Y-%m-%dT%H:%M:%SZ")
    # AND without a token there is none
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url)  # noqa: S310


def metadata(world: World, host: dict[str, str]) -> Callable[[str], str]:
    """Asks the host's metadata service for a path, with a token."""
    base = f"{world.url}/imds/{host['Host']}"
    token = InstanceMetadataFetcher(base_url=base)._fetch_metadata_token()

    def ask(path: str) -> str:
        headers = {"X-aws-ec2-metadata-token": token}
        with urllib.request.urlopen(urllib.request.Request(f"{base}/{path}", headers=headers)) as a:  # noqa: S310
            return a.read().decode()

    return ask


@pytest.mark.parametrize("version", ["latest", "2021-03-23", "2009-04-04"])
def test_metadata_is_found_by_its_lists_in_every_version(world, host, version):
    # GIVEN a running host, and who knows no more than where its metadata begins, like cloud-init
    instance, ask = run(world, host["Host"]), metadata(world, host)
    found: dict[str, str] = {}

    def crawl(folder: str) -> None:
        for name in ask(folder).splitlines():
            if name.endswith("/"):
                crawl(folder + name)
            else:
                found[(folder + name).removeprefix(f"{version}/")] = ask(folder + name)

    # WHEN it reads what every list names
    assert version in ask("").splitlines()
    crawl(f"{version}/")
    # THEN it has all of it
    assert found["meta-data/instance-id"] == host["Host"]
    assert found["meta-data/placement/region"] == REGION
    assert found["user-data"] == USER_DATA
    assert json.loads(found["dynamic/instance-identity/document"])["instanceId"] == host["Host"]
    keys = json.loads(found["meta-data/iam/security-credentials/host"])
    assert keys["AccessKeyId"]
    mac = found["meta-data/mac"]
    address = found[f"meta-data/network/interfaces/macs/{mac}/local-ipv4s"]
    assert address == instance["PrivateIpAddress"]
    # AND what no version has is not there
    for path in (f"{version}/meta-data/nothing", "1999-01-01/meta-data/instance-id"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(path)


def test_the_user_data_can_be_asked_of_ec2(world, host):
    ec2 = world.root("ec2")
    told = ec2.describe_instance_attribute(InstanceId=host["Host"], Attribute="userData")
    assert base64.b64decode(told["UserData"]["Value"]).decode() == USER_DATA
    # AND where there is none, none is told
    (bare,) = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"]
    told = ec2.describe_instance_attribute(InstanceId=bare["InstanceId"], Attribute="userData")
    assert told["UserData"] == {}
    ec2.terminate_instances(InstanceIds=[bare["InstanceId"]])


def test_a_machine_that_has_shut_down_is_stopped(world, host):
    # GIVEN a running host
    run(world, host["Host"])
    # WHEN its machine goes off by itself
    assert world.internal("POST", f"ec2/{host['Host']}/off") == {"off": True}
    # THEN it is stopped, and EC2 says that nobody asked for it
    stopped = described(world, host["Host"])
    assert stopped["State"]["Name"] == "stopped"
    assert stopped["StateTransitionReason"].startswith("Client.InstanceInitiatedShutdown")
    # AND one that is off already is no news
    assert world.internal("POST", f"ec2/{host['Host']}/off") == {"off": False}


def test_a_stopped_host_has_no_metadata_service(world, host):
    # GIVEN a host that is not running
    run(world, host["Host"])
    world.root("ec2").stop_instances(InstanceIds=[host["Host"]])
    await_state(world, host["Host"], "stopped")
    # WHEN / THEN
    url = f"{world.url}/imds/{host['Host']}/latest/api/token"
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(urllib.request.Request(url, headers=headers, method="PUT"))  # noqa: S310


def test_capacity_can_be_missing_and_hosts_can_die(world, host):
    # GIVEN a stopped host and no capacity, once
    ec2, instance_id = world.root("ec2"), host["Host"]
    run(world, instance_id)
    assert world.internal("POST", f"ec2/{instance_id}/die") == {"died": True}
    assert described(world, instance_id)["State"]["Name"] == "stopped"
    fault = {"service": "ec2", "action": "StartInstances", "times": 1, "status": 500}
    world.internal("POST", "faults", {**fault, "code": "InsufficientInstanceCapacity"})
    # WHEN it is started twice
    with pytest.raises(ClientError) as refused:
        ec2.start_instances(InstanceIds=[instance_id])
    started = ec2.start_instances(InstanceIds=[instance_id])["StartingInstances"][0]
    # THEN the first is refused, the second is not
    assert error_code(refused.value) == "InsufficientInstanceCapacity"
    assert started["CurrentState"]["Name"] == "pending"
    await_state(world, instance_id, "running")


def test_a_role_may_start_only_hosts_with_its_tag(world, host):
    # GIVEN a role whose permission has a condition on a tag of the host
    role = world.role("starter-by-tag")
    arn = f"arn:aws:ec2:{REGION}:{PROD}:instance/*"
    for key, value, allowed in (
        ("aws:ResourceTag/slipway:host", "one", True),
        ("ec2:ResourceTag/slipway:host", "one", True),
        ("aws:ResourceTag/slipway:host", "two", False),
    ):
        role.allow("ec2:StartInstances", resource=arn, condition={"StringEquals": {key: value}})
        # WHEN it starts the host / THEN the tag decides
        if allowed:
            role.client("ec2").start_instances(InstanceIds=[host["Host"]])
        else:
            with pytest.raises(ClientError) as refused:
                role.client("ec2").start_instances(InstanceIds=[host["Host"]])
            assert error_code(refused.value) == "UnauthorizedOperation"
