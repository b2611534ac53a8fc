"""The statements of every role, by what they are for.

No action is a wildcard. A resource is one only where AWS allows no name; each such statement says
so. `docs/security.md` tells who holds what, `tests/infra/iam.md` is the table of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_iam as iam

USE_KEY = ("kms:Decrypt", "kms:GenerateDataKey")
"""AWS: whoever sends to an encrypted topic or queue needs both; who receives, the first."""

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
"""What pulling an image from ECR takes, besides the token."""

NO_RESOURCES = "AWS: these actions know no resources; only '*' is allowed."


@dataclass(frozen=True, kw_only=True)
class Allow:
    """An identity statement. `sid` says what it is for, `why` why a resource has a wildcard."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any] | None = None
    why: str | None = None

    @property
    def wildcards(self) -> tuple[str, ...]:
        """The resources that have a wildcard."""
        return tuple(resource for resource in self.resources if set("*?") & set(resource))

    def statement(self) -> iam.PolicyStatement:
        """As the CDK has it. A wildcard without a reason is a mistake of ours."""
        if self.wildcards and not self.why:
            raise ValueError(f"statement {self.sid}: a wildcard needs a reason")
        return iam.PolicyStatement(
            sid=self.sid,
            actions=list(self.actions),
            resources=list(self.resources),
            conditions=self.conditions,
        )


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Any] | None = None,
    *,
    why: str | None = None,
) -> Allow:
    """An identity statement, see `Allow`."""
    return Allow(
        sid=sid,
        actions=tuple(actions),
        resources=tuple(resources),
        conditions=conditions,
        why=why,
    )


def write_logs(log_group: str, sid: str = "WriteLogs") -> Allow:
    """Write into one log group."""
    return allow(
        sid,
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        [f"{log_group}:log-stream:*"],
        why="Streams of this one group: their names are not known beforehand.",
    )


def send_to(queue: str, sid: str = "KeepFailedEvents") -> Allow:
    """Send to one queue."""
    return allow(sid, ["sqs:SendMessage"], [queue])


def find_queues(*queues: str) -> Allow:
    """Learn the URLs of queues, which are known by name."""
    return allow("FindQueues", ["sqs:GetQueueUrl"], queues)


def work_on_queue(sid: str, queue: str, *others: str) -> Allow:
    """What Lambda's poller needs of a queue, and `others` that the function does with it."""
    polled = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    return allow(sid, [f"sqs:{action}" for action in (*polled, *others)], [queue])


def count_messages(queue: str) -> Allow:
    """Read how many messages a queue holds."""
    return allow("CountRequests", ["sqs:GetQueueAttributes"], [queue])


def publish(sid: str, topics: Sequence[str]) -> Allow:
    """Publish to the topics."""
    return allow(sid, ["sns:Publish"], topics)


def use_table(table: str, actions: Sequence[str]) -> Allow:
    """Items of the deployments table; `actions` without their service's name. Never Scan."""
    return allow("UseTable", [f"dynamodb:{action}" for action in actions], [table])


def see_hosts() -> Allow:
    """See which instances there are."""
    return allow("SeeHosts", ["ec2:DescribeInstances"], ["*"], why=NO_RESOURCES)


def start_hosts(instances: Sequence[str], volume_key: str | None, region: str) -> list[Allow]:
    """Start them, and let EC2 use the disks' key for that, where it is a customer's.

    EC2 makes a grant on the key in the caller's name at each start. May the caller not, the start
    is answered well, and the instance goes from pending to stopped.
    """
    start = allow("StartHosts", ["ec2:StartInstances"], instances)
    if volume_key is None:
        return [start]
    conditions = {
        "Bool": {"kms:GrantIsForAWSResource": "true"},
        "StringEquals": {"kms:ViaService": f"ec2.{region}.amazonaws.com"},
    }
    return [start, allow("LetDisksBeRead", ["kms:CreateGrant"], [volume_key], conditions)]


def stop_hosts(instances: Sequence[str]) -> Allow:
    """Stop the named instances."""
    return allow("StopHosts", ["ec2:StopInstances"], instances)


def run_builders(project: str, *others: str) -> Allow:
    """Start builds of one CodeBuild project, and ask what became of them; `others`: more actions.

    What concerns a build is asked of its project (AWS: service authorization reference).
    """
    actions = ["StartBuild", "BatchGetBuilds", "ListBuildsForProject", *others]
    return allow("RunBuilders", [f"codebuild:{action}" for action in actions], [project])


def assume(sid: str, role: str) -> Allow:
    """Assume one role."""
    return allow(sid, ["sts:AssumeRole"], [role])


def read_parameters(sid: str, parameters: Sequence[str]) -> Allow:
    """Read the named parameters."""
    return allow(sid, ["ssm:GetParameter"], parameters)


def decrypt_parameters(parameters: Sequence[str], keys: str, region: str) -> Allow:
    """SecureStrings, whether under the account's `aws/ssm` key or one of the customer's."""
    through = f"ssm.{region}.amazonaws.com"
    return _decrypt("DecryptParameters", keys, through, PARAMETER_ARN=parameters)


def decrypt_secrets(secrets: Sequence[str], keys: str, region: str) -> Allow:
    """Secrets Manager's secrets under a key of the customer's; its own key asks for nothing."""
    through = f"secretsmanager.{region}.amazonaws.com"
    return _decrypt("DecryptSecrets", keys, through, SecretARN=secrets)


def decrypt_objects(objects: Sequence[str], keys: str, region: str) -> Allow:
    """S3 objects of a bucket that is under a key of the customer's.

    The bucket is named as well: with an S3 Bucket Key it is the context in place of the object.
    """
    buckets = dict.fromkeys(arn.partition("/")[0] for arn in objects)
    through = f"s3.{region}.amazonaws.com"
    return _decrypt("DecryptObjects", keys, through, **{"aws:s3:arn": [*objects, *buckets]})


def _decrypt(sid: str, keys: str, through: str, **context: Sequence[str]) -> Allow:
    """Under whatever key of `keys`, a pattern: through one service, and what `context` names alone.

    Which key it is nobody tells at synth; what is encrypted is said to KMS by the service itself,
    as encryption context, so the statement opens these things and no others (AWS: KMS developer
    guide, how Parameter Store, Secrets Manager and S3 use KMS). A key's own policy has to let the
    account's policies decide, as AWS's default does.
    """
    return allow(
        sid,
        ["kms:Decrypt"],
        [keys],
        {
            "StringEquals": {"kms:ViaService": through},
            "StringLike": {
                f"kms:EncryptionContext:{name}": list(arns) for name, arns in context.items()
            },
        },
        why="The key's id is not known at synth: service and encrypted thing are conditions.",
    )


def use_key(key: str, region: str) -> Allow:
    """The key of encrypted topics and queues: through SNS and SQS alone."""
    through = [f"{service}.{region}.amazonaws.com" for service in ("sns", "sqs")]
    return allow("UseKey", USE_KEY, [key], {"StringEquals": {"kms:ViaService": through}})


def use_key_named(alias: str, keys: str, region: str) -> Allow:
    """The key that bears `alias` in another account, to publish to its encrypted topics."""
    return allow(
        "UseKey",
        USE_KEY,
        [keys],
        {
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": alias},
            "StringEquals": {"kms:ViaService": f"sns.{region}.amazonaws.com"},
        },
        why="The key's id is not known to the other account: its alias and SNS are conditions.",
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
