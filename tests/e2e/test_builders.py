"""Builds of CodeBuild as builders: five pipelines with no host; a build that is lost; overflow."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.emulator.extension.codebuild_process import processes_of
from local.plan import Options
from local.push import Pushed
from local.status import describe
from slipway.contracts.table.builders import builder_host
from slipway.contracts.table.deployments import DeploymentRow
from tests.e2e.builds import (
    FIRST_SECONDS,
    TOKEN_KNOWN,
    builds,
    let_decide,
    live,
    lose_answer,
    pipeline_of,
    until_no_build,
)
from tests.e2e.chain import NO_DOCUMENTS, Chain, local_chain
from tests.e2e.permissions import (
    BUILDERS_NOT_ASKED,
    BUILDERS_SELDOM,
    asked,
    granted,
    of_builders,
)
from tests.e2e.without import without_what_is_missing

pytestmark = pytest.mark.timeout(900)

WHO_START = ("starter", "reconciler")
ANSWERS = 30.0
"""Seconds that a container on a busy machine may take to answer one question."""
SILENT_SECONDS = 150.0
"""Heartbeats are missed for a minute (`local/configuration.py`); the schedule comes each minute."""
TAKEN_UP_SECONDS = 150.0
"""The event of a build's end frees its pipeline; where it is lost, the schedule's minute does."""


@pytest.fixture(scope="module")
def hostless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Five pipelines, no host; the first commits are on their way.

    SLIPWAY_E2E_WITHOUT=ACTION@ROLE takes that action out of that role first: then the tests fail.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(
        pipelines=5, builders="codeBuild", internal_endpoints=True, wait_for_first=False,
        paths=NO_DOCUMENTS,
    )  # fmt: skip
    with (
        local_chain(tmp_path_factory.mktemp("hostless"), options) as chain,
        without_what_is_missing(chain.state),
    ):
        yield chain


def is_by_builders(rows: list[DeploymentRow], pipeline: str) -> bool:
    return {row.host_id for row in rows} == {builder_host(pipeline)}


def test_five_pipelines_side_by_side_are_live_with_no_host(hostless: Chain) -> None:
    # GIVEN five repositories, each with its first commit pushed, and nothing of EC2
    pipelines = list(hostless.state.pipelines)
    assert (len(pipelines), hostless.state.hosts) == (5, ())
    assert hostless.prod("ec2").describe_instances()["Reservations"] == []

    # THEN each is live, deployed by a builder of its own
    for name in pipelines:
        tip = hostless.repository(name).git("rev-parse", "HEAD")
        hostless.until(
            f"{name}'s answer", lambda n=name, t=tip: hostless.serves(n) == t, FIRST_SECONDS
        )  # type: ignore[misc]
        hostless.until(f"{name}'s notice", lambda t=tip: hostless.notices(t[:7]), FIRST_SECONDS)  # type: ignore[misc]
    until_no_build(hostless)
    assert all(is_by_builders(hostless.deployments(name), name) for name in pipelines)

    # WHEN all are pushed to at once
    began = time.time()
    pushed = hostless.push_to(pipelines, "at once")
    # THEN each push is live and told once, and the builders end by themselves
    for last in pushed:
        ended = hostless.until_ended(last, FIRST_SECONDS)
        assert ended.result is not None
        assert ended.result.status == "succeeded", ended.result
        hostless.until(
            "its answer",
            lambda p=last.pipeline, c=last.commit_id: hostless.serves(p) == c,  # type: ignore[misc]
            ANSWERS,
        )
        hostless.until("its notice", lambda c=last.commit_id: hostless.notices(c[:7]))  # type: ignore[misc]
        assert len(hostless.notices(last.commit_id[:7], since=began)) == 1
    until_no_build(hostless)
    _nothing_is_left(hostless)
    # AND it was side by side: builds of different pipelines overlap
    ours = [build for build in builds(hostless) if build["startTime"].timestamp() >= began]
    assert {build["buildStatus"] for build in ours} == {"SUCCEEDED"}
    assert max(_at_once(build, ours) for build in ours) >= 3


def _at_once(build: dict[str, Any], others: list[dict[str, Any]]) -> int:
    began = build["startTime"]
    return sum(other["startTime"] <= began < other["endTime"] for other in others)


def _nothing_is_left(chain: Chain) -> None:
    chain.until("no want", lambda: not chain.table.wants.all())
    chain.until("the end of every row", lambda: not _are_live(chain), TAKEN_UP_SECONDS)
    assert chain.table.pending.all() == []
    assert not any(lock.holder or lock.again for lock in chain.table.locks.all())
    chain.until(
        "an empty queue", lambda: chain.depth(chain.names.build_queue) == 0, TAKEN_UP_SECONDS
    )
    assert chain.depth(chain.names.build_dead_letters) == 0


def _are_live(chain: Chain) -> bool:
    return any(row.is_live for row in chain.table.builders.all())


def test_a_build_that_is_stopped_is_taken_up_by_another_and_told_once(hostless: Chain) -> None:
    # GIVEN a build that builds
    until_no_build(hostless)
    began = time.time()
    pushed = hostless.push("a slow one", "slow")
    (lost,) = hostless.until("its builder", lambda: live(hostless, "sample"), FIRST_SECONDS)
    hostless.until("its word", lambda: _is_at_work(hostless), FIRST_SECONDS)
    hostless.until("its build", lambda: _builds_it(hostless, pushed), FIRST_SECONDS)
    # WHEN
    hostless.prod("codebuild").stop_build(id=lost["id"])
    # THEN another is started, and the push is live and told once
    ended = hostless.until_ended(pushed, TAKEN_UP_SECONDS)
    assert ended.result is not None
    assert ended.result.status == "succeeded", ended.result
    assert hostless.serves() == pushed.commit_id
    until_no_build(hostless)
    statuses = {build["id"]: build["buildStatus"] for build in builds(hostless)}
    assert statuses[lost["id"]] == "STOPPED"
    after = [b for b in builds(hostless) if b["buildNumber"] > lost["buildNumber"]]
    assert [(pipeline_of(b), b["buildStatus"]) for b in after] == [("sample", "SUCCEEDED")]
    assert len(hostless.notices(pushed.commit_id[:7], since=began)) == 1
    _nothing_is_left(hostless)


def _is_at_work(chain: Chain) -> bool:
    return any("at work" in line for line in describe(chain.workplace))


def _builds_it(chain: Chain, pushed: Pushed) -> bool:
    row = chain.deployment_of(pushed.commit_id, pushed.pipeline)
    return row is not None and "build" in row.stages


@pytest.mark.parametrize("function", WHO_START)
def test_a_start_without_an_answer_is_looked_up(hostless: Chain, function: str) -> None:
    # GIVEN a pipeline at rest
    until_no_build(hostless)
    before = [build["id"] for build in builds(hostless)]

    def looks_it_up() -> bool:
        # WHEN the answer to its StartBuild is missed for minutes, and a function decides
        row = lose_answer(hostless, "sample")
        let_decide(hostless, function)
        # THEN the build is found
        assert hostless.table.builders.get("sample").build_id == row.build_id
        look = f"codebuild:ListBuildsForProject@{hostless.names.function(function)}"
        return look in asked(hostless.state, allowed=True)

    # AND it was that function, if the schedule's minute was not quicker
    hostless.until(f"a look by {function}", looks_it_up)
    # AND no other is started
    assert [build["id"] for build in builds(hostless)] == before


@pytest.mark.parametrize("function", WHO_START)
def test_a_start_without_an_answer_is_asked_for_again(hostless: Chain, function: str) -> None:
    # GIVEN a pipeline at rest
    until_no_build(hostless)

    def asks_again() -> bool:
        # WHEN the answer to its StartBuild is missed, while CodeBuild may know the token
        lose_answer(hostless, "sample", since=TOKEN_KNOWN)
        let_decide(hostless, function)
        ask = f"codebuild:StartBuild@{hostless.names.function(function)}"
        return ask in asked(hostless.state, allowed=True)

    # THEN that function asks once more, and whatever is started finds nothing to do
    hostless.until(f"StartBuild by {function}", asks_again)
    until_no_build(hostless)
    _nothing_is_left(hostless)


def test_a_build_that_fails_is_told_by_its_builder(hostless: Chain) -> None:
    # GIVEN, WHEN a commit comes that cannot be built
    until_no_build(hostless)
    began = time.time()
    pushed = hostless.push("cannot be built", "build")
    # THEN that is told once, and nothing is left
    ended = hostless.until_ended(pushed, FIRST_SECONDS)
    assert (ended.status, ended.result and ended.result.stage) == ("failed", "build")
    hostless.until("its notice", lambda: hostless.notices(pushed.commit_id[:7]), FIRST_SECONDS)
    until_no_build(hostless)
    assert len(hostless.notices(pushed.commit_id[:7], since=began)) == 1
    _nothing_is_left(hostless)


def test_what_is_no_request_is_a_dead_letter(hostless: Chain) -> None:
    # GIVEN, WHEN something comes that is no request
    queue = hostless.state.queue_url
    hostless.prod("sqs").send_message(QueueUrl=queue, MessageBody="poison")
    # THEN the reconciler keeps it, and it comes no more
    dead = hostless.until("the dead letter", hostless.dead_letters, TAKEN_UP_SECONDS)
    assert dead == ["poison"]
    hostless.until("an empty queue", lambda: hostless.depth(hostless.names.build_queue) == 0)
    _nothing_is_left(hostless)


def test_a_push_of_documents_starts_no_build(hostless: Chain) -> None:
    # GIVEN a pipeline that documents do not concern
    until_no_build(hostless)
    before, (*_, name) = builds(hostless), hostless.state.pipelines
    assert hostless.installation.pipeline(name).paths == NO_DOCUMENTS
    # WHEN README.md alone is pushed
    pushed = hostless.push_document(name)
    # THEN the follower compares it by CodeCommit's own list, and no build is started
    row = hostless.until_ended(pushed, FIRST_SECONDS)
    assert (row.status, row.stage, row.host_id) == ("unchanged", "fetch", "")
    assert [build["id"] for build in builds(hostless)] == [build["id"] for build in before]
    assert hostless.notices(pushed.commit_id[:7]) == []
    _nothing_is_left(hostless)


def test_a_build_that_is_silent_is_stopped_and_another_takes_its_work_up(hostless: Chain) -> None:
    # GIVEN a build that builds, all of which then stands still, the agent too
    until_no_build(hostless)
    began = time.time()
    pushed = hostless.push("a silent one", "slow")
    hostless.until("its build", lambda: _builds_it(hostless, pushed), FIRST_SECONDS)
    (silent,) = live(hostless, "sample")
    for process in processes_of(silent["id"]):
        process.send_signal(signal.SIGSTOP)
    # THEN Slipway stops it, another is started, and the push is live and told once
    ended = hostless.until_ended(pushed, TAKEN_UP_SECONDS + SILENT_SECONDS)
    assert ended.result is not None
    assert ended.result.status == "succeeded", ended.result
    assert hostless.serves() == pushed.commit_id
    until_no_build(hostless)
    statuses = {build["id"]: build["buildStatus"] for build in builds(hostless)}
    assert statuses[silent["id"]] == "STOPPED"
    assert len(hostless.notices(pushed.commit_id[:7], since=began)) == 1
    # AND people were told that it was silent
    hostless.until("the alert", lambda: hostless.notices("no sign of getting on", since=began))
    _nothing_is_left(hostless)


def test_no_role_was_denied_anything(hostless: Chain) -> None:
    """Comes after the others: it looks back at them."""
    assert sorted(asked(hostless.state, allowed=False)) == []


def test_every_action_of_builders_is_asked_for_or_listed(hostless: Chain) -> None:
    """Comes last. What is asked for fails these tests when it is taken out: it is denied."""
    allowed = of_builders(granted(hostless.state))
    unused = allowed - asked(hostless.state, allowed=True)
    unknown = sorted(unused - BUILDERS_NOT_ASKED.keys() - BUILDERS_SELDOM.keys())
    assert not unknown, "granted, never asked for, not listed:\n" + "\n".join(unknown)
    stale = sorted((BUILDERS_NOT_ASKED.keys() - unused) | (BUILDERS_SELDOM.keys() - allowed))
    assert not stale, "listed, but asked for or not granted:\n" + "\n".join(stale)


def test_what_waits_too_long_for_the_host_goes_to_a_build(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # GIVEN one host with one slot, and four pipelines
    options = Options(
        pipelines=4,
        builds=1,
        builders="overflow",
        overflow_after=5,
        internal_endpoints=True,
        wait_for_first=False,
    )
    with local_chain(tmp_path_factory.mktemp("overflow"), options) as chain:
        pipelines = list(chain.state.pipelines)
        for name in pipelines:
            tip = chain.repository(name).git("rev-parse", "HEAD")
            chain.until(
                f"{name}'s answer", lambda n=name, t=tip: chain.serves(n) == t, FIRST_SECONDS
            )  # type: ignore[misc]
        until_no_build(chain)
        chain.until_asleep()
        # WHEN each is pushed to at once, with builds that take their time
        began = time.time()
        pushed = chain.push_to(pipelines, "slow", "slow")
        # AND the schedule comes sooner than in a minute
        while not all(_is_told(chain, each) for each in pushed):
            assert time.time() - began < FIRST_SECONDS
            chain.call(chain.names.function("reconciler"), wait=True)
            time.sleep(2)
        # THEN host and builds have shared the work, and each push is live and told once
        rows = [chain.until_ended(each) for each in pushed]
        hosts = {host.instance_id for host in chain.state.hosts}
        assert {row.host_id in hosts for row in rows} == {True, False}
        for each in pushed:
            assert chain.serves(each.pipeline) == each.commit_id
            chain.until("its notice", lambda c=each.commit_id: chain.notices(c[:7]))  # type: ignore[misc]
            assert len(chain.notices(each.commit_id[:7], since=began)) == 1
        until_no_build(chain)
        assert sorted(asked(chain.state, allowed=False)) == []


def _is_told(chain: Chain, pushed: Pushed) -> bool:
    row = chain.deployment_of(pushed.commit_id, pushed.pipeline)
    return row is not None and row.announced_at is not None
