"""Findings of cdk-nag, CloudFormation and checkov that are meant to be so.

Each is acknowledged beside the one construct that it is about, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

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


def accept_checkov(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """The same for checkov's rules, which it reads in the template: rule to reason."""
    resource = cast(cdk.CfnResource, construct.node.default_child or construct)
    skipped = [{"id": rule, "comment": reason} for rule, reason in sorted(reasons.items())]
    resource.add_metadata("checkov", {"skip": skipped})
