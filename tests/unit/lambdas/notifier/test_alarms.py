"""CloudWatch's alarm messages as notices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas.notifier.alarms import alarm_notice
from slipway.contracts.errors import InvalidMessage
from tests.places import EVENTS

ALARM: dict[str, Any] = json.loads((EVENTS / "cloudwatch_alarm.json").read_text())


def test_an_alarm_is_told_with_its_description_and_reason() -> None:
    notice = alarm_notice(ALARM)
    assert notice is not None
    assert notice.alert is not None
    assert (notice.alert.kind, notice.alert.subject) == ("alarm", "slipway-oldest-request")
    assert notice.alert.text.startswith("A build request has waited for more than 30 minutes. — ")
    assert not notice.alert.recovered
    assert notice.alert.at == pytest.approx(1_795_256_400.123)


def test_its_recovery_is_a_notice_of_its_own() -> None:
    over = alarm_notice({**ALARM, "NewStateValue": "OK", "OldStateValue": "ALARM"})
    raised = alarm_notice(ALARM)
    assert over is not None
    assert over.alert is not None
    assert raised is not None
    assert over.alert.recovered
    assert over.notice_id != raised.notice_id


def test_the_same_message_has_the_same_notice_id_and_the_next_change_another() -> None:
    again, later = (
        alarm_notice(dict(ALARM)),
        alarm_notice({**ALARM, "StateChangeTime": "2026-11-21T11:20:00.123+0000"}),
    )
    first = alarm_notice(ALARM)
    assert first is not None
    assert again is not None
    assert later is not None
    assert first.notice_id == again.notice_id != later.notice_id


@pytest.mark.parametrize(
    ("old", "new"), [("INSUFFICIENT_DATA", "OK"), ("ALARM", "INSUFFICIENT_DATA")]
)
def test_a_change_that_ends_no_trouble_is_not_told(old: str, new: str) -> None:
    assert alarm_notice({**ALARM, "OldStateValue": old, "NewStateValue": new}) is None


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("AlarmName", ""),
        ("NewStateValue", "PANIC"),
        ("StateChangeTime", "yesterday"),
        ("StateChangeTime", None),
    ],
)
def test_a_body_that_cloudwatch_would_not_send_names_the_member(member: str, value: Any) -> None:
    with pytest.raises(InvalidMessage, match=member):
        alarm_notice({**ALARM, member: value})
