"""One KMS key of the account's own for the prod stack's topics and queues, where it is wanted.

`alias/aws/sns` can be used neither from another account nor by CloudWatch, so there is this key or
none. What prod's roles may do with it is in their own statements; its policy lets in who has no
role in prod: the trigger's role, and the services that write to encrypted topics and queues.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.kept import KEPT
from infra.permissions.arns import Arns
from infra.permissions.statements import USE_KEY, trust_roles, use_key


class CustomerKey(Construct):
    """Kept when the stack goes: what lies in a queue could not be read without it.

    Attributes: `key`, to whose policy no other construct can add; `use`, what roles of prod need.
    """

    def __init__(self, scope: Construct, construct_id: str, *, arns: Arns) -> None:
        super().__init__(scope, construct_id)
        i = arns.installation
        made = kms.Key(
            self,
            "Key",
            alias=i.names.key_alias,
            description=f"Slipway {i.name}: topics and queues.",
            enable_key_rotation=True,
            removal_policy=KEPT,
            policy=iam.PolicyDocument(statements=[_administer(arns), *_let_in(arns)]),
        )
        self.use = use_key(made.key_arn, i.region)
        self.key = kms.Key.from_key_arn(self, "Fixed", made.key_arn)


ADMINISTER = (
    *("CancelKeyDeletion", "ScheduleKeyDeletion", "DisableKey", "EnableKey"),
    *("DescribeKey", "UpdateKeyDescription", "GetKeyPolicy", "PutKeyPolicy", "ListKeyPolicies"),
    *("GetKeyRotationStatus", "EnableKeyRotation", "DisableKeyRotation", "ListKeyRotations"),
    *("CreateAlias", "UpdateAlias", "DeleteAlias"),
    *("ListResourceTags", "TagResource", "UntagResource"),
)


def _administer(arns: Arns) -> iam.PolicyStatement:
    """AWS: a key whose policy does not name its account cannot be managed, nor used by IAM policy.

    AWS's default allows `kms:*` here; this is what CloudFormation and an administrator need of it.
    """
    i = arns.installation
    return iam.PolicyStatement(
        sid="AccountByItsPolicies",
        actions=[*(f"kms:{action}" for action in ADMINISTER), *USE_KEY],
        resources=["*"],
        principals=[iam.ArnPrincipal(f"arn:{i.partition}:iam::{i.prod_account}:root")],
    )


def _let_in(arns: Arns) -> list[iam.PolicyStatement]:
    """Who has no identity policy in prod, and what for."""
    i = arns.installation
    topics = [i.names.request_topic, i.names.close_topic, i.names.alarm_topic]
    alarms = f"alarm:{i.name}-*"
    return [
        _use(
            "PushesOfDev",
            trust_roles(i.dev_account, i.partition, [arns.trigger_role]),
            {"StringEquals": {"kms:ViaService": f"sns.{i.region}.amazonaws.com"}},
        ),
        _use(
            "TopicsToQueues",
            iam.ServicePrincipal("sns.amazonaws.com"),
            {"ArnEquals": {"aws:SourceArn": [arns.topic(name) for name in topics]}},
        ),
        _use(
            "AlarmsToTopic",
            iam.ServicePrincipal("cloudwatch.amazonaws.com"),
            {
                "StringEquals": {"aws:SourceAccount": _once([i.prod_account, i.dev_account])},
                "ArnLike": {
                    "aws:SourceArn": _once(
                        [arns.prod("cloudwatch", alarms), arns.dev("cloudwatch", alarms)]
                    )
                },
            },
        ),
        # AWS: EventBridge names no source to KMS. The queue's own policy names the rules.
        _use("EventsToQueue", iam.ServicePrincipal("events.amazonaws.com"), {}),
    ]


def _use(
    sid: str, principal: iam.IPrincipal, conditions: dict[str, dict[str, object]]
) -> iam.PolicyStatement:
    statement = iam.PolicyStatement(
        sid=sid, actions=list(USE_KEY), resources=["*"], principals=[principal]
    )
    for operator, members in conditions.items():
        statement.add_condition(operator, members)
    return statement


def _once(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))
