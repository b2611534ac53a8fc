"""Slack has a bad day: the notice comes later, once."""

from __future__ import annotations

import pytest

from tests.e2e.chain import Chain


@pytest.mark.parametrize(("status", "retry_after"), [(500, None), (429, 1)])
def test_a_refused_notice_is_delivered_later(
    chain: Chain, status: int, retry_after: int | None
) -> None:
    # GIVEN a Slack that refuses the next two posts
    chain.slack_fault(status, count=2, retry_after=retry_after)

    # WHEN a push is deployed
    pushed = chain.push(f"while Slack answers {status}")
    chain.until_ended(pushed)

    # THEN its notice arrives all the same, once
    chain.until("the notice", lambda: chain.notices(pushed.commit_id[:7]), seconds=120)
    chain.until(
        "an empty notices queue", lambda: chain.depth(chain.names.notices_queue) == 0, seconds=120
    )
    assert len(chain.notices(pushed.commit_id[:7])) == 1
