"""The probe that takes an action out of a role: it takes that one, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.contracts.errors import WrongUse
from tests.e2e.permissions import allowed_actions, role_of
from tests.e2e.without import Permission, without


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["sqs:A", "sqs:B"], "Resource": "q"},
            {"Effect": "Allow", "Action": "sns:Publish", "Resource": "t"},
            {"Effect": "Deny", "Action": "sns:C", "Resource": "*"},
        ],
    }


def test_one_action_goes_and_the_others_stay(document: dict[str, Any]) -> None:
    changed = without(document, "sqs:A")

    assert allowed_actions(changed) == {"sqs:B", "sns:Publish"}
    assert allowed_actions(document) == {"sqs:A", "sqs:B", "sns:Publish"}


def test_a_statement_without_actions_goes(document: dict[str, Any]) -> None:
    assert len(without(document, "sns:Publish")["Statement"]) == 2


def test_an_action_that_is_not_there_changes_nothing(document: dict[str, Any]) -> None:
    assert without(document, "ec2:StopInstances") == document


@pytest.mark.parametrize(
    ("principal", "role"),
    [
        ("arn:aws:sts::222222222222:assumed-role/slipway-host/i-1", "slipway-host"),
        ("arn:aws:iam::111111111111:role/slipway-tip", "slipway-tip"),
        ("arn:aws:iam::111111111111:user/developer", ""),
        ("arn:aws:iam::111111111111:root", ""),
    ],
)
def test_whose_question_it_was(principal: str, role: str) -> None:
    assert role_of(principal) == role


@pytest.mark.parametrize("text", ["", "sqs:A", "@role", "sqs:A@", "A@role"])
def test_a_wrong_permission_is_told(text: str) -> None:
    with pytest.raises(WrongUse, match="ACTION@ROLE"):
        Permission.parse(text)
