"""Slack messages of every kind, held against the limits as written down for the Slack page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lambdas.notifier import mrkdwn
from lambdas.notifier.blocks import slack_message, text_message
from local.slack_page.limits import faults
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import CloseNotice, Commit
from slipway.contracts.notice_text import plain_text
from tests.unit.lambdas.notifier.samples import NOTICES, RESULT, deployment
from tests.unit.lambdas.notifier.strategies import NASTY, notices, texts

PIPELINE = PipelineSettings(
    name="shop",
    repository="shop",
    branch="main",
    git_url="https://git.example/shop",
    source_role_arn="arn:aws:iam::111111111111:role/slipway-source",
    tip_role_arn="arn:aws:iam::111111111111:role/slipway-tip",
    images=(ImageSettings(repository="shop", repository_uri="r/shop"),),
    cluster="shop",
    service="shop",
    commit_url="https://git.example/shop/commit/{commit}?a=1&b=2",
    mention_on_failure="here",
)

many = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def texts_of(payload: Any) -> str:
    return json.dumps(payload, ensure_ascii=False)


@pytest.mark.parametrize("name", NOTICES)
@pytest.mark.parametrize("pipeline", [PIPELINE, None])
def test_every_kind_of_notice_is_a_message_that_slack_takes(
    name: str, pipeline: PipelineSettings | None
) -> None:
    payload = slack_message(NOTICES[name], pipeline)
    assert faults(payload) == []
    assert "None" not in texts_of(payload)
    assert payload["blocks"][0]["type"] == "header"


@many
@given(notices, st.sampled_from([PIPELINE, None]))
def test_hostile_texts_break_no_limit_and_call_nobody(
    notice: CloseNotice, pipeline: PipelineSettings | None
) -> None:
    # GIVEN a notice with a hostile text in every member that a stranger fills
    # WHEN it is made into a message, with blocks and without
    payload = slack_message(
        notice, replace(pipeline, mention_on_failure=None) if pipeline else None
    )
    # THEN Slack takes it, and nothing in it is a mention, a stranger's link or invisible
    assert faults(payload) == []
    assert faults(text_message(notice)) == []
    shown = texts_of(payload) + texts_of(text_message(notice))
    assert not re.search(r"<[!@#](?!date\^\d+\^)", shown)
    assert "<https://evil" not in shown
    assert not set(shown) & set("\x00\x1b\u202e\u2066")


@many
@given(texts)
@example(NASTY[3])
def test_every_text_in_every_member_at_once(text: str) -> None:
    commit = Commit(id="a" * 40, author=text, subject=text)
    notice = deployment(
        status="failed",
        stage="build",
        commit=commit,
        commits_since=(commit,) * 200,
        cause=text,
        log_tail=(text,) * 200,
        pushed_by=text,
        now_running=text,
        log_link=f"https://logs.example/{text}",
        timings=dict.fromkeys([text, text + "x"], 1.0),
    )
    assert faults(slack_message(notice, PIPELINE)) == []


def blocks_text(name: str, pipeline: PipelineSettings | None = PIPELINE) -> str:
    """All texts of a sample's blocks, as Slack gets them."""
    payload = slack_message(NOTICES[name], pipeline)
    found: list[str] = []
    for block in payload["blocks"]:
        for part in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if part:
                found.append(part["text"])
    return "\n".join(found)


def test_a_failed_build_says_what_broke_where_and_what_runs() -> None:
    shown = blocks_text("failed in build")
    assert ":x: shop: commit 3f2a9c41 failed in the build" in shown
    assert "RUN make all ended with exit code 2" in shown
    assert "Failed step of the Dockerfile: `3/4 RUN make all (line 7)`" in shown
    assert "use of undeclared identifier 'totl'" in shown
    assert "The previous version still runs: shop∶41." not in shown
    assert "The previous version still runs: shop:41." in shown


def test_a_success_says_who_what_and_how_long() -> None:
    shown = blocks_text("succeeded")
    assert ":white_check_mark: shop: commit 3f2a9c41 is live" in shown
    assert "|3f2a9c41> *Fix the basket's total* · Ada Lovelace" in shown
    assert "https://git.example/shop/commit/3f2a9c41d07be85a6f1e2c3b4d5a69788796a5b4" in shown
    assert "Pushed by ada" in shown
    assert "fetch 0.4 s · build 31 s · push 2.0 s · rollout 8.1 s" in shown
    assert "push to steady 48 s" in shown
    assert "3 commits since the last deployment" in shown
    assert "Rename the price column" in shown
    assert "|Log>" in shown
    assert "<!here>" not in shown


def test_a_warning_is_shown_with_a_success_too() -> None:
    warning = "reports of the tests: "
    assert f":warning: {warning}&lt;x&gt;.xml is no JUnit XML" in blocks_text("with a warning")
    assert f"\nWarning: {warning}<x>.xml is no JUnit XML.\n" in plain_text(
        NOTICES["with a warning"]
    )
    assert ":warning:" not in blocks_text("succeeded")


def test_what_a_task_definition_changes_beside_images_is_listed_inside_slacks_limits() -> None:
    changes = ("cpu: 256 → 512", "web.environment.<!here>: changed", *(["x" * 400] * 30))
    result = replace(RESULT, definition_changes=changes)
    notice = CloseNotice(kind="deployment", notice_id="n", result=result)
    message = slack_message(notice, PIPELINE)
    shown = json.dumps(message, ensure_ascii=False)
    assert faults(message) == []
    assert "*Changed in the task definition, beside images*" in shown
    assert "• cpu: 256 → 512" in shown
    assert "<!here>" not in shown
    assert f"• and {len(changes) - 12} more" in shown
    assert "and 22 more" in plain_text(notice)


@pytest.mark.parametrize("name", ["failed in build", "failed in rollout", "rolled back", "gave up"])
def test_failures_mention_who_is_configured(name: str) -> None:
    assert "<!here>" in blocks_text(name)
    assert "<!here>" not in blocks_text(name, replace(PIPELINE, mention_on_failure=None))


def test_a_failed_rollout_shows_the_stopped_tasks_reasons() -> None:
    shown = blocks_text("rolled back")
    assert "Essential container in task exited (web: exit code 1)" in shown
    assert "panic: no database" in shown
    assert "The previous version runs again: shop:41." in shown


def test_more_commits_than_are_shown_are_counted() -> None:
    notice = deployment(commits_since=RESULT.commits_since * 10, commits_since_count=120)
    assert "• and 112 more" in texts_of(slack_message(notice, PIPELINE))


@pytest.mark.parametrize(
    ("configured", "sent"),
    [
        ("here", "<!here>"),
        ("@channel", "<!channel>"),
        ("<!everyone>", "<!everyone>"),
        ("U0123456", "<@U0123456>"),
        ("<@W0123456>", "<@W0123456>"),
        ("S0123456", "<!subteam^S0123456>"),
        ("<!subteam^S0123456>", "<!subteam^S0123456>"),
        ("ada & co", "ada &amp; co"),
        ("<https://evil.example|x>", "&lt;https://evil.example|x&gt;"),
        (None, ""),
    ],
)
def test_mentions(configured: str | None, sent: str) -> None:
    assert mrkdwn.mention(configured) == sent


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a & b <c> d", "a &amp; b &lt;c&gt; d"),
        ("*bold* _it_ ~gone~ `x`", "∗bold∗ ˍitˍ ∼gone∼ ˋxˋ"),
        ("my_file_name 2*3", "my_file_name 2*3"),
        (":boom: at 10:20:30", "∶boom: at 10:20:30"),
        ("> quoted", "› quoted"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("שלום 👩‍👧", "שלום 👩‍👧"),
    ],
)
def test_markup_in_a_text_from_outside_is_shown_not_obeyed(text: str, sent: str) -> None:
    assert mrkdwn.literal(text) == sent


@given(st.text("&<>a😀", max_size=60), st.integers(0, 40))
def test_an_entity_is_never_cut_in_half(text: str, limit: int) -> None:
    cut = mrkdwn.escape(text, limit)
    assert mrkdwn.units(cut) <= limit
    assert re.fullmatch(r"(?:&amp;|&lt;|&gt;|a|😀)*…?", cut)


def test_a_log_cannot_leave_its_code_block_and_keeps_its_end() -> None:
    code = mrkdwn.code(["first", *(["x" * 400] * 20), "``` <!channel>"])
    assert code.startswith("```\n")
    assert code.endswith("\n''' &lt;!channel&gt;\n```")
    assert code.count("```") == 2
    assert "first" not in code
    assert mrkdwn.units(code) <= mrkdwn.SECTION


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "https://", "https://[", "x" * 10, "https://a/" + "b" * 5000, None],
)
def test_a_link_that_slack_would_not_open_is_only_its_label(url: str | None) -> None:
    assert mrkdwn.link(url, "Log") == "Log"


def test_a_link_cannot_be_left_by_its_own_characters() -> None:
    assert mrkdwn.link("https://a/?x=<y>|z&w", "a|b>") == "<https://a/?x=%3Cy%3E%7Cz&amp;w|a¦b&gt;>"
