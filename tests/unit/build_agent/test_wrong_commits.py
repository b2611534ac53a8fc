"""A commit that is wrong: it cannot be built, does not pass its tests, fails in its rollout."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build_agent.image.tested import Tested
from build_agent.source.submodules import Submodule
from slipway.contracts.errors import DeploymentFailed
from slipway.contracts.installation import ImageSettings, TestSettings
from tests.unit.build_agent.fakes import URI, A, B, definition
from tests.unit.build_agent.world import (
    World,
    make_installation,
    make_pipeline,
    make_request,
)


def test_a_failed_build_is_recorded_announced_settled(world: World) -> None:
    def fail() -> None:
        raise DeploymentFailed("Dockerfile step 2/3 RUN make failed", log_tail=("boom",))

    world.images.on_build = fail
    requests = [make_request(n) for n in (1, 2)]
    worker = world.worker()
    for request in requests:
        world.send(request)
        worker.step()
    # THEN each is told with its stage, its cause and its log, and failures are counted
    first, second = world.topic.results
    assert (first.status, first.stage, first.log_tail) == ("failed", "build", ("boom",))
    assert (first.failures_before, second.failures_before) == (0, 1)
    assert (world.row.failures, world.row.failing_since) == (2, first.ended_at)
    assert world.row.handled_tip == A
    assert [world.outcome(r) for r in requests] == ["failed", "failed"]
    assert world.services.plans == []
    # WHEN the next one succeeds
    world.images.on_build = lambda: None
    world.send(make_request(3))
    worker.step()
    # THEN it is known to be a recovery
    assert world.topic.results[-1].failures_before == 2
    assert (world.row.failures, world.row.failing_since) == (0, None)


def test_a_build_that_lacks_what_the_commit_has_is_the_commit_s_failure(
    world: World, tmp_path: Path
) -> None:
    # GIVEN a tree with the empty folder of a submodule that is not configured
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "libs/parser").mkdir(parents=True)
    world.source.laid_out = tmp_path
    world.source.lacks = [Submodule("libs/parser", B, "https://github.com/x/parser.git")]
    world.send(make_request(1))
    worker = world.worker()
    worker.step()
    (result,) = world.topic.results
    assert (result.status, result.stage) == ("failed", "fetch")
    told = "submodules are not fetched: libs/parser (https://github.com/x/parser.git). "
    assert (result.cause or "").startswith(told)
    assert world.images.built == []
    # AND one with a pointer of Git LFS
    shutil.rmtree(tmp_path / "libs")
    (tmp_path / "a.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    world.send(make_request(2))
    worker.step()
    assert "in the build context: a.png. " in (world.topic.results[-1].cause or "")
    # AND what docker ignores is no failure
    (tmp_path / ".dockerignore").write_text("*.png\n")
    world.send(make_request(3))
    worker.step()
    assert world.topic.results[-1].status == "succeeded"


def with_tests(aws: Any) -> World:
    """Of a pipeline whose image has tests."""
    image = ImageSettings(repository="app", repository_uri=URI, test=TestSettings(target="tests"))
    return World(aws, make_installation(pipelines=(make_pipeline(images=(image,)),)))


def test_what_does_not_pass_its_tests_is_neither_pushed_nor_rolled_out(aws: Any) -> None:
    world = with_tests(aws)
    failure = "the tests ended with exit code 1: 2 of 418 failed: a, b"
    world.tests.outcome = Tested(failure=failure, tail=("boom",), warnings=("x.xml is no XML",))
    request = make_request(1)
    world.send(request)
    worker = world.worker()
    worker.step()
    # THEN the commit has failed in its tests, with their last lines
    (result,) = world.topic.results
    assert (result.status, result.stage, result.cause) == ("failed", "test", failure)
    assert (result.log_tail, result.warning) == (("boom",), "x.xml is no XML")
    assert world.outcome(request) == "failed"
    assert (world.images.pushed, world.services.plans) == ([], [])
    assert set(result.timings) == {"fetch", "build", "test"}
    # WHEN the next ones pass, THEN what they told goes with the rollout to its notice
    world.tests.outcome = Tested(summary="418 passed", warnings=("y.xml is no XML",))
    world.send(make_request(2))
    worker.step()
    passed = world.topic.results[-1]
    assert (passed.status, passed.tests) == ("succeeded", "418 passed")
    assert passed.warning == "y.xml is no XML"
    assert list(passed.timings)[:4] == ["fetch", "build", "test", "push"]
    row = world.table.deployments.get(passed.deployment_id)
    assert row is not None
    assert row.stages["build"] <= row.stages["test"] <= row.stages["push"]


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"outcome": "rolled_back", "restored": True}, "rolled_back"),
        ({"outcome": "crash_loop", "restored": True}, "rolled_back"),
        ({"outcome": "timed_out", "restored": False}, "failed"),
        ({"outcome": "superseded"}, "superseded"),
    ],
)
def test_a_rollout_that_failed_is_never_a_success(
    world: World, members: dict[str, Any], status: str
) -> None:
    before = world.services.revision
    world.services.script = lambda r: replace(r, cause="tasks stopped", running=r.before, **members)
    request = make_request(1)
    world.send(request)
    world.worker().step()
    (result,) = world.topic.results
    assert (result.status, result.cause, world.outcome(request)) == (
        status,
        "tasks stopped",
        status,
    )
    assert result.now_running == f"web:{before}"
    assert world.row.running_commit is None
    assert world.images.kept == {}


@pytest.mark.parametrize("said", [("panic: no database", "All that web said: …"), ()])
def test_a_rollout_that_failed_is_told_with_what_its_containers_said(
    world: World, said: tuple[str, ...]
) -> None:
    # GIVEN an image whose push had much to say, and a rollout whose tasks stop
    world.containers.said = said
    world.services.script = lambda r: replace(
        r, outcome="rolled_back", restored=True, cause="tasks stopped", running=r.before
    )
    world.send(make_request(1))
    world.worker().step()
    # THEN the notice shows the containers' words, or nothing but the rollout's own
    (result,) = world.topic.results
    assert result.log_tail == (said or ("tasks stopped",))
    assert world.containers.asked == [definition(2)]
    # AND a rollout that went well asks for none
    world.services.script = lambda result: result
    world.source.tip = B
    world.send(make_request(2))
    world.worker().step()
    assert world.topic.results[-1].status == "succeeded"
    assert len(world.containers.asked) == 1


def test_an_image_that_cannot_run_there_is_refused_before_the_rollout(world: World) -> None:
    world.services.architecture = "ARM64"
    world.send(make_request(1))
    world.worker().step()
    (result,) = world.topic.results
    assert result.status == "failed"
    assert "X86_64" in (result.cause or "")
    assert world.services.plans == []
    assert world.images.built == []


def test_an_image_built_for_another_architecture_than_configured_is_refused(world: World) -> None:
    world.services.architecture, world.images.architecture = "X86_64", "arm64"
    world.send(make_request(1))
    world.worker().step()
    assert world.topic.results[0].status == "failed"
    assert world.images.pushed == []
