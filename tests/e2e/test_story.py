"""A user pushes good, bad and good, rolls back and redeploys, and reads of it everywhere."""

from __future__ import annotations

import html
import time
from pathlib import Path

from local.http import fetch
from tests.e2e.chain import Chain
from tests.e2e.story import CHECKOUT, GREETING, TOTAL, Story

PIPELINE = "sample"


def test_a_day_is_told_the_same_everywhere(chain: Chain, tmp_path: Path) -> None:
    # GIVEN a pipeline, and what is known of it
    began, story = time.time(), Story(chain.directory, PIPELINE)
    before = story.answer("report", PIPELINE)[PIPELINE]

    # WHEN a good commit is pushed and watched
    watched = story.a_good_commit()
    good = story.commits[GREETING]
    assert "waiting for " in watched  # a host, or, right after the push, what is asked for
    assert f"commit {good[:8]} is live" in watched
    assert chain.serves() == good

    # WHEN a bad one is pushed: the command fails, says why, and the good one still answers
    told = story.a_bad_commit()
    bad = story.commits[CHECKOUT]
    assert f"commit {bad[:8]} failed in the build" in told
    assert "The previous version still runs" in told
    assert chain.serves() == good
    (failed,) = story.answer("history", PIPELINE, "--failed", "--limit", "1")
    assert failed["commit"] == bad
    chain.until(
        "its log, which comes after the outcome",
        lambda: "behaviour=build" in story.slipway("logs", failed["deployment"]),
    )

    # WHEN a better one is pushed, taken back, and deployed again
    assert "after 1 failed deployment" in story.a_better_commit()
    better = story.commits[TOTAL]
    assert chain.serves() == better
    assert f"commit {good[:8]} is live again (rollback)" in story.back()
    assert chain.serves() == good
    assert f"commit {better[:8]} is live (redeployed)" in story.on_again()
    assert chain.serves() == better

    # THEN the history has them all, newest first
    history = story.answer("history", PIPELINE, "--limit", "5")
    assert [(entry["reason"], entry["status"], entry["commit"]) for entry in history] == [
        ("redeploy", "succeeded", better),
        ("rollback", "succeeded", good),
        ("push", "succeeded", better),
        ("push", "failed", bad),
        ("push", "succeeded", good),
    ]
    assert failed["deployment"] in story.slipway("history", PIPELINE, "--since", "1h")

    # THEN the report counts them: four successes, one build that failed, one change taken back
    page = tmp_path / "report.html"
    after = story.answer("report", PIPELINE, "--html", str(page))[PIPELINE]
    counts = ("deployments", "changes", "failed_changes", "failed_builds")
    assert [after[name] - before[name] for name in counts] == [4, 3, 1, 1]
    assert "<svg" in page.read_text(encoding="utf-8")

    # THEN the status says what runs
    (now,) = story.answer("status", PIPELINE)["pipelines"]
    assert now["running"]["commit"] == better
    assert now["running"]["subject"] == TOTAL
    assert now["failures"] == 0

    # THEN Slack was told each, once and in order, and the page shows it
    told_of = [
        f"commit {good[:8]} is live",
        f"commit {bad[:8]} failed in the build",
        f"commit {better[:8]} is live",
        f"commit {good[:8]} is live again (rollback)",
        f"commit {better[:8]} is live (redeployed)",
    ]
    chain.until("the last notice", lambda: chain.notices(told_of[-1], since=began))
    heads = [
        message.lines[0]
        for message in chain.notices(since=began)
        if any(commit[:8] in message.lines[0] for commit in story.commits.values())
    ]
    assert len(heads) == len(told_of)
    for head, words in zip(heads, told_of, strict=True):
        assert words in head
    shown = fetch(f"{chain.state.slack_url}/") or ""
    place = 0
    for head in reversed(heads):  # the newest comes first; each is looked for below the one before
        place = shown.find(html.escape(head.partition(" ")[2]), place + 1)
        assert place > 0, head
