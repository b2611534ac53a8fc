"""What the parts of one stack have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.local_differences import Differences
from infra.permissions.customer_key import CustomerKey
from infra.permissions.statements import Allow
from infra.queues import dead_letter_queue
from slipway.configuration import Configuration
from slipway.contracts.names import Names


@dataclass(frozen=True)
class Common:
    """What is known of a stack before it is there."""

    configuration: Configuration
    names: Names
    code: lambda_.Code
    differences: Differences
    arn: Callable[[str, str], str]
    """The ARN of a service's resource on this stack's side."""


@dataclass(frozen=True)
class Shared(Common):
    """What a stack's functions, queues and topics are made with."""

    failures: sqs.Queue
    """What functions gave up on. One queue for all of them, for each would have an alarm."""
    failures_arn: str
    """Its ARN in words, as statements have it."""
    undelivered: sqs.Queue
    """What SNS or EventBridge could not deliver; one queue, for the same reason."""
    customer_key: CustomerKey | None = None
    """What this stack's topics and queues are encrypted under, in place of AWS's own."""

    @classmethod
    def of(
        cls,
        stack: Construct,
        common: Common,
        *,
        failures: str,
        undelivered: str | None = None,
        customer_key: CustomerKey | None = None,
    ) -> Shared:
        """With queues of these names, made in the stack; without `undelivered` one is for both."""
        key = customer_key.key if customer_key else None

        def queue(construct_id: str, name: str) -> sqs.Queue:
            return dead_letter_queue(
                stack, construct_id, name=name, differences=common.differences, key=key
            )

        failed = queue("Failures", failures)
        return cls(
            **vars(common),
            failures=failed,
            failures_arn=common.arn("sqs", failures),
            undelivered=queue("Undelivered", undelivered) if undelivered else failed,
            customer_key=customer_key,
        )

    @property
    def key(self) -> kms.IKey | None:
        return self.customer_key.key if self.customer_key else None

    @property
    def use_key(self) -> list[Allow]:
        """What whoever sends to this stack's topics or works on its queues needs besides."""
        return [self.customer_key.use] if self.customer_key else []
