"""Topics as Slipway has them: what a subscription does not get lies in a dead-letter queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.findings import accept_checkov
from infra.shared import Shared

UNENCRYPTED = {
    "CKV_AWS_26": "What passes is names and ids, under TLS; alias/aws/sns can be used neither "
    "across accounts nor by CloudWatch. Who needs a key configures `customerKey`."
}

Filters = Mapping[str, Sequence[Any]]
"""Of a subscription: which values of which attribute it takes, as SNS's filter policies say it."""

EVERYTHING: Filters = {}


class Topic(Construct):
    """A standard topic. Attribute: `topic`.

    SNS discards what an endpoint refuses (a policy, a deleted queue): so each subscription is made
    here, with the stack's queue for what could not be delivered.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        shared: Shared,
    ) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        self.topic = sns.Topic(
            self,
            "Topic",
            topic_name=name,
            enforce_ssl=shared.differences.tls_only,
            master_key=shared.key,
        )
        if shared.key is None:
            accept_checkov(self.topic, UNENCRYPTED)
        shared.differences.accept_plain_http(self.topic)

    def to_queue(self, queue: sqs.Queue, *, only: Filters = EVERYTHING) -> None:
        """Deliver to a queue, the message as it is; `only` what has these attributes."""
        self.topic.add_subscription(
            subscriptions.SqsSubscription(
                queue,
                raw_message_delivery=True,
                dead_letter_queue=self._shared.undelivered,
                filter_policy=_policy(only),
            )
        )

    def to_function(self, function: lambda_.Function, *, only: Filters = EVERYTHING) -> None:
        """Invoke a function asynchronously; `only` as above."""
        self.topic.add_subscription(
            subscriptions.LambdaSubscription(
                function,
                dead_letter_queue=self._shared.undelivered,
                filter_policy=_policy(only),
            )
        )

    def to_email(self, address: str, *, only: Filters = EVERYTHING) -> None:
        """Send to an address, which has to confirm it; `only` as above."""
        self.topic.add_subscription(
            subscriptions.EmailSubscription(
                address,
                dead_letter_queue=self._shared.undelivered,
                filter_policy=_policy(only),
            )
        )

    def let_alarms_publish(self, sid: str, account: str, alarms: str) -> None:
        """Let CloudWatch publish for `alarms`, an ARN pattern, of `account`."""
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                conditions={
                    "StringEquals": {"aws:SourceAccount": account},
                    "ArnLike": {"aws:SourceArn": alarms},
                },
            )
        )

    def let_role_publish(self, sid: str, principal: iam.IPrincipal) -> None:
        """Let a role of another account publish."""
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                principals=[principal],
            )
        )


def _policy(only: Filters) -> dict[str, sns.SubscriptionFilter] | None:
    if not only:
        return None
    return {
        attribute: sns.SubscriptionFilter(conditions=list(values))
        for attribute, values in only.items()
    }
