"""The dashboard and the alarms look at what is sent, and what is sent is known and bounded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from infra.function import METRICS_NAMESPACE
from lambdas.notifier.measures import OUTCOMES
from tests.infra.templates import ROOT, Stacks, Template, resources, text

NAMED = re.compile(r"\bcount\(\s*\"(\w+)\"|\"(\w+)\": \w+\(result\)|durations\[\"(\w+)\"\]")


def sent() -> set[str]:
    """The metrics that the functions' code names; each is one custom metric at $0.30 a month."""
    sources = [p.read_text(encoding="utf-8") for p in (ROOT / "lambdas").rglob("*.py")]
    found = {name for source in sources for names in NAMED.findall(source) for name in names}
    return (found | set(OUTCOMES.values())) - {""}


def test_the_docs_name_and_count_every_metric() -> None:
    page = Path(ROOT, "docs", "operating.md").read_text(encoding="utf-8")
    assert f"custom metrics: {len(sent())} in all" in page
    for name in sent() - set(OUTCOMES.values()) - {"LeadTime", "PushToSteady", "TimeToRestore"}:
        assert f"`{name}`" in page, name


def test_dashboard_and_alarms_read_nothing_that_is_not_sent(full: Stacks) -> None:
    read = {m[1] for m in _dashboard_metrics(full.prod) if m[0] == METRICS_NAMESPACE}
    assert read >= set(OUTCOMES.values()) | {"LeadTime", "PushToSteady", "TimeToRestore"}
    alarms = [
        alarm
        for alarm in resources(full.prod, "AWS::CloudWatch::Alarm").values()
        if alarm.get("Namespace") == METRICS_NAMESPACE
    ]
    read |= {alarm["MetricName"] for alarm in alarms}
    assert read <= sent()
    # AND a pipeline more is no metric more
    for alarm in alarms:
        assert alarm["Dimensions"] == [{"Name": "service", "Value": "slipway"}]


def test_the_dashboard_answers_what_is_asked_of_it(full: Stacks) -> None:
    widgets = {w["properties"]["title"]: w["properties"] for w in _widgets(full.prod)}
    assert set(widgets) == {
        "Deployments a day, by outcome",
        "Change failure rate",
        "Lead time (commit time to steady), and push to steady",
        "Time to restore, failure in production to next success",
        "Build requests",
        "Hosts awake, a day",
        "Alarms",
    }
    lead_time = json.dumps(widgets["Lead time (commit time to steady), and push to steady"])
    assert lead_time.count("p50") == lead_time.count("p90") == 2
    # AND what the hosts cost, at the price that is configured, with their addresses
    assert "0.0775*" in json.dumps(widgets["Hosts awake, a day"])


def test_one_word_is_said_for_what_has_one_cause(full: Stacks) -> None:
    # GIVEN the composite alarm, and the alarms that it is made of
    (composite,) = resources(full.prod, "AWS::CloudWatch::CompositeAlarm").values()
    rule = text(composite["AlarmRule"])
    alarms = resources(full.prod, "AWS::CloudWatch::Alarm")
    parts = {a["AlarmName"] for name, a in alarms.items() if text({"Ref": name})[2:-1] in rule}
    assert parts == {"slipway-stage-oldest-request", "slipway-stage-tip-ahead"}
    # THEN it speaks for them: they are silent by themselves, and all others are not
    for alarm in alarms.values():
        assert bool(alarm.get("AlarmActions")) != (alarm["AlarmName"] in parts)


def _widgets(template: Template) -> list[dict[str, Any]]:
    (dashboard,) = resources(template, "AWS::CloudWatch::Dashboard").values()
    found: list[dict[str, Any]] = json.loads(text(dashboard["DashboardBody"]))["widgets"]
    return found


def _dashboard_metrics(template: Template) -> list[list[Any]]:
    metrics = [m for w in _widgets(template) for m in w["properties"].get("metrics", [])]
    return [m for m in metrics if isinstance(m[0], str)]
