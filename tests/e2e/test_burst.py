"""Several pushes at once: one more build, nothing lost, nothing left over."""

from __future__ import annotations

from tests.e2e.chain import Chain


def test_two_pushes_during_a_build_cause_exactly_one_more(chain: Chain) -> None:
    # GIVEN a build that takes a while
    chain.until_asleep()
    known = {row.deployment_id for row in chain.deployments()}
    first = chain.push("first of three", "slow")
    chain.until("the build", lambda: building(chain, first.commit_id))

    # WHEN two more pushes come meanwhile
    second = chain.push("second of three")
    third = chain.push("third of three")
    assert building(chain, first.commit_id)

    # THEN the last one is served, after exactly one more build
    chain.until("the last push", lambda: chain.serves() == third.commit_id)
    chain.until_ended(third)
    chain.until_asleep()
    new = [row for row in chain.deployments() if row.deployment_id not in known]
    worked = [row for row in new if row.status != "superseded"]
    built = {row.commit.id: row.status for row in worked if row.commit is not None}
    assert built == {first.commit_id: "succeeded", third.commit_id: "succeeded"}
    assert second.commit_id not in built

    # THEN the queue is empty, nothing is wanted, no lock stands
    chain.until("an empty queue", lambda: chain.depth(chain.names.build_queue) == 0)
    assert chain.table.wants.all() == []
    assert chain.depth(chain.names.build_dead_letters) == 0


def test_two_pipelines_share_one_host(chain: Chain) -> None:
    # WHEN both are pushed to at once
    one = chain.push("one of two pipelines")
    two = chain.push("two of two pipelines", pipeline="sample-2")

    # THEN both run
    chain.until("the first", lambda: chain.serves() == one.commit_id)
    chain.until("the second", lambda: chain.serves("sample-2") == two.commit_id)
    chain.until_asleep()


def building(chain: Chain, commit_id: str) -> bool:
    row = chain.deployment_of(commit_id)
    return row is not None and row.stage == "build" and row.ended_at is None
