"""A rollout that takes its time, with every build host asleep: told, taken back, cancelled."""

from __future__ import annotations

import time

from local.push import Pushed, push_release
from slipway.contracts.table.deployments import FOLLOWER, DeploymentRow
from tests.e2e.chain import Chain
from tests.e2e.story import Story

PIPELINE = "sample"
SLOW = 20
"""Seconds until a new container is healthy, or crashes: the host sleeps after a few."""
LONG = 240.0


def push(chain: Chain, message: str, behaviour: str = "works") -> Pushed:
    return push_release(chain.workplace, PIPELINE, message, behaviour, after=SLOW)


def asleep_with_it_under_way(chain: Chain, pushed: Pushed) -> DeploymentRow:
    """The host has stopped, and the deployment goes on without it."""

    def followed() -> DeploymentRow | None:
        row = chain.deployment_of(pushed.commit_id)
        return row if row is not None and row.is_followed else None

    chain.until("the hand-over", followed)
    chain.until_asleep()
    row = followed()
    assert row is not None, "the rollout was over before the host slept"
    assert row.followed_by(time.time()) == FOLLOWER
    return row


def test_a_slow_service_is_told_live_while_the_host_sleeps(slow: Chain) -> None:
    # GIVEN a push whose containers are healthy only after a while
    pushed = push(slow, "takes its time")
    asleep_with_it_under_way(slow, pushed)
    slept, launched = time.time(), slow.launches()
    # WHEN
    row = slow.until_ended(pushed, LONG)
    # THEN it is live, told, and no host was started for it
    assert (row.status, slow.serves()) == ("succeeded", pushed.commit_id)
    assert row.ended_at is not None and row.ended_at - slept > SLOW / 3
    slow.until("its notice", lambda: slow.notices(pushed.message))
    assert (slow.launches(), slow.host_states()) == (launched, ["stopped"])


def test_a_slow_crash_is_taken_back_with_no_host_awake(slow: Chain) -> None:
    before = slow.serves()
    pushed = push(slow, "crashes after a while", "crash")
    asleep_with_it_under_way(slow, pushed)
    launched = slow.launches()
    row = slow.until_ended(pushed, LONG)
    assert row.status == "rolled_back"
    slow.until("the answer of what ran before", lambda: slow.serves() == before)
    assert (slow.launches(), slow.host_states()) == (launched, ["stopped"])


def test_a_cancel_takes_back_what_has_touched_the_service(slow: Chain) -> None:
    before = slow.serves()
    pushed = push(slow, "is cancelled")
    asleep_with_it_under_way(slow, pushed)
    launched = slow.launches()
    # WHEN
    said = Story(slow.directory, PIPELINE).slipway("cancel", PIPELINE)
    # THEN
    row = slow.until_ended(pushed, LONG)
    assert (row.status, slow.serves()) == ("rolled_back", before)
    assert row.cancelled_by and row.cancelled_by in said
    assert (slow.launches(), slow.host_states()) == (launched, ["stopped"])


def test_a_push_during_a_rollout_waits_for_its_end_and_is_deployed_then(slow: Chain) -> None:
    # GIVEN a rollout under way, all hosts asleep
    first = push(slow, "the first of two")
    asleep_with_it_under_way(slow, first)
    launched = slow.launches()
    # WHEN the next push comes
    second = push_release(slow.workplace, PIPELINE, "the second of two", "works")
    slow.until("its want", slow.table.wants.all)
    # THEN no host wakes for it before the end of the first
    ended = slow.until_ended(first, LONG)
    row = slow.until_ended(second, LONG)
    assert (ended.status, row.status) == ("succeeded", "succeeded")
    assert slow.serves() == second.commit_id
    assert ended.ended_at is not None
    assert max(slow.launches()) >= int(ended.ended_at) > max(launched)  # EC2 says whole seconds


def test_a_rollback_with_all_hosts_asleep_is_live_in_seconds_and_starts_none(slow: Chain) -> None:
    # GIVEN what ran before, which is slow, and what runs now
    slow.until_asleep()
    running, launched = slow.serves(), slow.launches()
    quick = push_release(slow.workplace, PIPELINE, "quick", "works")
    slow.until_ended(quick, LONG)
    slow.until_asleep()
    launched = slow.launches()
    # WHEN
    asked = time.time()
    Story(slow.directory, PIPELINE).slipway("rollback", PIPELINE)
    # THEN
    assert time.time() - asked < LONG
    slow.until("the version before answers", lambda: slow.serves() == running or None)
    row = slow.deployments()[0]
    assert (row.reason, row.status, row.host_id) == ("rollback", "succeeded", "")
    assert (slow.launches(), slow.host_states()) == (launched, ["stopped"])
    # AND the other way, by a redeploy of a commit whose image is in ECR
    Story(slow.directory, PIPELINE).slipway("redeploy", PIPELINE)
    assert slow.serves() == quick.commit_id
    assert (slow.launches(), slow.host_states()) == (launched, ["stopped"])


def test_a_push_of_documents_builds_nothing_and_tells_nobody(slow: Chain) -> None:
    # GIVEN what runs, and a pipeline that documents do not concern
    def recorded() -> str | None:
        return slow.table.pipelines.get(PIPELINE).running_commit

    runs = slow.until("what runs", recorded)
    # WHEN README.md alone is pushed
    pushed = slow.push_document()
    row = slow.until_ended(pushed, LONG)
    # THEN it is unchanged: compared with what runs, not built, and not told
    assert (row.status, row.stage) == ("unchanged", "fetch")
    assert row.result is not None and row.result.untouched_since == runs
    assert not {"build", "push", "rollout"} & set(row.stages)
    assert slow.serves() == runs
    slow.until_asleep()
    assert slow.table.wants.all() == [] and slow.depth(slow.names.build_queue) == 0
    assert slow.notices(pushed.commit_id[:7]) == []
    # AND the drift check counts the branch's tip as handled
    known = slow.table.pipelines.get(PIPELINE)
    assert (known.handled_tip, known.running_commit) == (pushed.commit_id, runs)
    # BUT the next release is deployed as ever
    release = slow.push("after the documents")
    assert slow.until_ended(release, LONG).status == "succeeded"
    assert slow.serves() == release.commit_id
