"""A crash loop in one of five pipelines of a host: the others are live and told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.plan import Options
from tests.e2e.chain import Chain, local_chain
from tests.e2e.story import Story

AFTER = 20
"""Seconds until a container of the bad release crashes: ECS gives up after the third of them, which
is long after the others are live, however busy the machine is.
"""


@pytest.fixture
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A host of two build slots with five pipelines, each with its first commit deployed."""
    options = Options(pipelines=5, builds=2, idle_period=60, start_period=AFTER)
    with local_chain(tmp_path_factory.mktemp("five"), options) as chain:
        yield chain


def test_a_crash_loop_in_one_pipeline_delays_none_of_the_others(five: Chain) -> None:
    # GIVEN a release that crashes again and again, which is being rolled out
    bad_pipeline, *others = five.state.pipelines
    before = five.serves(bad_pipeline)
    bad = five.push("crashes", "crash", pipeline=bad_pipeline, after=AFTER)

    def rolls_out() -> bool:
        row = five.deployment_of(bad.commit_id, bad_pipeline)
        return row is not None and row.is_followed

    five.until("its rollout", rolls_out)
    # WHEN the other four are pushed to
    with ThreadPoolExecutor(len(others)) as pool:
        good = list(pool.map(lambda name: five.push(f"good {name}", pipeline=name), others))
    # THEN each is live and told while the bad one is still rolled out
    for pushed in good:
        assert five.until_ended(pushed).status == "succeeded"
        assert five.serves(pushed.pipeline) == pushed.commit_id
        five.until("its notice", lambda pushed=pushed: five.notices(pushed.message))  # type: ignore[misc]
    assert rolls_out(), "the crash loop was over before the others were live"
    # AND the crash loop, which nobody need wait for, is taken back
    Story(five.directory, bad_pipeline).slipway("cancel", bad_pipeline)
    assert five.until_ended(bad).status == "rolled_back"
    assert five.serves(bad_pipeline) == before
