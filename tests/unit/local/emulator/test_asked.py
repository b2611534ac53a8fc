"""Who asked what of IAM, and how often."""

from __future__ import annotations

from local.emulator.extension.asked import Asked

FOLLOWER = "arn:aws:sts::222222222222:assumed-role/slipway-follower/run"


def test_each_question_is_listed_once_with_its_count() -> None:
    asked = Asked()
    asked.note(FOLLOWER, "ecs:UpdateService", True)
    asked.note(FOLLOWER, "ecs:UpdateService", False)
    asked.note(FOLLOWER, "ecs:UpdateService", True)

    of_it = {"principal": FOLLOWER, "action": "ecs:UpdateService"}
    assert asked.listed() == [
        {**of_it, "allowed": False, "times": 1},
        {**of_it, "allowed": True, "times": 2},
    ]
