"""Dockerfiles of every kind, built by the agent's own parts with a real docker daemon."""

from __future__ import annotations

import os
import platform
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from build_agent.host import process
from build_agent.host.clock import SystemClock
from build_agent.host.stop import Stop
from build_agent.image.docker import Docker
from build_agent.image.images import Built, Images
from local import docker as local_docker
from local.down import take_down
from local.progress import Progress
from local.started import Ledger
from local.waiting import wait_for
from local.workplace import Workplace
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.messages import Commit
from slipway.contracts.names import Names
from tests import docker_builds
from tests.e2e.processes import running
from tests.unit.build_agent.fakes import URI, A
from tests.unit.build_agent.world import make_pipeline

MB = 1 << 20
PLATFORM = "linux/arm64" if platform.machine() in ("aarch64", "arm64") else "linux/amd64"
GOOD = "echo built"
ENDLESS = "echo begun; while true; do : slipway-never-ends; done"
LOUD = "/bin/busybox yes a-line-of-a-log-that-never-tires | /bin/busybox head -c 100000000"


@dataclass
class Yard:
    images: Images
    folder: Path
    lines: list[str] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    """The processes that ran the step when it said that it began."""
    on_begun: Callable[[], None] = lambda: None

    def build(self, script: str, **limits: Any) -> Built:
        """An image of one step that runs `script`."""
        (self.folder / "step.sh").write_text(script)
        return self.make(**limits)

    def make(self, commit: str = A, *, dockerfile: str = "Dockerfile", **limits: Any) -> Built:
        """An image of the files as they are."""
        pipeline = make_pipeline(**limits)
        image = replace(pipeline.images[0], platform=PLATFORM, dockerfile=dockerfile)
        return self.images.build(
            pipeline, image, Commit(id=commit), self.folder,
            tag="hostile", fresh=False, stop=Stop(), sink=self._hear,
        )  # fmt: skip

    def _hear(self, line: str) -> None:
        self.lines.append(line)
        if line.endswith("begun"):
            self.running = steps()
            self.on_begun()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_docker.Docker]:
    with provided(tmp_path_factory.mktemp("daemon") / "run") as (docker, _ledger):
        yield docker
        if not docker.private:
            docker.run("rmi", "--force", f"{URI}:hostile")


@contextmanager
def provided(directory: Path) -> Iterator[tuple[local_docker.Docker, Ledger]]:
    workplace = Workplace(directory)
    workplace.directory.mkdir()
    ledger = Ledger.begin(workplace)
    docker = local_docker.provide(workplace, ledger)
    try:
        yield docker, ledger
    finally:
        if docker.private:
            take_down(workplace, Progress())


@pytest.fixture
def yard(daemon: local_docker.Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "busybox").write_bytes(local_docker.provide_busybox().read_bytes())
    (tree / "busybox").chmod(0o755)
    (tree / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /bin/busybox\nCOPY step.sh /step.sh\n"
        'RUN ["/bin/busybox", "sh", "-c", ". /step.sh", "slipway-hostile-step"]\n'
    )
    docker = Docker(lambda: daemon.client, process.run, tmp_path / "docker")
    images = Images(
        docker=docker, ecr=None, secret=str, clock=SystemClock(), folder=tmp_path,
        names=Names("slipway"),
    )  # fmt: skip
    return Yard(images, tree)


def steps() -> list[int]:
    """The processes that run a step of these Dockerfiles."""
    return running("slipway-hostile-step")


def test_a_build_that_never_ends_is_ended_and_the_next_one_is_built(yard: Yard) -> None:
    # GIVEN a step that never ends
    # WHEN its time is over, THEN the commit has failed, and for that reason
    with pytest.raises(DeploymentFailed, match="did not end within 4 s") as failure:
        yard.build(ENDLESS, build_timeout=4)
    assert failure.value.stage == "build"
    assert yard.running
    # AND nothing of it goes on, and the next build is as any other
    wait_for("the end of the step", lambda: not steps(), seconds=30)
    assert yard.build(GOOD).image_id.startswith("sha256:")


def test_a_build_that_prints_100_megabytes_is_built_and_its_log_is_short(yard: Yard) -> None:
    # BuildKit clips what a step prints; what the agent does with more is in unit/agent/test_process
    assert yard.build(LOUD).image_id.startswith("sha256:")
    assert any("output clipped" in line for line in yard.lines)
    assert sum(map(len, yard.lines)) < 4 * MB


# --- whose fault it is

AT_STAKE = [
    "words", "words without a line's end", "words behind a long line", "words in a command",
    "words of a variable in lines", "its own full memory disk", "no such file",
    "a registry that fails", "a registry that hangs up",
]  # fmt: skip
"""Builds of `tests/docker_builds.py`; the others are held against what dockers have said."""


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with docker_builds.registry() as address:
        yield address


@pytest.mark.parametrize("name", AT_STAKE)
def test_a_failed_build_is_not_judged_by_words(yard: Yard, registry: str, name: str) -> None:
    build = docker_builds.BUILDS[name]
    docker_builds.lay_out(build, yard.folder, local_docker.provide_busybox(), registry)
    expected = DeploymentFailed if build.of == "commit" else WorldFailed
    with pytest.raises(expected, match=re.escape(build.cause)):
        yard.make()


def test_a_daemon_that_dies_during_a_build_is_the_worlds_fault(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a daemon of its own that dies as soon as a step says that it began
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody")
    with provided(tmp_path / "run") as (docker, ledger):
        monkeypatch.setenv("DOCKER_HOST", docker.host)
        (pid,) = (note.pid for note in ledger.started.processes if note.name == "dockerd")
        yard.on_begun = lambda: os.kill(pid, signal.SIGKILL)
        # THEN its client may say nothing of it, and the commit is not to blame
        with pytest.raises(WorldFailed, match=r"docker (did not say what failed|does not answer)"):
            yard.build(ENDLESS)
        for step in steps():
            os.kill(step, signal.SIGKILL)
        # AND neither is it while there is no daemon at all
        with pytest.raises(WorldFailed, match=r"(?i)cannot connect to the Docker daemon"):
            yard.build(GOOD)


# --- which files are built, and what makes an image another one

ALL = "FROM scratch\nCOPY busybox /bin/busybox\nCOPY . /all\n"


@pytest.mark.parametrize(
    ("given", "kept_out"),
    [
        ("prod.Dockerfile", "secret.env"),
        ("docker/prod.Dockerfile", "secret.key"),
    ],
)
def test_the_files_of_an_image_are_those_that_docker_itself_would_take(
    yard: Yard, daemon: local_docker.Docker, given: str, kept_out: str
) -> None:
    # GIVEN links to a Dockerfile, and ignore files of several names
    ignored = {"": "docker/base*", "base.Dockerfile": "plain*", "prod.Dockerfile": "*.env"}
    files = {f"{name}.dockerignore": text for name, text in ignored.items()}
    files |= dict.fromkeys(("base.Dockerfile", "plain.Dockerfile", "docker/base.Dockerfile"), ALL)
    files |= {"docker/prod.Dockerfile.dockerignore": "*.key"}
    files |= {"secret.env": "1", "secret.key": "2"}
    (yard.folder / "docker").mkdir()
    for name, text in files.items():
        (yard.folder / name).write_text(text)
    for folder in (yard.folder, yard.folder / "docker"):
        (folder / "prod.Dockerfile").symlink_to("base.Dockerfile")
    # WHEN it is built by the agent and by `docker build -f`
    ours = files_in(daemon, yard.make(dockerfile=given).image_id)
    path = str(yard.folder / given)
    theirs = daemon.run("build", "--quiet", "--file", path, "--", str(yard.folder)).strip()
    # THEN both have the same files, without the one that the given name's ignore file keeps out
    assert ours == files_in(daemon, theirs)
    assert kept_out in files
    assert kept_out not in ours
    assert len(ours) > len(files) - 3


def files_in(daemon: local_docker.Docker, image: str) -> set[str]:
    """The files below `/all` in an image."""
    command = ["/bin/busybox", "find", "/all", "-type", "f"]
    listed = daemon.run("run", "--rm", "--network", "none", "--", image, *command)
    return {line.removeprefix("/all/") for line in listed.splitlines()}


def test_only_our_own_labels_make_no_other_image(yard: Yard) -> None:
    dockerfile = (yard.folder / "Dockerfile").read_text()
    (yard.folder / "step.sh").write_text(GOOD)

    def content(more: str, commit: str = A) -> Any:
        (yard.folder / "Dockerfile").write_text(f"{dockerfile}{more}\n")
        return yard.make(commit).content

    # GIVEN an image, THEN the next commit with the same files has the same one
    first = content("")
    assert content("", "b" * 40) == first
    # AND whatever else its Dockerfile says makes another, also where no file differs
    others = ["LABEL org.opencontainers.image.version=2", "ONBUILD RUN x", "MAINTAINER Ada"]
    assert not [more for more in others if content(more) == first]
