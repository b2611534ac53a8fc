"""What holds data outlives its stack, but not a creation that failed."""

from __future__ import annotations

import aws_cdk as cdk

KEPT = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
"""CloudFormation's RetainExceptOnCreate. Its plain Retain also keeps what a *failed* creation made;
the next try then meets names that exist already."""
