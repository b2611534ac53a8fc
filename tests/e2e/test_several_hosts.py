"""Three hosts of one slot, five pipelines, one queue: all at work, no pipeline at two of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from local.plan import Options
from local.push import Pushed
from slipway.contracts.table.deployments import DeploymentRow
from tests.e2e.chain import Chain, local_chain

DRAINED_WITHIN = 240.0
"""Seconds: a request that was given back is hidden for one minute, the schedule looks once in one,
and then a host boots for it.
"""


@pytest.fixture
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A run of its own; the first commits are on their way."""
    options = Options(pipelines=5, hosts=3, builds=1, wait_for_first=False)
    with local_chain(tmp_path_factory.mktemp("wide"), options) as chain:
        yield chain


def test_three_hosts_deploy_five_pipelines(wide: Chain) -> None:
    # GIVEN five pipelines and three hosts
    pipelines = list(wide.state.pipelines)
    hosts = {host.instance_id for host in wide.state.hosts}
    assert (len(pipelines), len(hosts)) == (5, 3)

    # WHEN one host is at a build that takes a while, and all pipelines are pushed to at once
    slow = wide.push("a slow one", "slow", pipeline=pipelines[0])
    wide.until("its fetch", lambda: wide.deployment_of(slow.commit_id, slow.pipeline))
    pushed = wide.push_to(pipelines, "at once")
    wide.until("three hosts awake", lambda: wide.host_states() == ["running"] * 3)

    # THEN the last push of each answers over HTTP, and all hosts sleep
    for last in pushed:
        wide.until_ended(last)
        assert wide.until(f"{last.pipeline}'s answer", lambda last=last: _answers(wide, last))  # type: ignore[misc]
    wide.until_asleep()

    # THEN each host has worked, and no two on one pipeline at a time
    rows = {name: wide.deployments(name) for name in pipelines}
    assert {row.host_id for of in rows.values() for row in of} == hosts
    for of in rows.values():
        _one_after_the_other(of)

    # THEN nothing is left over; a doubled delivery that a host gave back is found settled later
    wide.until("an empty queue", lambda: wide.depth(wide.names.build_queue) == 0, DRAINED_WITHIN)
    assert wide.depth(wide.names.build_dead_letters) == 0
    assert wide.table.wants.all() == []
    assert not any(lock.holder or lock.again for lock in wide.table.locks.all())


def _answers(chain: Chain, pushed: Pushed) -> bool:
    return chain.serves(pushed.pipeline) == pushed.commit_id


def _one_after_the_other(rows: list[DeploymentRow]) -> None:
    """Each began after the one before had ended, and not under an earlier taking of the lock."""
    for before, after in pairwise(sorted(rows, key=lambda row: row.started_at)):
        assert before.ended_at is not None
        assert before.ended_at <= after.started_at, (before, after)
        assert before.fence <= after.fence, (before, after)
