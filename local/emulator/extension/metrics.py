"""Gap closed: metrics that AWS makes by itself are missing, and alarms mix up their dimensions.

* Log lines in the embedded metric format become metrics.
* Queues publish their counts and the age of their oldest message (`AWS/SQS`), every few seconds
  instead of every minute.
* Running instances publish as EC2's basic monitoring does (`AWS/EC2`): every five minutes the five
  samples of its minutes.
* Every run of a Lambda counts (`AWS/Lambda`), asynchronous ones and their retries too.
* An alarm looks at the metric with exactly its dimensions, and treats missing data as it says, from
  its first moment on.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import get_account_id, request_scope
from ministack.services import cloudwatch, cloudwatch_logs, ec2, lambda_svc, sns, sqs

from local.emulator.extension.private import need, replace, wrap

log = logging.getLogger("slipway.metrics")

Data = dict[str, Any]
# (namespace, name, value, unit, dimensions)
Metric = tuple[str, str, float, str, dict[str, str]]

PUBLISH_SECONDS = 5.0
BASIC_SECONDS = 300.0
BASIC_SAMPLES = 5
"""EC2's basic monitoring: a SampleCount of 5 in each five minutes that an instance runs."""


def embedded_metrics(line: str) -> list[Metric]:
    """The metrics in a log line of the embedded metric format; none in any other line."""
    if '"CloudWatchMetrics"' not in line:
        return []
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
    except (ValueError, KeyError, TypeError):
        return []
    found: list[Metric] = []
    for directive in directives:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(document.get(name, "")) for name in names}
            for metric in directive.get("Metrics") or []:
                values = document.get(metric["Name"], [])
                found += [
                    (
                        directive["Namespace"],
                        metric["Name"],
                        float(value),
                        metric.get("Unit") or "None",
                        dimensions,
                    )
                    for value in (values if isinstance(values, list) else [values])
                ]
    return found


def queue_metrics(queue: Data, now: float) -> dict[str, float]:
    """What CloudWatch knows of a queue, by metric name."""
    messages = list(queue.get("messages") or [])
    visible = [message for message in messages if message.get("visible_at", 0) <= now]
    sent = [message.get("sent_at", now) for message in messages]
    return {
        "ApproximateNumberOfMessagesVisible": len(visible),
        "ApproximateNumberOfMessagesNotVisible": len(messages) - len(visible),
        "ApproximateAgeOfOldestMessage": int(now - min(sent)) if sent else 0,
    }


def instance_metrics(instance_id: str) -> list[Metric]:
    """What CloudWatch gets of an instance that has run for five minutes, without detailed
    monitoring.
    """
    dimensions = {"InstanceId": instance_id}
    return [
        metric
        for _ in range(BASIC_SAMPLES)
        for metric in (
            ("AWS/EC2", "CPUUtilization", 1.0, "Percent", dimensions),
            ("AWS/EC2", "StatusCheckFailed", 0.0, "Count", dimensions),
        )
    ]


def verdict(alarm: Data, points: list[Data]) -> str | None:
    """An alarm's new state for the points of one of its periods; None to stay as it is."""
    if not points:
        missing = alarm.get("TreatMissingData") or "missing"
        states = {"notBreaching": "OK", "breaching": "ALARM", "missing": "INSUFFICIENT_DATA"}
        return states.get(missing)
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
    threshold = alarm.get("Threshold", 0)
    comparisons = {
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "GreaterThanThreshold": value > threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }
    breaching = comparisons.get(alarm.get("ComparisonOperator", ""), False)
    return "ALARM" if breaching else "OK"


def state_of(alarm: Data, points: list[Data], now: float) -> str | None:
    """An alarm's new state: ALARM only if each of its evaluation periods says so; None: no change.

    Data that is `missing` counts for nothing as long as another period has some.
    """
    period, periods = alarm.get("Period", 60), alarm.get("EvaluationPeriods", 1)
    verdicts = []
    for number in range(periods):
        began, ended = now - period * (number + 1), now - period * number
        within = [point for point in points if began <= point["Timestamp"] < ended]
        # A metric's time can be a little ahead: the newest period has no end.
        newest = [point for point in points if number == 0 and point["Timestamp"] >= ended]
        verdicts.append(verdict(alarm, within + newest))
    known = [state for state in verdicts if state not in (None, "INSUFFICIENT_DATA")]
    if not known:
        return verdicts[0]
    return "ALARM" if set(known) == {"ALARM"} and len(known) == periods else "OK"


def _evaluate(alarm: Data) -> None:
    namespace, name = alarm.get("Namespace"), alarm.get("MetricName")
    if not namespace or not name:
        return
    dimensions = {given["Name"]: given["Value"] for given in alarm.get("Dimensions") or []}
    key = (namespace, name, cloudwatch._dims_key(dimensions))
    known = cloudwatch._metrics.get(key) or []
    before, after = alarm["StateValue"], state_of(alarm, known, time.time())
    if after is None or after == before:
        return
    reason = f"Threshold Crossed: {len(known)} datapoints, threshold {alarm.get('Threshold')}"
    alarm["StateValue"], alarm["StateReason"] = after, reason
    alarm["StateUpdatedTimestamp"] = alarm["StateTransitionedTimestamp"] = int(time.time())
    cloudwatch._record_history(alarm["AlarmName"], before, after, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, after, reason)


ALARM_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")


def _asking_the_topic(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """An alarm reaches a topic only if the topic's policy lets CloudWatch publish."""

    def dispatched(alarm: Data, *rest: Any) -> Any:
        service, source = "cloudwatch.amazonaws.com", alarm.get("AlarmArn") or ""

        def takes(action: str) -> bool:
            if ":sns:" not in action:
                return True
            taken = sns.topic_policy_allows(action, service, source, get_account_id())
            if not taken:
                log.warning("the alarm %s may not publish to %s", alarm.get("AlarmName"), action)
            return bool(taken)

        permitted = {
            name: [one for one in alarm.get(name) or [] if takes(one)] for name in ALARM_ACTIONS
        }
        return dispatch({**alarm, **permitted}, *rest)

    return dispatched


def _reading_lines(append: Callable[..., Any]) -> Callable[..., Any]:
    def appended(stream: Data, events: list[Data]) -> Any:
        result = append(stream, events)
        found = [metric for event in events for metric in embedded_metrics(event["message"])]
        for metric in found:
            cloudwatch.record_metric(*metric)
        if found:
            cloudwatch._evaluate_all_alarms()
        return result

    return appended


def _counting(run: Callable[..., Data]) -> Callable[..., Data]:
    def counted(function: Data, config: Data, *rest: Any) -> Data:
        started = time.monotonic()
        result = run(function, config, *rest)
        dimensions = {"FunctionName": config.get("FunctionName", "")}
        milliseconds = (time.monotonic() - started) * 1000
        errors = 1 if result.get("error") else 0
        cloudwatch.record_metric("AWS/Lambda", "Invocations", 1, "Count", dimensions)
        cloudwatch.record_metric("AWS/Lambda", "Errors", errors, "Count", dimensions)
        cloudwatch.record_metric("AWS/Lambda", "Duration", milliseconds, "Milliseconds", dimensions)
        cloudwatch._evaluate_all_alarms()
        return result

    return counted


def _throttles_only(emit: Callable[..., None]) -> Callable[..., None]:
    def emitted(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
        if throttle:
            emit(function_name, duration_ms, error, throttle)

    return emitted


def publish(*, instances: bool) -> None:
    """Publish the metrics of every queue (and instance) once, and look at the alarms."""
    scopes = _publish_queues(time.time())
    if instances:
        scopes |= _publish_instances()
    for account, region in scopes:
        with request_scope(account, region):
            cloudwatch._evaluate_all_alarms()


def _publish_instances() -> set[tuple[str, str]]:
    scopes = set()
    for (account, region, instance_id), instance in ec2._instances.all_items():
        scopes.add((account, region))
        if instance["State"]["Name"] != "running":
            continue
        with request_scope(account, region):
            for metric in instance_metrics(instance_id):
                cloudwatch.record_metric(*metric)
    return scopes


def _publish_queues(now: float) -> set[tuple[str, str]]:
    scopes = set()
    for (account, region, _url), queue in sqs._queues.all_items():
        name = queue["attributes"].get("QueueArn", "").rpartition(":")[2]
        scopes.add((account, region))
        with request_scope(account, region):
            for metric, value in queue_metrics(queue, now).items():
                cloudwatch.record_metric("AWS/SQS", metric, value, "Count", {"QueueName": name})
    return scopes


def _keep_publishing(stop: threading.Event) -> None:
    basic = time.monotonic() + BASIC_SECONDS
    while not stop.wait(PUBLISH_SECONDS):
        due = time.monotonic() >= basic
        publish(instances=due)
        if due:
            basic += BASIC_SECONDS


def install() -> None:
    """Make the metrics; the queues' from a thread that ends with the process."""
    for name in (
        "record_metric",
        "_evaluate_all_alarms",
        "_metrics",
        "_dims_key",
        "_calc_stats",
        "_stat_value",
        "_record_history",
        "_dispatch_alarm_actions",
    ):
        need(cloudwatch, name)
    need(sqs, "_queues")
    need(ec2, "_instances")
    replace(cloudwatch, "_evaluate_alarm", _evaluate)
    wrap(cloudwatch, "_dispatch_alarm_actions", _asking_the_topic)
    need(sns, "topic_policy_allows")
    wrap(cloudwatch_logs, "_append_log_events", _reading_lines)
    wrap(lambda_svc, "_execute_function_dispatch", _counting)
    wrap(lambda_svc, "_emit_lambda_metrics", _throttles_only)
    stop = threading.Event()
    threading.Thread(
        target=_keep_publishing, args=(stop,), daemon=True, name="slipway-metrics"
    ).start()
