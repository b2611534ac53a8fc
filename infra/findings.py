"""cdk-nag's findings that are meant to be so, each acknowledged beside what it is about."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import IConstruct

PACK = "AwsSolutions"


def accept(construct: IConstruct, rule: str, reason: str) -> None:
    """Acknowledge `rule` (e.g. `SQS3`) on this construct alone, with the reason for reviewers."""
    cdk.Validations.of(construct).acknowledge(
        cdk.Acknowledgment(id=f"{PACK}-{rule}", reason=reason)
    )


def accept_validation(construct: IConstruct, rule: str, reason: str) -> None:
    """The same for a rule of CloudFormation's own validation, e.g. `W3010`."""
    cdk.Validations.of(construct).acknowledge(
        cdk.Acknowledgment(id=f"CloudFormation-Validate::{rule}", reason=reason)
    )
