"""A Lambda function as Slipway has them: its own role and log group, its stack's failure queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import accept, accept_checkov
from infra.permissions.roles import slipway_role
from infra.permissions.statements import Allow, send_to, write_logs
from infra.shared import Shared
from slipway.configuration import Configuration

MEMORY = {
    "trigger": 512,
    "starter": 1024,
    "notifier": 512,
    "follower": 512,
    "stopper": 256,
    "reconciler": 256,
}
"""MB. A run needs 42 to 70 of them; the rest buys processor time for the cold start, of which AWS
gives a function a share in proportion: trigger and starter stand between a push and its host's
start, the follower between ECS's word and the notice, for the stopper and the reconciler nobody
waits. Measured and reckoned by bench/memory.py.
"""

RETRIES = 2
"""After 1 and 2 minutes: what Lambda does with an asynchronous invocation that raised."""

LONGEST_WAIT = cdk.Duration.hours(6)
METRICS_NAMESPACE = "Slipway"
METRICS_SERVICE = "slipway"
"""The one dimension of all metrics: each name is one metric, at $0.30 a month."""


CHECKOV = {
    "CKV_AWS_115": "Decisions are conditional writes, so any concurrency is right; reserving some "
    "fails in an account whose limit is 10.",
    "CKV_AWS_116": "It has an on-failure destination, which keeps the error with the event.",
    "CKV_AWS_117": "It talks to AWS and Slack alone; in a VPC it would need a NAT gateway.",
    "CKV_AWS_173": "Its variables are names and URLs; no secret is among them.",
}


class SlipwayFunction(Construct):
    """`lambdas/<name>/handler.py`, its role and its logs; what it fails on goes to `failures`.

    Attributes: `name`, `function`, `role`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        shared: Shared,
        description: str,
        statements: Sequence[Allow],
        shared_policies: Sequence[iam.IManagedPolicy] = (),
        environment: Mapping[str, str] | None = None,
        timeout: cdk.Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = name
        physical = shared.names.function(name)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{physical}",
            retention=_retention(shared.configuration),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.role = slipway_role(
            self,
            "Role",
            name=physical,
            description=description,
            trusted=iam.ServicePrincipal("lambda.amazonaws.com"),
            statements=[
                write_logs(shared.arn("logs", f"log-group:/aws/lambda/{physical}")),
                send_to(shared.failures_arn),
                *shared.use_key,
                *statements,
            ],
            shared=shared_policies,
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=physical,
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=shared.differences.architecture,
            handler=f"lambdas.{name}.handler.handler",
            code=shared.code,
            layers=shared.differences.layers(self, shared.configuration),
            # Statements are written out above: nothing is granted behind our back.
            role=self.role.without_policy_updates(),
            log_group=log_group,
            environment={
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                **(environment or {}),
            },
            memory_size=MEMORY[name],
            timeout=timeout,
            retry_attempts=RETRIES,
            max_event_age=LONGEST_WAIT,
            on_failure=destinations.SqsDestination(shared.failures),
        )
        accept_checkov(self.function, CHECKOV)
        accept_checkov(log_group, {"CKV_AWS_158": "CloudWatch's own key; logs hold no secret."})
        accept(
            self.function,
            "L1",
            "Python 3.13 is what the tests and the pinned Powertools layer are for.",
        )


def _retention(configuration: Configuration) -> logs.RetentionDays:
    return retention_of(configuration.lambdas.log_retention_days)


def retention_of(days: int) -> logs.RetentionDays:
    """CDK's word for a number of days that CloudWatch Logs allows."""
    return {
        1: logs.RetentionDays.ONE_DAY,
        3: logs.RetentionDays.THREE_DAYS,
        5: logs.RetentionDays.FIVE_DAYS,
        7: logs.RetentionDays.ONE_WEEK,
        14: logs.RetentionDays.TWO_WEEKS,
        30: logs.RetentionDays.ONE_MONTH,
        60: logs.RetentionDays.TWO_MONTHS,
        90: logs.RetentionDays.THREE_MONTHS,
        120: logs.RetentionDays.FOUR_MONTHS,
        150: logs.RetentionDays.FIVE_MONTHS,
        180: logs.RetentionDays.SIX_MONTHS,
        365: logs.RetentionDays.ONE_YEAR,
        400: logs.RetentionDays.THIRTEEN_MONTHS,
        545: logs.RetentionDays.EIGHTEEN_MONTHS,
        731: logs.RetentionDays.TWO_YEARS,
    }[days]
