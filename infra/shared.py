"""What the parts of one stack have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_

from infra.local_differences import Differences
from infra.permissions.customer_key import CustomerKey
from infra.permissions.statements import Allow
from slipway.configuration import Configuration
from slipway.contracts.names import Names


@dataclass(frozen=True)
class Shared:
    """What a stack's functions, queues and topics are made with."""

    configuration: Configuration
    names: Names
    code: lambda_.Code
    differences: Differences
    arn: Callable[[str, str], str]
    """The ARN of a service's resource on this stack's side."""
    customer_key: CustomerKey | None = None
    """What this stack's topics and queues are encrypted under, in place of AWS's own."""

    @property
    def key(self) -> kms.IKey | None:
        return self.customer_key.key if self.customer_key else None

    @property
    def use_key(self) -> list[Allow]:
        """What whoever sends to this stack's topics or works on its queues needs besides."""
        return [self.customer_key.use] if self.customer_key else []
