"""Dockerfiles that mean no good, built by the agent's own parts with a real docker daemon."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from build_agent import process
from build_agent.clock import SystemClock
from build_agent.docker import Docker
from build_agent.image import Built, Images
from build_agent.stop import Stop
from contracts.errors import DeploymentFailed
from contracts.messages import Commit
from local import docker as local_docker
from local.down import take_down
from local.progress import Progress
from local.started import Ledger
from local.waiting import wait_for
from local.workplace import Workplace
from tests.e2e.processes import running
from tests.unit.agent.world import URI, A, make_pipeline

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

    def build(self, script: str, **limits: Any) -> Built:
        """An image of one step that runs `script`."""
        (self.folder / "step.sh").write_text(script)
        pipeline = make_pipeline(**limits)
        return self.images.build(
            pipeline, replace(pipeline.images[0], platform=PLATFORM), Commit(id=A), self.folder,
            tag="hostile", fresh=False, stop=Stop(), sink=self._hear,
        )  # fmt: skip

    def _hear(self, line: str) -> None:
        self.lines.append(line)
        if line.endswith("begun"):
            self.running = steps()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_docker.Docker]:
    workplace = Workplace(tmp_path_factory.mktemp("daemon") / "run")
    workplace.directory.mkdir()
    ledger = Ledger.begin(workplace)
    docker = local_docker.provide(workplace, ledger)
    yield docker
    if docker.private:
        take_down(workplace, Progress())
    else:
        docker.run("rmi", "--force", f"{URI}:hostile")


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
    images = Images(docker=docker, ecr=None, secret=str, clock=SystemClock(), folder=tmp_path)
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
