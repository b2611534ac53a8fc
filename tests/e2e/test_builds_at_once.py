"""Several builds at once on a real docker: what a prune takes, and what a full disk does."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from build_agent.host import process
from build_agent.host.clock import SystemClock
from build_agent.host.side_by_side import side_by_side
from build_agent.host.slots import Slots
from build_agent.host.stop import Stop
from build_agent.image.disk import FOR_BUILD, Disk
from build_agent.image.docker import Docker
from build_agent.image.images import Built, Images, Made
from local import docker as local_docker
from local.waiting import wait_for
from local.workplace import Workplace
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.messages import Commit
from slipway.contracts.names import Names
from tests.e2e.processes import running
from tests.e2e.test_hostile_builds import PLATFORM, provided
from tests.unit.build_agent.fakes import A
from tests.unit.build_agent.host.several import Door, Run, until
from tests.unit.build_agent.world import make_pipeline

MIB = 1 << 20
SMALL = 400 * MIB
URI = "slipway.invalid/at-once"
WAITS = "echo begun; /bin/busybox sleep 86399; echo goes on"
FILLS = "echo begun; /bin/busybox dd if=/dev/zero of=/big bs=1M"
FAILS = "echo begun; false"


@dataclass
class Yard:
    """A docker with a small disk of its own. `begun`: the images whose step runs, or ran."""

    docker: local_docker.Docker
    disk: Disk
    images: Images
    folder: Path
    begun: list[str] = field(default_factory=list)

    def build(self, name: str, script: str, stop: Stop) -> Built:
        """An image of one step that runs `script`."""
        tree = self.folder / f"tree-{name}"
        tree.mkdir(exist_ok=True)
        (tree / "busybox").write_bytes(local_docker.provide_busybox().read_bytes())
        (tree / "busybox").chmod(0o755)
        (tree / "step.sh").write_text(script)
        (tree / "Dockerfile").write_text(
            "FROM scratch\nCOPY busybox /bin/busybox\nCOPY step.sh /step.sh\n"
            f'RUN ["/bin/busybox", "sh", "-c", ". /step.sh", "slipway-step-{name}"]\n'
        )
        pipeline = make_pipeline()
        image = replace(pipeline.images[0], platform=PLATFORM, repository_uri=URI)

        def hear(line: str) -> None:
            if line.endswith("begun"):
                self.begun.append(name)

        with self.disk.watched(hear) as sink:
            return self.images.build(
                pipeline, image, Commit(id=A), tree, tag=name, fresh=False, stop=stop, sink=sink
            )

    def has(self, name: str) -> bool:
        return f"{URI}:{name}" in self.docker.run("images", "--format", "{{.Repository}}:{{.Tag}}")

    def make_room(self, stop: Stop) -> None:
        source = make_pipeline().git_url
        self.disk.make_room(source, least=FOR_BUILD, stop=stop, sink=lambda _line: None)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[local_docker.Docker, Path]]:
    """A daemon of our own whose data is on a disk of SMALL bytes, and that disk's folder."""
    place = tmp_path_factory.mktemp("small") / "run"
    mounted = place.parent / "disk"
    mounted.mkdir()
    patch = pytest.MonkeyPatch()
    patch.setenv("DOCKER_HOST", f"unix://{place}/nobody")
    patch.setattr(Workplace, "docker_dir", mounted)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(mounted)]
    subprocess.run(mount, check=True)
    try:
        with provided(place) as (docker, _ledger):
            assert docker.private
            yield docker, mounted
    finally:
        patch.undo()
        subprocess.run(["umount", "--lazy", str(mounted)], check=False, capture_output=True)


@pytest.fixture
def yard(
    small: tuple[local_docker.Docker, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    daemon, data = small
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    docker = Docker(lambda: daemon.client, process.run, tmp_path / "docker")
    disk = Disk(docker, data, prune_cache=True)
    images = Images(
        docker=docker, ecr=None, secret=str, clock=SystemClock(), folder=tmp_path,
        names=Names("slipway"), builds=disk.builds,
    )  # fmt: skip
    monkeypatch.setattr(images, "find", lambda _image, _tag: None)
    yield Yard(daemon, disk, images, tmp_path)
    daemon.run("image", "prune", "--all", "--force")
    daemon.run("builder", "prune", "--all", "--force")


def test_a_prune_waits_for_an_image_that_is_built_and_not_pushed_yet(yard: Yard) -> None:
    # GIVEN a run that has built its image, and will push it
    door = Door()

    def make(stop: Stop) -> Made:
        yard.build("new", "echo built", stop)
        door()
        return Made(f"there: {yard.has('new')}", is_pushed=True)

    image = replace(make_pipeline().images[0], repository_uri=URI)
    pushes = Run(lambda stop: yard.images.once(
        image, "new", partial(make, stop), stop=stop, sink=lambda _line: None
    ))  # fmt: skip
    until(lambda: door.reached or pushes.is_over)
    # WHEN another run finds the disk tight
    tight = replace(yard.disk, space=lambda _folder: (FOR_BUILD - 1, 100 << 30))
    other = Run(replace(yard, disk=tight).make_room)
    until(lambda: tight.builds._wanting or other.is_over)
    # THEN the image is there for the push
    assert (other.is_over, yard.has("new")) == (False, True)
    door.open()
    assert pushes.result() == "there: True"
    # AND docker's prune would have taken it: nothing else keeps it
    with pytest.raises(WorldFailed, match="the disk is full: 2047 MiB free after pruning"):
        other.result()
    assert not yard.has("new")


def test_a_build_that_fills_the_disk_fails_alone_and_says_so(yard: Yard) -> None:
    # GIVEN a build under way
    calm = Run(partial(yard.build, "calm", WAITS))
    until(lambda: yard.begun == ["calm"] or calm.is_over)
    # WHEN another one fills the disk
    with pytest.raises(WorldFailed, match=r"the disk is full: \d+ MiB free when a build failed"):
        yard.build("greedy", FILLS, Stop())
    # THEN the first goes on, and so does the next one
    assert not calm.is_over
    wait_for("the end of the greedy step", lambda: not steps("greedy"), seconds=30)
    wait_for("its room", lambda: yard.disk.space(yard.disk.folder)[0] > SMALL / 4, seconds=60)
    for sleep in running("/bin/busybox", "sleep", "86399"):
        os.kill(sleep, signal.SIGKILL)
    assert calm.result().image_id.startswith("sha256:")
    assert yard.build("next", "echo built", Stop()).image_id.startswith("sha256:")


def test_a_build_that_fails_for_its_own_reason_is_the_commits_beside_others(yard: Yard) -> None:
    # GIVEN two images of a pipeline, the first of them under way
    def fails(stop: Stop) -> Built:
        until(lambda: "calm" in yard.begun)
        return yard.build("failing", FAILS, stop)

    jobs: list[Callable[[Stop], Built]] = [partial(yard.build, "calm", WAITS), fails]
    # WHEN the second fails, THEN the first ends with it, its processes, too
    with pytest.raises(DeploymentFailed, match="exit code 1") as failure:
        side_by_side(jobs, slots=Slots(1), stop=Stop())
    assert failure.value.stage == "build"
    wait_for("the end of the other's step", lambda: not steps("calm"), seconds=30)


def steps(name: str) -> list[int]:
    """The processes that run the step of that image."""
    return running(f"slipway-step-{name}")
