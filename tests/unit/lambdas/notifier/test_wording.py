"""What is said about a notice in e-mail and in every sentence that the others share."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings

from slipway.contracts import build_steps, notice_text, sentences, wording
from slipway.contracts.messages import AlertKind, CloseNotice
from tests.unit.lambdas.notifier.samples import AFTER, BUILD_LOG, NOTICES, alert, deployment
from tests.unit.lambdas.notifier.strategies import notices

SNS_LIMIT = 256 * 1024

fewer = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", NOTICES)
def test_subject_and_text_of_every_kind_are_readable(name: str) -> None:
    # GIVEN a notice of every kind  WHEN put into words
    subject, text = notice_text.subject(NOTICES[name]), notice_text.plain_text(NOTICES[name])
    # THEN the subject is one short ASCII line and the text no JSON
    assert 10 < len(subject) < 100
    assert not any(mark in text for mark in '{}[]"' if name != "failed in build")
    assert "None" not in text


@pytest.mark.parametrize("name", NOTICES)
def test_e_mail_gets_the_words_and_every_other_protocol_the_message(name: str) -> None:
    texts = json.loads(notice_text.texts_by_protocol(NOTICES[name]))
    assert texts.keys() == {"default", "email"}
    assert CloseNotice.from_json(texts["default"]) == NOTICES[name]
    assert texts["email"] == notice_text.plain_text(NOTICES[name])


def test_tests_are_told_with_what_they_count() -> None:
    failed = notice_text.plain_text(NOTICES["failed in the tests"])
    told = "shop: commit 3f2a9c41 failed in the tests.\nThe tests ended with exit code 1: "
    assert failed.startswith(f"{told}2 of 418 failed: shop.pays, shop.<adds>.\n")
    assert "2 failed, 416 passed in 3.1s" in failed
    passed = notice_text.plain_text(NOTICES["with tests"])
    assert "Tests:      416 passed, 2 skipped\n" in passed
    # AND a notice without them says nothing of any
    assert "Tests:" not in notice_text.plain_text(NOTICES["succeeded"])


@pytest.mark.parametrize("name", NOTICES)
def test_a_headline_is_one_thought(name: str) -> None:
    assert notice_text.headline(NOTICES[name]).count(":") <= 1  # behind the pipeline's name


@fewer
@given(notices)
def test_hostile_texts_stay_within_what_sns_allows(notice: CloseNotice) -> None:
    subject, text = notice_text.subject(notice), notice_text.plain_text(notice)
    assert 0 < len(subject) < 100
    assert all(" " <= character <= "~" for character in subject)
    assert len(text.encode()) < SNS_LIMIT // 2
    assert not set(text) & set("\x00\x1b\r\u202e\u2066\u2028")


@pytest.mark.parametrize(
    ("name", "headline", "runs"),
    [
        ("succeeded", "shop: commit 3f2a9c41 is live", "shop:42 (sha256:0123456789ab) runs now."),
        (
            "recovered",
            "shop: commit 3f2a9c41 is live, after 3 failed deployments",
            "shop:42 (sha256:0123456789ab) runs now.",
        ),
        (
            "failed in build",
            "shop: commit 3f2a9c41 failed in the build",
            "The previous version still runs: shop:41.",
        ),
        (
            "failed in rollout",
            "shop: commit 3f2a9c41 failed in the rollout",
            "The new version was not taken back: shop:42 runs.",
        ),
        (
            "rolled back",
            "shop: commit 3f2a9c41 failed in the rollout and was rolled back",
            "The previous version runs again: shop:41.",
        ),
        (
            "failed before a commit was known",
            "shop: the branch's tip failed in the fetch",
            "The service was not touched: the previous version still runs.",
        ),
        (
            "rollback by an operator",
            "shop: commit 3f2a9c41 is live again (rollback)",
            "shop:41 (sha256:0123456789ab) runs now.",
        ),
        (
            "cancelled",
            "shop: commit 3f2a9c41 was cancelled",
            "The service was not touched: the previous version still runs.",
        ),
        (
            "cancelled in the rollout",
            "shop: commit 3f2a9c41 was cancelled in the rollout and rolled back",
            "The previous version runs again: shop:41.",
        ),
        (
            "gave up",
            "shop: commit 3f2a9c41 was given up on, its request is a dead letter now",
            "The previous version still runs: shop:41.",
        ),
    ],
)
def test_what_happened_and_what_runs_now(name: str, headline: str, runs: str) -> None:
    notice = NOTICES[name]
    assert notice.result is not None
    assert notice_text.headline(notice) == headline
    assert sentences.runs_now(notice.result) == runs
    assert runs in notice_text.plain_text(notice)


def test_what_was_cancelled_after_its_revision_was_registered_touched_no_service() -> None:
    notice = deployment(
        status="cancelled", stage="update", now_running=None, task_definition_after=AFTER
    )
    assert notice.result is not None
    assert sentences.runs_now(notice.result).startswith("The service was not touched")


@pytest.mark.parametrize("kind", get_args(AlertKind))
@pytest.mark.parametrize("recovered", [False, True])
def test_every_alert_has_words_for_its_trouble_and_for_its_end(kind: str, recovered: bool) -> None:
    told = alert(kind=kind, subject="shop", recovered=recovered)
    assert "shop" in notice_text.headline(told)


def test_a_rollout_that_is_not_followed_and_one_that_is_again() -> None:
    trouble = alert(kind="not_followed", subject="shop", recovered=False)
    over = alert(kind="not_followed", subject="shop", recovered=True)
    assert notice_text.headline(trouble) == "The rollout of shop is not followed"
    assert notice_text.headline(over) == "The rollout of shop is followed again"


def test_a_rollout_that_could_not_read_the_service_does_not_claim_that_anything_runs() -> None:
    notice = deployment(status="failed", stage="rollout", now_running=None)
    assert notice.result is not None
    assert sentences.runs_now(notice.result) == "It is not known which version runs now."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
        (100_000, "1 d 3 h"),
        (1e300, "11574074 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("by", "next_look", "said"),
    [
        (None, 112.0, ""),
        ("the follower", None, "followed by the follower"),
        ("the follower", 112.0, "followed by the follower, next look in 12 s"),
        ("host i-0abc", 100.5, "followed by host i-0abc, next look now"),
        ("the follower", 90.0, "followed by the follower, next look now"),
    ],
)
def test_who_follows_a_rollout(by: str | None, next_look: float | None, said: str) -> None:
    assert sentences.followed(by, next_look, 100.0) == said


def test_stages_that_took_no_time_are_not_told() -> None:
    timings = {"fetch": 0.41, "rollout": 0.04, "update": 0.05, "wait": 61.0}
    assert sentences.by_stage(timings) == "fetch 0.4 s · update 0.1 s · wait 1 min 1 s"
    assert sentences.by_stage({}) == ""


@pytest.mark.parametrize(
    ("log", "step"),
    [
        (BUILD_LOG, "3/4 RUN make all (line 7)"),
        (("#9 [build 2/3] RUN x", "#10 [3/3] COPY a b", "#9 ERROR: exit 1"), "2/3 RUN x"),
        (("Step 1/2 : FROM scratch", "Step 2/2 : COPY nothing /"), "2/2 COPY nothing /"),
        (("ERROR: failed to read dockerfile: no such file",), None),
        ((), None),
    ],
)
def test_the_failed_step_is_read_from_each_form_of_dockers_output(
    log: tuple[str, ...], step: str | None
) -> None:
    assert build_steps.failed_step(log) == step


def test_a_step_that_the_cause_names_is_not_told_twice() -> None:
    told = NOTICES["failed in build"].result
    named = deployment(
        status="failed",
        stage="build",
        cause="Dockerfile step 3/4 RUN make all failed with exit code 2",
        log_tail=BUILD_LOG,
    ).result
    assert told is not None
    assert named is not None
    assert sentences.step_to_tell(told) == "3/4 RUN make all (line 7)"
    assert sentences.step_to_tell(named) is None


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("arn:aws:iam::111111111111:user/ada", "ada"),
        ("arn:aws:sts::111111111111:assumed-role/Dev/ada@example.org", "ada@example.org"),
        ("arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:root"),
        ("ada", "ada"),
        ("", ""),
    ],
)
def test_people(identity: str, name: str) -> None:
    assert wording.person(identity) == name


@pytest.mark.parametrize(
    ("reason", "pushed_by", "said"),
    [
        ("push", "ada", "Pushed by ada"),
        ("push", "", ""),
        ("drift", "drift check", "Found by the drift check"),
        ("drift", "", "Found by the drift check"),
        ("rollback", "arn:aws:iam::222222222222:user/eve", "Rolled back by eve"),
        ("redeploy", "eve", "Redeployed by eve"),
    ],
)
def test_who_it_was(reason: str, pushed_by: str, said: str) -> None:
    result = deployment(reason=reason, pushed_by=pushed_by).result
    assert result is not None
    assert sentences.who(result) == said


@pytest.mark.parametrize(
    ("stage", "headline", "runs"),
    [
        ("received", "by a newer push", "The service was not touched: the previous version"),
        ("rollout", "by another deployment", "shop:43 runs now."),
    ],
)
def test_superseded_before_and_in_the_rollout(stage: str, headline: str, runs: str) -> None:
    running, new = ("shop:43", "shop:42") if stage == "rollout" else (None, None)
    result = deployment(
        status="superseded", stage=stage, now_running=running, task_definition_after=new
    ).result
    assert result is not None
    assert sentences.what_happened(result).endswith(headline)
    assert sentences.runs_now(result).startswith(runs)


def test_a_direction_override_cannot_turn_the_rest_of_a_line_around() -> None:
    assert wording.tidy("a\u202eb\u2066c\u0000d\n\ne  f") == "abcd e f"


def test_emoji_and_right_to_left_letters_stay() -> None:
    assert wording.tidy("👩‍👧 שלום") == "👩‍👧 שלום"


def test_lead_time_and_push_to_steady_are_said_after_a_success_only() -> None:
    good, bad = NOTICES["succeeded"].result, NOTICES["rolled back"].result
    assert good is not None
    assert bad is not None
    assert sentences.how_long(good) == "42 s in all, push to steady 48 s, lead time 2 h 5 min"
    assert sentences.how_long(bad) == "42 s in all"


def test_more_commits_than_are_shown_are_counted() -> None:
    result = NOTICES["succeeded"].result
    assert result is not None
    notice = deployment(commits_since=result.commits_since * 5, commits_since_count=15)
    assert "  and 5 more" in notice_text.plain_text(notice)


def test_the_commit_link_is_in_the_text_where_there_is_a_template() -> None:
    text = notice_text.plain_text(NOTICES["succeeded"], commit_url="https://git.example/c/{commit}")
    assert "https://git.example/c/3f2a9c41d07be85a6f1e2c3b4d5a69788796a5b4" in text
