"""Metrics that AWS makes by itself, and alarms on them."""

from __future__ import annotations

import json

import pytest

from local.emulator.extension.metrics import (
    embedded_metrics,
    queue_metrics,
    state_of,
    verdict,
)

DIRECTIVE = {
    "Namespace": "Slipway",
    "Dimensions": [["service"], ["service", "pipeline"]],
    "Metrics": [{"Name": "Builds", "Unit": "Count"}],
}


def test_a_line_of_the_embedded_format_is_a_metric_per_dimension_set_and_value():
    # GIVEN a line as Powertools writes it
    line = json.dumps(
        {
            "_aws": {"Timestamp": 1, "CloudWatchMetrics": [DIRECTIVE]},
            "service": "agent",
            "pipeline": "sample",
            "Builds": [1.0, 2.0],
        }
    )
    # WHEN / THEN
    alone, both = {"service": "agent"}, {"service": "agent", "pipeline": "sample"}
    assert embedded_metrics(line) == [
        ("Slipway", "Builds", 1.0, "Count", alone),
        ("Slipway", "Builds", 2.0, "Count", alone),
        ("Slipway", "Builds", 1.0, "Count", both),
        ("Slipway", "Builds", 2.0, "Count", both),
    ]


@pytest.mark.parametrize("line", ["hello", '{"a": 1}', '"CloudWatchMetrics" {', "{}"])
def test_another_line_is_none(line):
    assert embedded_metrics(line) == []


def test_a_queue_tells_its_counts_and_age():
    # GIVEN one message that waits and one that is held
    messages = [{"visible_at": 5, "sent_at": 5}, {"visible_at": 50, "sent_at": 8}]
    # WHEN / THEN
    assert queue_metrics({"messages": messages}, 10.0) == {
        "ApproximateNumberOfMessagesVisible": 1,
        "ApproximateNumberOfMessagesNotVisible": 1,
        "ApproximateAgeOfOldestMessage": 5,
    }
    assert queue_metrics({"messages": []}, 10.0)["ApproximateAgeOfOldestMessage"] == 0


@pytest.mark.parametrize(
    ("values", "missing", "expected"),
    [
        ([0.0, 1.0], "missing", "ALARM"),
        ([0.0], "missing", "OK"),
        ([], "missing", "INSUFFICIENT_DATA"),
        ([], "notBreaching", "OK"),
        ([], "breaching", "ALARM"),
        ([], "ignore", None),
    ],
)
def test_an_alarm_goes_by_its_points_or_by_their_absence(values, missing, expected):
    # GIVEN
    alarm = {
        "Statistic": "Maximum",
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": missing,
    }
    points = [{"Value": value, "Timestamp": 0} for value in values]
    # WHEN / THEN
    assert verdict(alarm, points) == expected


@pytest.mark.parametrize(
    ("missing", "state"),
    [("breaching", "ALARM"), ("notBreaching", "OK"), ("missing", "INSUFFICIENT_DATA")],
)
def test_an_alarm_that_was_just_made_treats_missing_data_as_it_says(missing, state):
    # CloudWatch: an alarm whose missing data is breaching is in alarm from its first look on
    alarm = {"TreatMissingData": missing, "EvaluationPeriods": 2, "Period": 60}
    assert state_of(alarm, [], 1000.0) == state


def test_missing_data_counts_for_nothing_while_another_period_has_some():
    alarm = {
        "TreatMissingData": "missing",
        "EvaluationPeriods": 2,
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 1,
        "ComparisonOperator": "LessThanThreshold",
    }
    assert state_of(alarm, [{"Value": 1.0, "Timestamp": 900.0}], 1000.0) == "OK"
    assert state_of(alarm, [{"Value": 1.0, "Timestamp": 800.0}], 1000.0) == "INSUFFICIENT_DATA"
