"""The dashboard and the alarms look at what is sent, and what is sent is known and bounded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.function import METRICS_NAMESPACE
from lambdas.notifier.alarms import alarm_notice
from lambdas.notifier.measures import OUTCOMES
from local.emulator.extension.metrics import BASIC_SECONDS, instance_metrics, state_of
from slipway.cost.model import FREE, Setup
from tests.infra.templates import Stacks, Template, resources, text
from tests.places import ROOT

NAMED = re.compile(r"\bcount\(\s*\"(\w+)\"|\"(\w+)\": \w+\(result\)|durations\[\"(\w+)\"\]")


def sent() -> set[str]:
    """The metrics that the functions' code names; each is one custom metric at $0.30 a month."""
    sources = [p.read_text(encoding="utf-8") for p in (ROOT / "lambdas").rglob("*.py")]
    found = {name for source in sources for names in NAMED.findall(source) for name in names}
    return (found | set(OUTCOMES.values())) - {""}


def test_the_docs_name_and_count_every_metric() -> None:
    page = Path(ROOT, "docs", "operating.md").read_text(encoding="utf-8")
    assert f"custom metrics: {len(sent())} in all" in page
    for name in sent():
        assert f"`{name}`" in page, name


def test_no_metric_is_sent_that_nobody_looks_at(full: Stacks) -> None:
    assert sent() == _read_metrics(full.prod)


def test_dashboard_and_alarms_read_nothing_that_is_not_sent(full: Stacks) -> None:
    assert _read_metrics(full.prod) <= sent()
    # AND a pipeline more is no metric more
    for alarm in _own_alarms(full.prod):
        assert alarm["Dimensions"] == [{"Name": "service", "Value": "slipway"}]


def test_the_dashboard_answers_what_is_asked_of_it(full: Stacks) -> None:
    widgets = {w["properties"]["title"]: w["properties"] for w in _widgets(full.prod)}
    assert set(widgets) == {
        "Deployments a day, by outcome",
        "Change failure rate",
        "Lead time (commit time to steady), and push to steady",
        "Time to restore, failure in production to next success",
        "Build requests that wait, and that runs hold",
        "Hosts awake, a day",
        "Alarms",
    }
    lead_time = json.dumps(widgets["Lead time (commit time to steady), and push to steady"])
    assert lead_time.count("p50") == lead_time.count("p90") == 2
    # AND whether all slots of the three hosts are taken
    requests = widgets["Build requests that wait, and that runs hold"]
    assert requests["annotations"]["horizontal"] == [
        {"label": "build slots", "value": 6, "yAxis": "left"}
    ]
    # AND what the hosts cost, at the price that is configured, with their addresses
    assert "0.0775*" in json.dumps(widgets["Hosts awake, a day"])


def test_cloudwatch_takes_nothing_for_metrics_and_alarms_of_one_host(example: Stacks) -> None:
    # GIVEN an installation with one host, and no e-mail addresses
    alarms = [a for t in example.both for a in resources(t, "AWS::CloudWatch::Alarm").values()]
    # THEN both accounts together have no more than CloudWatch gives to one for nothing
    assert len(alarms) <= FREE
    assert len(sent()) <= FREE
    # AND each alarm counts as one: none looks at several metrics, none is put together of others
    assert all("Metrics" not in alarm for alarm in alarms)
    assert not any(resources(t, "AWS::CloudWatch::CompositeAlarm") for t in example.both)
    # AND that is what `slipway cost` reckons with
    of_prod = resources(example.prod, "AWS::CloudWatch::Alarm")
    assert (Setup().metrics, Setup().alarms) == (len(sent()), len(of_prod))


# --- held against the metrics that AWS makes: a host without detailed monitoring, an idle function

HOUR, DAY = 3600.0, 86400.0
NOW = 100 * DAY


def samples(awake: list[tuple[float, float]]) -> list[dict[str, float]]:
    """The processor's samples of a host that was awake between these times."""
    return [
        {"Timestamp": at, "Value": value}
        for began, ended in awake
        for n in range(1, int((ended - began) // BASIC_SECONDS) + 1)
        for at in [began + n * BASIC_SECONDS - 1]
        for _, name, value, _, _ in instance_metrics("i-1")
        if name == "CPUUtilization"
    ]


def alarm_of(template: Template, what: str) -> dict[str, Any]:
    alarms = resources(template, "AWS::CloudWatch::Alarm").values()
    return next(a for a in alarms if str(a["AlarmName"]).endswith(what))


def test_the_dashboard_counts_the_hours_that_hosts_were_awake(full: Stacks) -> None:
    # GIVEN a day in which one of three hosts was awake for three hours
    widget = next(w["properties"] for w in _widgets(full.prod) if "awake" in str(w["properties"]))
    counted = {"h1": len(samples([(NOW - 9 * HOUR, NOW - 6 * HOUR)])), "h2": 0, "h3": 0}
    formulas = {m[0]["label"]: m[0]["expression"] for m in widget["metrics"] if m[0] != "AWS/EC2"}
    # THEN that is what it says, and what three hours cost
    assert evaluated(formulas["hours"], counted) == pytest.approx(3)
    assert evaluated(formulas["dollars, address included"], counted) == pytest.approx(3 * 0.0775)


def evaluated(expression: str, values: dict[str, int]) -> float:
    """What a formula of CloudWatch's is, for one value of each of its metrics."""
    plain = re.sub(r"FILL\((\w+),0\)", lambda m: str(values[m[1]]), expression)
    assert re.fullmatch(r"[0-9.()+*/ ]+", plain), plain
    return float(eval(plain))  # noqa: S307 - digits and operators only, see above


@pytest.mark.parametrize("minutes", [5, 15, 50])
def test_a_host_that_works_for_a_part_of_every_hour_is_not_called_awake(
    full: Stacks, minutes: int
) -> None:
    alarm = alarm_of(full.prod, "host-1-awake")
    day = [(NOW - n * HOUR, NOW - n * HOUR + 60 * minutes) for n in range(1, 25)]
    assert state_of(alarm, samples(day), NOW) == "OK"


def test_a_host_that_stays_awake_for_hours_is_called_so(full: Stacks) -> None:
    alarm = alarm_of(full.prod, "host-1-awake")
    awake = (NOW - 4 * HOUR - 600, NOW)
    assert state_of(alarm, samples([awake]), NOW) == "ALARM"
    # AND though CloudWatch has not got the last five minutes yet
    assert state_of(alarm, samples([(awake[0], NOW - 300)]), NOW) == "ALARM"


def test_no_alarm_is_born_in_alarm(full: Stacks) -> None:
    for template in full.both:
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values():
            assert state_of(alarm, [], NOW) != "ALARM", alarm["AlarmName"]


def test_a_reconciler_that_stops_running_is_told_and_its_return_too(full: Stacks) -> None:
    alarm = alarm_of(full.prod, "reconciler-silent")
    ran = [{"Timestamp": NOW - 300 * n, "Value": 1.0} for n in range(12)]
    states = [
        state_of(alarm, points, at) for points, at in (([], NOW), (ran, NOW), (ran, NOW + DAY))
    ]
    assert states == ["INSUFFICIENT_DATA", "OK", "INSUFFICIENT_DATA"]
    # AND each of those changes reaches the topic, and is a notice; its first run is none
    assert alarm["InsufficientDataActions"] == alarm["AlarmActions"] == alarm["OKActions"]
    made, ran_first, silent, ran_again = (
        f"2026-11-{when}:00.000+0000" for when in ("01T08:00", "01T08:04", "05T08:00", "05T08:09")
    )
    said = {
        "AlarmName": "slipway-reconciler-silent",
        "AlarmConfigurationUpdatedTimestamp": made,
        "InsufficientDataActions": ["arn:aws:sns:us-east-1:222222222222:slipway-alarm"],
    }
    changes = [
        (ran_first, "INSUFFICIENT_DATA", "OK"),
        (silent, "OK", "INSUFFICIENT_DATA"),
        (ran_again, "INSUFFICIENT_DATA", "OK"),
    ]
    notices = [
        alarm_notice({**said, "StateChangeTime": at, "OldStateValue": old, "NewStateValue": new})
        for at, old, new in changes
    ]
    told = [n and n.alert and n.alert.recovered for n in notices]
    assert told == [None, False, True]


def _read_metrics(template: Template) -> set[str]:
    """Metrics of Slipway's own that the dashboard draws or an alarm looks at."""
    drawn = {m[1] for m in _dashboard_metrics(template) if m[0] == METRICS_NAMESPACE}
    return drawn | {alarm["MetricName"] for alarm in _own_alarms(template)}


def _own_alarms(template: Template) -> list[dict[str, Any]]:
    alarms = resources(template, "AWS::CloudWatch::Alarm").values()
    return [alarm for alarm in alarms if alarm.get("Namespace") == METRICS_NAMESPACE]


def _widgets(template: Template) -> list[dict[str, Any]]:
    (dashboard,) = resources(template, "AWS::CloudWatch::Dashboard").values()
    found: list[dict[str, Any]] = json.loads(text(dashboard["DashboardBody"]))["widgets"]
    return found


def _dashboard_metrics(template: Template) -> list[list[Any]]:
    metrics = [m for w in _widgets(template) for m in w["properties"].get("metrics", [])]
    return [m for m in metrics if isinstance(m[0], str)]
