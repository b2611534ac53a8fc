"""When somebody is told that Slipway itself is in trouble; every alarm says when it is over, too.

All go to the alarm topic, and from there to the Slack channel and the e-mail addresses.
"""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.function import METRICS_NAMESPACE, METRICS_SERVICE

SAMPLES_AN_HOUR = 60
"""EC2's basic monitoring: a SampleCount of 5 in each five minutes that a host is awake."""
WHOLE_HOUR = 55
"""Of them: CloudWatch may not have got the last five minutes yet."""

NOTHING = cloudwatch.TreatMissingData.NOT_BREACHING
AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD


class Alarms(Construct):
    """Alarms of one stack, named `<installation>-<what>`. Attribute: `all`.

    Ten cost nothing: so one watches a queue for several functions, and none is put together of
    others, which is never free.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, installation: str, topic: sns.ITopic
    ) -> None:
        super().__init__(scope, construct_id)
        self._installation = installation
        self._action = actions.SnsAction(topic)
        self.all: list[cloudwatch.Alarm] = []

    def not_empty(self, what: str, queue: sqs.Queue, description: str) -> None:
        """Something lies in a queue that is meant to be empty. (A sum would cost as much.)"""
        metric = queue.metric_approximate_number_of_messages_visible(
            statistic="Maximum", period=cdk.Duration.minutes(1)
        )
        self._alarm(what, metric, threshold=1, periods=1, description=description)

    def oldest_request(self, queue: sqs.Queue, *, minutes: int) -> None:
        """A request waits long: no host wakes, or all are busy."""
        metric = queue.metric_approximate_age_of_oldest_message(
            statistic="Maximum", period=cdk.Duration.minutes(5)
        )
        self._alarm(
            "oldest-request",
            metric,
            threshold=minutes * 60,
            periods=1,
            description=f"A build request has waited for {minutes} minutes or more. "
            "'slipway status' says for which pipeline, 'slipway doctor' why.",
        )

    def awake(self, hosts: Mapping[str, str], *, hours: int) -> None:
        """A host (name to instance id) is awake for whole hours, one after the other.

        A stopped one has no CPU metric at all, one that was awake for a part of an hour has fewer
        samples in it.
        """
        for name, instance_id in hosts.items():
            metric = cloudwatch.Metric(
                namespace="AWS/EC2",
                metric_name="CPUUtilization",
                dimensions_map={"InstanceId": instance_id},
                statistic="SampleCount",
                period=cdk.Duration.hours(1),
            )
            self._alarm(
                f"{name}-awake",
                metric,
                threshold=WHOLE_HOUR,
                periods=hours,
                description=f"The build host has been awake for {hours} hours. "
                "'slipway status' says what it does; 'slipway hold' keeps it for a look.",
            )

    def reconciler_silent(self, reconciler: lambda_.Function, *, minutes: int) -> None:
        """The safety net itself does not run.

        Lambda sends nothing for a function that is not invoked. Were missing data `breaching`, this
        would be in alarm until the first run. So it goes to INSUFFICIENT_DATA, in which every alarm
        begins, and which is told for this one alone.
        """
        metric = reconciler.metric_invocations(
            statistic="Sum", period=cdk.Duration.minutes(minutes)
        )
        alarm = self._alarm(
            "reconciler-silent",
            metric,
            threshold=1,
            periods=1,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.MISSING,
            description=f"The reconciler has not run for {minutes} minutes: "
            "look at its schedule rule and at its log.",
        )
        alarm.add_insufficient_data_action(self._action)

    def behind(self) -> None:
        """The reconciler asks again and again for what nobody deploys."""
        made = own_metric("RequestsMade", "Sum", cdk.Duration.minutes(30))
        self._alarm(
            "tip-ahead",
            made,
            threshold=1,
            periods=3,
            description="For an hour and a half a branch has been ahead of what runs, though the "
            "reconciler asked for its deployment. 'slipway history' says why.",
        )

    def _alarm(
        self,
        what: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: float,
        periods: int,
        description: str,
        comparison: cloudwatch.ComparisonOperator = AT_LEAST,
        missing: cloudwatch.TreatMissingData = NOTHING,
    ) -> cloudwatch.Alarm:
        """It speaks at its start and at its end."""
        alarm = cloudwatch.Alarm(
            self,
            what,
            alarm_name=f"{self._installation}-{what}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self.all.append(alarm)
        return alarm


def own_metric(name: str, statistic: str, period: cdk.Duration) -> cloudwatch.Metric:
    """A metric that Slipway's functions send."""
    return cloudwatch.Metric(
        namespace=METRICS_NAMESPACE,
        metric_name=name,
        dimensions_map={"service": METRICS_SERVICE},
        statistic=statistic,
        period=period,
    )
