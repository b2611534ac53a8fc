"""What the roles of a running stack may do, and what they were seen to ask for.

`NOT_ASKED` is the table of granted actions that the local run never asks for: the emulator does
not enforce them, or what needs them is not in the local run. Every other granted action is asked
for in the tests of this folder, so taking it out of its role is a denial, and a denial fails them.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from local.accounts import client_of
from local.state import State

PREFIX = "slipway-"

_BOOT = "the host's boot unit: the local run starts the agent as a process"
_SESSION = "Session Manager: there is no machine to open a session on"
_LAYERS = "Docker's registry protocol has no such question; ECR's own endpoint asks it"
_UNBALANCED = "the sample's service is behind no load balancer; told by the tests of the rollout"
_STUCK = "a rollout that its circuit breaker does not end; told by the tests of the rollout"

SELDOM: dict[str, str] = {
    "dynamodb:DeleteItem@slipway-reconciler": "the end of an alert; see tests/e2e/chaos",
    "ec2:StopInstances@slipway-reconciler": "a host that hangs; see tests/e2e/chaos",
    "ecs:ListServiceDeployments@slipway-host": "a way back that a host sees to its end",
    "ecs:ListServiceDeployments@slipway-follower": "a way back that no host sees to its end",
    "logs:GetLogEvents@slipway-host": "a crash that a host follows to its end; else the follower",
    "ecs:StopServiceDeployment@slipway-follower": "a cancel that comes while ECS is at it",
}
"""What is asked for where something takes too long: in `make chaos`, or on a busy machine."""

NOT_ASKED: dict[str, str] = {
    "ecr:BatchCheckLayerAvailability@slipway-sample-execution": _LAYERS,
    "ecr:GetDownloadUrlForLayer@slipway-host": _LAYERS,
    "ecs:DescribeContainerInstances@slipway-host": _UNBALANCED,
    "ecs:DescribeContainerInstances@slipway-follower": _UNBALANCED,
    "ecs:StopServiceDeployment@slipway-host": _STUCK,
    "elasticloadbalancing:DescribeTargetHealth@slipway-follower": _UNBALANCED,
    "elasticloadbalancing:DescribeTargetHealth@slipway-host": _UNBALANCED,
    "kms:Decrypt@slipway-host": "asked behind s3:GetObject of a bucket that is under a KMS key",
    "kms:Decrypt@slipway-notifier": "the emulator does not ask it behind ssm:GetParameter",
    "s3:GetObject@slipway-host": _BOOT,
    "sqs:SendMessage@slipway-notifier": "its queue alone runs it, so no event of its own fails",
    "ssm:GetParameter@slipway-host": _BOOT,
    "ssm:UpdateInstanceInformation@slipway-host": _SESSION,
    "ssmmessages:CreateControlChannel@slipway-host": _SESSION,
    "ssmmessages:CreateDataChannel@slipway-host": _SESSION,
    "ssmmessages:OpenControlChannel@slipway-host": _SESSION,
    "ssmmessages:OpenDataChannel@slipway-host": _SESSION,
}

_LATER = "a later step of a rollout: the follower's, unless it comes within two seconds"

BUILDERS_SELDOM: dict[str, str] = {
    "ecs:DeregisterTaskDefinition@slipway-builder": _LATER,
    "ecs:DescribeTasks@slipway-builder": _LATER,
    "ecs:ListServices@slipway-builder": _LATER,
    "ecs:ListTaskDefinitions@slipway-builder": _LATER,
    "ecs:ListTasks@slipway-builder": _LATER,
}
"""A builder follows its rollout for two seconds, or while it builds the next push."""

BUILDERS_NOT_ASKED: dict[str, str] = {
    "ecs:DescribeContainerInstances@slipway-builder": _UNBALANCED,
    "ecs:ListServiceDeployments@slipway-builder": "a way back; see tests/e2e/chaos",
    "ecs:StopServiceDeployment@slipway-builder": _STUCK,
    "elasticloadbalancing:DescribeTargetHealth@slipway-builder": _UNBALANCED,
    "kms:Decrypt@slipway-builder": NOT_ASKED["kms:Decrypt@slipway-host"],
    "logs:GetLogEvents@slipway-builder": "a crash of a release, told by whoever follows it",
}
"""The same of a local run whose builders are builds of CodeBuild, for the roles `of_builders`."""


def of_builders(permissions: set[str]) -> set[str]:
    """Those of the builder's role, and what others have for CodeBuild, or to drain the queue."""
    drains = {f"sqs:{action}@slipway-reconciler" for action in ("ReceiveMessage", "DeleteMessage")}
    return {
        p
        for p in permissions
        if p.endswith("@slipway-builder") or p.startswith("codebuild:") or p in drains
    }


def granted(state: State) -> set[str]:
    """`action@role` of every statement that allows something, in both accounts."""
    found: set[str] = set()
    for account in (state.dev_account, state.prod_account):
        iam = client_of("iam", state.endpoint_url, account, state.region)
        for role, document in policies(iam):
            found |= {f"{action}@{role}" for action in allowed_actions(document)}
    return found


def policies(iam: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(role, document) of each inline policy of the installation's roles."""
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        if name.startswith(PREFIX):
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                answer = iam.get_role_policy(RoleName=name, PolicyName=policy)
                yield name, as_document(answer["PolicyDocument"])


def as_document(given: Any) -> dict[str, Any]:
    """A policy document as boto3 or the emulator gives it: decoded, or text."""
    found: dict[str, Any] = json.loads(given) if isinstance(given, str) else given
    return found


def allowed_actions(document: dict[str, Any]) -> set[str]:
    """The actions that the document's statements allow."""
    return {
        action
        for statement in as_list(document["Statement"])
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
    }


def as_list(value: Any) -> list[Any]:
    """IAM writes one where there is only one."""
    return value if isinstance(value, list) else [value]


def questions(state: State) -> list[dict[str, Any]]:
    """What the emulator was asked: `principal`, `action`, `allowed`."""
    url = f"{state.endpoint_url}/_slipway/asked"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own http URL
        found: list[dict[str, Any]] = json.loads(answer.read())
        return found


def asked(state: State, *, allowed: bool) -> set[str]:
    """`action@role` of the questions of the installation's roles that got this answer."""
    return {
        f"{question['action']}@{role}"
        for question in questions(state)
        if question["allowed"] is allowed
        and (role := role_of(question["principal"])).startswith(PREFIX)
    }


def role_of(principal: str) -> str:
    """The role of `arn:aws:sts::<account>:assumed-role/<role>/<session>`; empty for others."""
    parts = principal.rpartition(":")[2].split("/")
    return parts[1] if parts[0] in ("assumed-role", "role") and len(parts) > 1 else ""
