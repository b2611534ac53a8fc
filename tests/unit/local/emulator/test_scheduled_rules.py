"""What the emulator's IAM looks at where a target of EventBridge is set."""

from __future__ import annotations

import pytest

from local.emulator.extension.iam_rules import scheduled_resource, target_roles


@pytest.mark.parametrize(
    ("service", "path", "data", "query", "named"),
    [
        ("events", "/", {"Rule": "nightly"}, {}, "rule/nightly"),
        ("events", "/", {"Rule": "nightly", "EventBusName": "default"}, {}, "rule/nightly"),
        ("events", "/", {"Rule": "nightly", "EventBusName": "shop"}, {}, "rule/shop/nightly"),
        ("events", "/", {"Name": "nightly"}, {}, None),
        ("scheduler", "/schedules/mails", {}, {}, "schedule/default/mails"),
        ("scheduler", "/schedules/mails", {}, {"groupName": ["shop"]}, "schedule/shop/mails"),
        ("scheduler", "/schedules/mails", {"GroupName": "shop"}, {}, "schedule/shop/mails"),
        ("scheduler", "/schedules", {}, {}, None),
    ],
)
def test_a_call_is_about_the_rule_or_schedule_that_it_names(
    service: str, path: str, data: dict[str, str], query: dict[str, list[str]], named: str | None
) -> None:
    assert scheduled_resource(service, path, data, query) == named


def test_a_target_that_is_set_passes_its_role_on() -> None:
    rule = {"Targets": [{"Id": "a", "RoleArn": "role/a"}, {"Id": "b"}]}
    assert target_roles(rule) == [
        ("iam:PassRole", "role/a", {"iam:passedtoservice": "events.amazonaws.com"})
    ]
    schedule = {"Target": {"RoleArn": "role/b"}}
    assert target_roles(schedule) == [
        ("iam:PassRole", "role/b", {"iam:passedtoservice": "scheduler.amazonaws.com"})
    ]
