"""A crash loop in one of five pipelines of a host: the others are live and told meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.plan import Options
from tests.e2e.chain import Chain, local_chain
from tests.e2e.story import Story
from tests.e2e.watching import panel, under_way, watching

AFTER = 20
"""Seconds until a container of the bad release crashes: ECS gives up after the third of them, which
is long after the others are live, however busy the machine is.
"""
SEVERAL = 3
"""The crash loop, and what the two build slots are at."""


@pytest.fixture
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A host of two build slots with five pipelines, each with its first commit deployed."""
    options = Options(pipelines=5, builds=2, idle_period=60, start_period=AFTER)
    with local_chain(tmp_path_factory.mktemp("five"), options) as chain:
        yield chain


def test_a_crash_loop_in_one_pipeline_delays_none_of_the_others(
    five: Chain, tmp_path: Path
) -> None:
    # GIVEN a release that crashes again and again, which is being rolled out
    bad_pipeline, *others = five.state.pipelines
    before = five.serves(bad_pipeline)
    bad = five.push("crashes", "crash", pipeline=bad_pipeline, after=AFTER)
    story = Story(five.directory, bad_pipeline)

    def rolls_out() -> bool:
        row = five.deployment_of(bad.commit_id, bad_pipeline)
        return row is not None and row.is_followed

    five.until("its rollout", rolls_out)
    # AND somebody who watches all that is deployed
    with watching(story, tmp_path / "all.jsonl") as watch:
        five.until("the first line of the watch", lambda: watch.events)
        # WHEN the other four are pushed to
        with ThreadPoolExecutor(1) as pool:
            seen = pool.submit(five.until, "three pipelines at once on the page", several(five))
            good = five.push_to(others, "good")
        assert bad_pipeline in seen.result()
        # THEN each is live and told while the bad one is still rolled out
        for pushed in good:
            assert five.until_ended(pushed).status == "succeeded"
            assert five.serves(pushed.pipeline) == pushed.commit_id
            five.until("its notice", lambda pushed=pushed: five.notices(pushed.message))  # type: ignore[misc]
        assert rolls_out(), "the crash loop was over before the others were live"
        # AND the crash loop, which nobody need wait for, is taken back
        story.slipway("cancel", bad_pipeline)
        assert five.until_ended(bad).status == "rolled_back"
        assert five.serves(bad_pipeline) == before
        # AND the watch has shown them side by side, and ends with the last of them
        assert watch.ended() == 1
        assert len(watch.most_at_once()) >= SEVERAL
        assert watch.outcomes() == {
            **dict.fromkeys(others, "succeeded"),
            bad_pipeline: "rolled_back",
        }
    # WHEN the bad one is mended
    with watching(story, tmp_path / "one.jsonl", bad_pipeline) as watch:
        five.until("the first line of the watch", lambda: watch.events)
        mended = five.push("mended", pipeline=bad_pipeline)
        assert watch.ended() == 0
        assert watch.outcomes() == {bad_pipeline: "succeeded"}
    # THEN all five are live, and the page shows it
    assert five.serves(bad_pipeline) == mended.commit_id
    shown = panel(five.state.slack_url)
    assert {name: "live" in marks for name, marks in shown.items()} == dict.fromkeys(
        five.state.pipelines, True
    )


def several(five: Chain) -> Callable[[], set[str]]:
    """Those that the page shows under way, once they are several."""

    def look() -> set[str]:
        found = under_way(panel(five.state.slack_url))
        return found if len(found) >= SEVERAL else set()

    return look
