"""An emulator of its own for these tests, what is deployed to it, and how it is asked."""

from __future__ import annotations

import functools
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.emulator.process import Emulator
from local.waiting import wait_for

DEV, PROD, REGION = "111111111111", "222222222222", "us-east-1"
DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation")
ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})


@dataclass(frozen=True)
class World:
    """The running emulator."""

    emulator: Emulator

    @property
    def url(self) -> str:
        return self.emulator.endpoint_url

    def root(self, service: str, account: str = PROD) -> Any:
        """A client of an account's administrator."""
        return _client(self.url, service, account, "test", None)

    def role(self, name: str, account: str = PROD) -> Role:
        """A role that this account's administrator may take, with no permission yet."""
        self.root("iam", account).create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(trust({"AWS": account}))
        )
        return Role(self, name, account)

    def deploy(self, name: str, resources: dict[str, Any], account: str = PROD) -> dict[str, str]:
        """Deploy a stack and give its resources' physical ids by logical id."""
        assert self.try_to_deploy(name, resources, account) == "CREATE_COMPLETE"
        cloudformation = self.root("cloudformation", account)
        listed = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}

    def try_to_deploy(self, name: str, resources: dict[str, Any], account: str = PROD) -> str:
        """Make a stack and wait until CloudFormation is done with it, however; its status."""
        cloudformation = self.root("cloudformation", account)
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=json.dumps({"Resources": resources}),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )

        def ended() -> str | None:
            stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            status = str(stack["StackStatus"])
            return None if status.endswith("_IN_PROGRESS") else status

        return wait_for(f"stack {name}", ended, seconds=20)

    def internal(self, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
        """Ask one of the internal endpoints."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}/_slipway/{path}", data=body, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.loads(answer.read())

    def receive(self, queue_url: str, seconds: float = 10) -> str:
        """The body of the next message of a queue."""
        sqs = self.root("sqs")

        def message() -> str | None:
            received = sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=1)
            messages = received.get("Messages") or []
            if not messages:
                return None
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=messages[0]["ReceiptHandle"])
            return str(messages[0]["Body"])

        return wait_for(f"a message on {queue_url}", message, seconds=seconds)


@dataclass(frozen=True)
class Role:
    """A role under test."""

    world: World
    name: str
    account: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.name}"

    def allow(self, *actions: str, resource: str = "*", condition: Any = None) -> None:
        """Replace what the role may."""
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": resource,
        }
        if condition:
            statement["Condition"] = condition
        self.world.root("iam", self.account).put_role_policy(
            RoleName=self.name,
            PolicyName="under-test",
            PolicyDocument=json.dumps(policy(statement)),
        )

    def credentials(self) -> dict[str, str]:
        """A fresh session of the role."""
        sts = self.world.root("sts", self.account)
        taken = sts.assume_role(RoleArn=self.arn, RoleSessionName="test")
        return dict(taken["Credentials"])

    def client(self, service: str) -> Any:
        """A client of a fresh session."""
        key = self.credentials()
        return _client(
            self.world.url,
            service,
            key["AccessKeyId"],
            key["SecretAccessKey"],
            key["SessionToken"],
        )


@functools.cache
def _client(url: str, service: str, key: str, secret: str, token: str | None) -> Any:
    session = boto3.Session(
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        region_name=REGION,
    )
    return session.client(service, endpoint_url=url, config=ONCE)


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(principal: dict[str, str], condition: Any = None) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sts:AssumeRole",
    }
    return policy({**statement, "Condition": condition} if condition else statement)


def role_resource(name: str, service: str, *statements: dict[str, Any]) -> dict[str, Any]:
    """A role in a template, for an AWS service, with these statements."""
    properties: dict[str, Any] = {
        "RoleName": name,
        "AssumeRolePolicyDocument": trust({"Service": service}),
    }
    if statements:
        inline = {"PolicyName": "inline", "PolicyDocument": policy(*statements)}
        properties["Policies"] = [inline]
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def listener(queue_name: str, pattern: dict[str, Any]) -> dict[str, Any]:
    """In a template: a queue that hears each event of the pattern."""
    events = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}}
    return {
        "Heard": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": queue_name}},
        "Told": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventPattern": pattern,
                "Targets": [{"Id": "q", "Arn": {"Fn::GetAtt": ["Heard", "Arn"]}}],
            },
        },
        "Tell": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Heard"}],
                "PolicyDocument": policy({**events, "Action": "sqs:SendMessage", "Resource": "*"}),
            },
        },
    }


def allow(*actions: str, resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def function_resource(name: str, role: str, code: str) -> dict[str, Any]:
    """A Lambda in a template; `role` is the logical id of its role."""
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": name,
            "Runtime": "python3.11",
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": [role, "Arn"]},
            "Timeout": 10,
            "Code": {"ZipFile": code},
        },
    }


def error_code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
