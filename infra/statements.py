"""The statements of every role, by what they are for.

No action is a wildcard. A resource is one only where AWS allows no name; each such statement says
so. `docs/security.md` tells who holds what, `tests/infra/iam.md` is the table of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import aws_iam as iam


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: dict[str, Any] | None = None,
) -> iam.PolicyStatement:
    """An identity statement; `sid` says what it is for."""
    return iam.PolicyStatement(
        sid=sid, actions=list(actions), resources=list(resources), conditions=conditions
    )


def write_logs(log_group: str) -> iam.PolicyStatement:
    return allow(
        "WriteLogs", ["logs:CreateLogStream", "logs:PutLogEvents"], [f"{log_group}:log-stream:*"]
    )


def send_to(queue: str, sid: str = "KeepFailedEvents") -> iam.PolicyStatement:
    return allow(sid, ["sqs:SendMessage"], [queue])


def work_on_queue(queue: str) -> iam.PolicyStatement:
    """What Lambda's poller needs of a queue, and what the notifier needs to let a notice wait."""
    return allow(
        "ReadNotices",
        [
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ChangeMessageVisibility",
        ],
        [queue],
    )


def count_messages(queue: str) -> iam.PolicyStatement:
    return allow("CountRequests", ["sqs:GetQueueAttributes"], [queue])


def publish(sid: str, topics: Sequence[str]) -> iam.PolicyStatement:
    return allow(sid, ["sns:Publish"], topics)


def use_table(table: str, actions: Sequence[str]) -> iam.PolicyStatement:
    """Items of the deployments table; `actions` without their service's name. Never Scan."""
    return allow("UseTable", [f"dynamodb:{action}" for action in actions], [table])


def see_hosts() -> iam.PolicyStatement:
    # AWS: ec2:Describe* know no resources; only "*" is allowed.
    return allow("SeeHosts", ["ec2:DescribeInstances"], ["*"])


def start_hosts(instances: Sequence[str]) -> iam.PolicyStatement:
    return allow("StartHosts", ["ec2:StartInstances"], instances)


def stop_hosts(instances: Sequence[str]) -> iam.PolicyStatement:
    return allow("StopHosts", ["ec2:StopInstances"], instances)


def assume(sid: str, role: str) -> iam.PolicyStatement:
    return allow(sid, ["sts:AssumeRole"], [role])


def read_parameters(sid: str, parameters: Sequence[str]) -> iam.PolicyStatement:
    return allow(sid, ["ssm:GetParameter"], parameters)


def decrypt_parameters(key_alias_region: str, account: str, partition: str) -> iam.PolicyStatement:
    """SecureStrings under the account's own `aws/ssm` key, and through SSM alone.

    The key's id is not known at synth, so the resource is the account's keys in the region and the
    alias is a condition.
    """
    return allow(
        "DecryptParameters",
        ["kms:Decrypt"],
        [f"arn:{partition}:kms:{key_alias_region}:{account}:key/*"],
        {
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/aws/ssm"},
            "StringEquals": {"kms:ViaService": f"ssm.{key_alias_region}.amazonaws.com"},
        },
    )


def trust_roles(account: str, partition: str, roles: Sequence[str]) -> iam.PrincipalBase:
    """The named roles of `account`, which need not exist yet.

    IAM refuses a policy that names a missing role, so the account is the principal and the role a
    condition: either side's stack can be deployed first.
    """
    return iam.PrincipalWithConditions(
        iam.ArnPrincipal(f"arn:{partition}:iam::{account}:root"),
        {"StringEquals": {"aws:PrincipalArn": list(roles) if len(roles) > 1 else roles[0]}},
    )
