"""The written-down limits refuse what Slack refuses: each rule, one step beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from local.slack_page.limits import faults


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def fields(count: int, length: int = 1) -> dict[str, Any]:
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * length}] * count}


def context(count: int) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "plain_text", "text": "x"}] * count}


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "x"},
        {"text": "x" * 40_000},
        {"blocks": [section("x" * 3000)] * 50},
        {"blocks": [header("x" * 150), fields(10, 2000), context(10), {"type": "divider"}]},
        {"blocks": [header("😀" * 75)]},
    ],
)
def test_at_the_limit_is_taken(payload: Any) -> None:
    assert faults(payload) == []


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ([], "must be an object"),
        ({}, "no_text"),
        ({"text": ""}, "not empty"),
        ({"text": "x" * 40_001}, "more than 40000"),
        ({"text": 1}, "must be a text"),
        ({"blocks": "x"}, "must be a list"),
        ({"blocks": [section("x")] * 51}, "more than 50"),
        ({"blocks": [section("x" * 3001)]}, "more than 3000"),
        ({"blocks": [section("")]}, "not empty"),
        ({"blocks": [section("a\x00b")]}, "null"),
        ({"blocks": [section("\ud800")]}, "not Unicode"),
        ({"blocks": [header("x" * 151)]}, "more than 150"),
        ({"blocks": [header("😀" * 76)]}, "more than 150"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "plain_text"),
        ({"blocks": [fields(11)]}, "1 to 10"),
        ({"blocks": [fields(0)]}, "1 to 10"),
        ({"blocks": [fields(1, 2001)]}, "more than 2000"),
        ({"blocks": [context(11)]}, "1 to 10"),
        ({"blocks": [{"type": "section"}]}, "needs text or fields"),
        ({"blocks": [{"type": "carousel"}]}, "is not one of"),
        ({"blocks": [{"type": "divider", "colour": "red"}]}, "is not a member"),
        ({"blocks": [{"type": "divider", "block_id": "x" * 256}]}, "more than 255"),
        ({"blocks": [None]}, "must be an object"),
        (
            {
                "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "text": "x", "emoji": True}}
                ]
            },
            "is not a member",
        ),
        (
            {
                "blocks": [
                    {"type": "header", "text": {"type": "plain_text", "text": "x", "emoji": 1}}
                ]
            },
            "true or false",
        ),
    ],
)
def test_one_step_beyond_is_refused(payload: Any, word: str) -> None:
    (fault, *_) = faults(payload)
    assert word in fault
