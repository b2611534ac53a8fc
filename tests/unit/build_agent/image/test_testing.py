"""What a run of tests comes to, its container's bounds, and that the container goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build_agent.host.process import Finished, TimedOut
from build_agent.host.stop import Interrupted, Stop
from build_agent.image.docker import Docker
from build_agent.image.images import Built
from build_agent.image.junit import Failed, Tally
from build_agent.image.tested import Ran, Tested, of_run, read_tally, summary_of
from build_agent.image.testing import Tests, create_command
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import ImageSettings, TestSettings
from tests.unit.build_agent.image.bench import FakeDocker

TEST = TestSettings(target="tests")
IMAGE = ImageSettings(repository="app", repository_uri="registry/app", test=TEST)
STAGE = Built("sha256:1", "amd64", {"config": {"WorkingDir": "/work"}}, secrets=("hunter2",))
ENDED = '{"Status": "exited", "ExitCode": 0, "OOMKilled": false, "Error": ""}'


# --- the outcome


@pytest.mark.parametrize(
    ("state", "failure"),
    [
        ({"Status": "exited", "ExitCode": 0}, None),
        ({"Status": "exited", "ExitCode": 2}, "the tests ended with exit code 2"),
        (
            {"Status": "exited", "ExitCode": 137},
            "the tests ended with exit code 137 (killed, as where memory runs out)",
        ),
        (
            {"Status": "exited", "ExitCode": 137, "OOMKilled": True},
            "the tests needed more than 512 MiB of memory and were killed",
        ),
        ({"Status": "exited", "ExitCode": 0, "OOMKilled": True}, None),
        (
            {"Status": "created", "ExitCode": 127, "Error": 'exec: "x": not found'},
            'the tests could not be started: exec: "x": not found',
        ),
    ],
)
def test_the_container_s_end_says_whether_they_failed(
    state: dict[str, Any], failure: str | None
) -> None:
    assert Ran.of_state(state, tail=(), memory=512).failure == failure


@pytest.mark.parametrize(
    "state",
    [
        {"Status": "running", "ExitCode": 0},
        {"Status": "created", "ExitCode": 0},
        {"Status": "created", "ExitCode": 128, "Error": "no space left on device"},
        {"Status": "exited"},
        {},
    ],
)
def test_what_docker_did_not_run_to_its_end_is_the_world_s(state: dict[str, Any]) -> None:
    with pytest.raises(WorldFailed, match="docker did not run the tests to their end"):
        Ran.of_state(state, tail=(), memory=512)


def tally(failures: int = 0, **values: Any) -> Tally:
    failed = [Failed(f"t{n}", "why") for n in range(failures)]
    return Tally(**{"reports": 1, "tests": 418, "failures": failures, "failed": failed, **values})


def test_reports_are_told_and_decide_nothing() -> None:
    lines: list[str] = []
    bad, good = Ran(("x",), exit_code=1), Ran(("x",), exit_code=0)
    assert of_run(bad, tally(2), lines.append) == Tested(
        failure="the tests ended with exit code 1: 2 of 418 failed: t0, t1", tail=("x",)
    )
    assert lines == ["failed: t0: why", "failed: t1: why"]
    assert of_run(good, tally(2), lines.append).failure is None
    passed = of_run(good, tally(skipped=2, notes=["a.xml is no JUnit XML"]), lines.append)
    assert passed.summary == "416 passed, 2 skipped"
    assert passed.warnings == ("reports of the tests: a.xml is no JUnit XML",)
    # AND tests that pass with a bad exit code have failed
    odd = of_run(bad, tally(), lines.append)
    assert (odd.failure, odd.summary) == ("the tests ended with exit code 1", "418 passed")


def test_of_many_failures_the_first_are_named() -> None:
    assert summary_of(tally(7)) == "7 of 418 failed: t0, t1, t2, t3, t4 and 2 more"
    assert summary_of(Tally()) is None


@pytest.mark.parametrize("output", ["", "[]", "{}", '{"failed": [1]}', '{"failed": [], "x": 1}'])
def test_a_reader_that_failed_is_noted(output: str) -> None:
    assert read_tally(output, "MemoryError").notes == ["they could not be read: MemoryError"]


# --- the container


def test_the_container_has_bounds_and_nothing_of_the_host() -> None:
    given = {"name": "n", "image_id": "sha256:1", "platform": "linux/arm64", "processors": 2}
    command = create_command(replace(TEST, memory=512, command=("make", "--x")), **given)  # type: ignore[arg-type]
    assert command == [
        "create", "--name", "n", "--platform", "linux/arm64", "--network", "none",
        "--memory", "512m", "--memory-swap", "512m", "--pids-limit", "4096",
        "--ulimit", "core=0", "--security-opt", "no-new-privileges", "--log-driver", "none",
        "--", "sha256:1", "make", "--x",
    ]  # fmt: skip
    more = create_command(replace(TEST, network=True, cpus=8.0), **given)  # type: ignore[arg-type]
    assert more[more.index("--network") + 1] == "bridge"
    assert more[more.index("--cpus") + 1] == "2"


class Yard:
    def __init__(self, folder: Path) -> None:
        self.docker = FakeDocker()
        self.docker.answers["container"] = lambda _arguments: Finished(0, (), ENDED)
        self.folder = folder
        self.stop = Stop()
        self.lines: list[str] = []

    @property
    def tests(self) -> Tests:
        docker = Docker(lambda: "docker", self.docker, self.folder / "docker")
        return Tests(docker, self.folder / "tests")

    def run(self) -> Tested:
        return self.tests.run(IMAGE, STAGE, stop=self.stop, sink=self.lines.append)

    def noted(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "tests").glob("*"))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_its_lines_are_told_without_build_secrets(yard: Yard) -> None:
    yard.docker.answers["start"] = lambda _a: Finished(1, ("it is hunter2",), "")
    yard.docker.answers["container"] = lambda _a: Finished(0, (), ENDED.replace(": 0", ": 1"))
    assert yard.run().tail == ("it is ***",)
    assert yard.lines == ["it is ***"]


def interrupted(yard: Yard) -> Finished:
    yard.stop.request("cancelled")
    raise Interrupted("cancelled")


def raising(error: Exception) -> Callable[[Yard], Finished]:
    def fail(_yard: Yard) -> Finished:
        raise error

    return fail


@pytest.mark.parametrize(
    ("verb", "ends", "raised"),
    [
        ("start", lambda _yard: Finished(0, (), ""), None),
        ("start", interrupted, Interrupted),
        ("start", raising(TimedOut("late", ("x",))), None),
        ("start", raising(WorldFailed("no docker")), WorldFailed),
        ("create", lambda _yard: Finished(1, ("no such image",), ""), WorldFailed),
        (
            "create",
            lambda _yard: Finished(1, ("Error: No command specified",), ""),
            DeploymentFailed,
        ),
        ("create", interrupted, Interrupted),
        ("container", lambda _yard: Finished(1, ("gone",), ""), WorldFailed),
    ],
)
def test_the_container_is_removed_however_it_ends(
    yard: Yard, verb: str, ends: Callable[[Yard], Finished], raised: type[Exception] | None
) -> None:
    noted: list[list[str]] = []

    def answer(_arguments: list[str]) -> Finished:
        noted.append(yard.noted())
        return ends(yard)

    yard.docker.answers[verb] = answer
    if raised is None:
        yard.run()
    else:
        with pytest.raises(raised):
            yard.run()
    # THEN its name was noted before, and nothing is left
    (name,) = noted[0]
    removed, _env, _text = yard.docker.calls[-1]
    assert removed == ["rm", "--force", "--volumes", "--", name]
    assert yard.noted() == []


def test_one_that_could_not_be_removed_is_left_to_the_next_agent(yard: Yard) -> None:
    yard.docker.answers["rm"] = lambda _a: Finished(1, ("Cannot connect to the daemon",), "")
    yard.run()
    (name,) = yard.noted()
    # WHEN the next one begins, THEN it removes that one, also where docker knows it no more
    tests = yard.tests
    assert list(tests.left_behind) == [name]
    tests.remove_left_behind()
    assert yard.noted() == [name]
    yard.docker.answers["rm"] = lambda _a: Finished(1, (f"Error: No such container: {name}",), "")
    tests.remove_left_behind()
    assert yard.noted() == []
