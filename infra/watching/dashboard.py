"""The dashboard: is what is pushed deployed, how fast, and what does it cost?"""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.watching.alarms import SAMPLES_AN_HOUR, own_metric

HOUR = cdk.Duration.hours(1)
DAY = cdk.Duration.days(1)
ADDRESS_AN_HOUR = 0.005
"""Dollars for a public IPv4 address, while a host is awake."""


class Dashboard(Construct):
    """One page, named as the installation.

    `price`: dollars for an hour of one host, or None. `builds`: build slots of one host, or None
    where each host counts its own. `project`: CodeBuild's, or None.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        build_queue: sqs.Queue,
        hosts: Mapping[str, str],
        alarms: list[cloudwatch.IAlarm],
        price: float | None,
        builds: int | None,
        project: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=name,
            default_interval=cdk.Duration.days(7),
            widgets=[
                [_outcomes(), _failure_rate()],
                [_lead_time(), _time_to_restore()],
                [
                    _queue(build_queue, builds and builds * len(hosts)),
                    *([_awake(hosts, price)] if hosts else []),
                    *([_builders(project)] if project else []),
                ],
                [cloudwatch.AlarmStatusWidget(title="Alarms", alarms=alarms, width=24, height=3)],
            ],
        )


def _outcomes() -> cloudwatch.GraphWidget:
    names = {
        "DeploymentsSucceeded": "succeeded",
        "DeploymentsUnchanged": "unchanged",
        "DeploymentsFailed": "failed",
        "DeploymentsRolledBack": "rolled back",
        "DeploymentsGivenUp": "given up",
        "DeploymentsCancelled": "cancelled",
    }
    return cloudwatch.GraphWidget(
        title="Deployments a day, by outcome",
        width=12,
        stacked=True,
        left=[own_metric(name, "Sum", DAY).with_(label=label) for name, label in names.items()],
    )


def _failure_rate() -> cloudwatch.GraphWidget:
    metrics = {
        "failed": own_metric("DeploymentsFailed", "Sum", DAY),
        "back": own_metric("DeploymentsRolledBack", "Sum", DAY),
        "gaveup": own_metric("DeploymentsGivenUp", "Sum", DAY),
        "good": own_metric("DeploymentsSucceeded", "Sum", DAY),
    }
    bad = "FILL(failed,0)+FILL(back,0)+FILL(gaveup,0)"
    return cloudwatch.GraphWidget(
        title="Change failure rate",
        width=12,
        left=[
            cloudwatch.MathExpression(
                expression=f"100*({bad})/({bad}+FILL(good,0))",
                using_metrics=metrics,
                label="% of deployments that failed",
                period=DAY,
            )
        ],
        left_y_axis=cloudwatch.YAxisProps(min=0, max=100, label="%", show_units=False),
    )


def _lead_time() -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title="Lead time (commit time to steady), and push to steady",
        width=12,
        left=[own_metric("LeadTime", statistic, DAY) for statistic in ("p50", "p90")],
        right=[own_metric("PushToSteady", statistic, DAY) for statistic in ("p50", "p90")],
        right_y_axis=cloudwatch.YAxisProps(min=0, label="seconds", show_units=False),
        left_y_axis=cloudwatch.YAxisProps(min=0, label="seconds", show_units=False),
    )


def _time_to_restore() -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title="Time to restore, failure in production to next success",
        width=12,
        left=[own_metric("TimeToRestore", statistic, DAY) for statistic in ("p50", "p90")],
        left_y_axis=cloudwatch.YAxisProps(min=0, label="seconds", show_units=False),
    )


def _queue(queue: sqs.Queue, slots: int | None) -> cloudwatch.GraphWidget:
    """What waits, and what runs hold: a run holds its request until its rollout is handed over."""
    minutes = cdk.Duration.minutes(5)
    all_busy = [cloudwatch.HorizontalAnnotation(value=slots, label="build slots")] if slots else []
    return cloudwatch.GraphWidget(
        title="Build requests that wait, and that runs hold",
        width=12,
        left_annotations=all_busy,
        left=[
            queue.metric_approximate_number_of_messages_visible(
                statistic="Maximum", period=minutes, label="waiting"
            ),
            queue.metric_approximate_number_of_messages_not_visible(
                statistic="Maximum", period=minutes, label="held by runs, or delayed"
            ),
        ],
        right=[
            queue.metric_approximate_age_of_oldest_message(
                statistic="Maximum", period=minutes, label="age of the oldest"
            )
        ],
        right_y_axis=cloudwatch.YAxisProps(min=0, label="seconds", show_units=False),
    )


def _awake(hosts: Mapping[str, str], price: float | None) -> cloudwatch.GraphWidget:
    samples = {
        f"h{number}": cloudwatch.Metric(
            namespace="AWS/EC2",
            metric_name="CPUUtilization",
            dimensions_map={"InstanceId": instance_id},
            statistic="SampleCount",
            period=DAY,
        )
        for number, instance_id in enumerate(hosts.values(), start=1)
    }
    total = "+".join(f"FILL({name},0)" for name in samples)
    hours = f"({total})/{SAMPLES_AN_HOUR}"
    graph = cloudwatch.GraphWidget(
        title="Hosts awake, a day",
        width=12,
        left=[_formula(hours, samples, "hours")],
        left_y_axis=cloudwatch.YAxisProps(min=0, label="hours", show_units=False),
        right_y_axis=cloudwatch.YAxisProps(min=0, label="$", show_units=False),
    )
    if price is not None:
        cost = f"{price + ADDRESS_AN_HOUR:g}*{hours}"
        graph.add_right_metric(_formula(cost, samples, "dollars, address included"))
    return graph


def _builders(project: str) -> cloudwatch.GraphWidget:
    """CodeBuild's own metrics, which cost nothing."""

    def metric(name: str, label: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/CodeBuild",
            metric_name=name,
            dimensions_map={"ProjectName": project},
            statistic="Sum",
            period=DAY,
            label=label,
        )

    return cloudwatch.GraphWidget(
        title="Builds of CodeBuild, a day",
        width=12,
        left=[metric("Builds", "builds"), metric("FailedBuilds", "that failed as builds")],
        right=[metric("Duration", "seconds of all of them")],
        right_y_axis=cloudwatch.YAxisProps(min=0, label="seconds", show_units=False),
        left_y_axis=cloudwatch.YAxisProps(min=0, label="builds", show_units=False),
    )


def _formula(
    expression: str, metrics: Mapping[str, cloudwatch.IMetric], label: str
) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression=expression, using_metrics=dict(metrics), label=label, period=DAY
    )
