"""What builds gain side by side: as many as there are slots, against one after the other."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.report import Bound, Section
from build_agent.host import process
from build_agent.host.clock import SystemClock
from build_agent.host.stop import Stop
from build_agent.image.docker import Docker
from build_agent.image.images import Images
from local import docker as local_docker
from local.down import take_down
from local.progress import Progress
from local.started import Ledger
from local.workplace import Workplace
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import Commit
from slipway.contracts.names import Names
from tests.aws.answers import AwsFake

BUILDS = 4
AT_ONCE = (1, 2, 4)
ROUNDS = 3
REPOSITORY = "slipway.invalid/build-slots"
WORK = "/bin/busybox head -c 100000000 /dev/zero | /bin/busybox sha256sum >/sum-{step}"
WRITE = "/bin/busybox dd if=/dev/zero of=/written bs=1M count=30 2>/dev/null"
WAIT = "/bin/busybox sleep 1"
KINDS = {
    "works all the time": [WORK, WRITE, WORK],
    "waits 2 s of it, as for packages": [WAIT, WORK, WRITE, WAIT, WORK],
}


def section(work: Path) -> Section:
    """Every kind of build, BUILDS of it, so many at once; the machine's docker or one of ours."""
    made = Section(
        title="Build slots",
        about=(
            f"{BUILDS} builds by the agent's own parts and a real docker, without cache: copies,"
            " two steps of pure processor work and one that writes 30 MB. So many at once as the"
            f" table says; median of {ROUNDS} rounds, in turns. This is where the default of"
            " `buildHost.builds` comes from: one slot for each processor."
        ),
        columns=("build", "at once", "all, s", "one build, s", "× one after the other"),
    )
    load = os.getloadavg()[0]
    with _images(work) as images:
        for kind, steps in KINDS.items():
            trees = [_tree(work / f"build-slots-{number}", steps) for number in range(BUILDS)]
            _build_all(images, trees[:1], at_once=1)  # a daemon's first build is slower
            took = _rounds(images, trees)
            alone = statistics.median(all_of_them for all_of_them, _one in took[1])
            for at_once, rounds in took.items():
                wall = statistics.median(all_of_them for all_of_them, _one in rounds)
                one = statistics.median(one for _all, one in rounds)
                made.rows.append((kind, at_once, wall, one, wall / alone))
            if not made.bounds:
                two = statistics.median(all_of_them for all_of_them, _one in took[2])
                name = "build slots: two at once / one after the other"
                made.bounds = [Bound(name, 0.9, two / alone)]
    made.remarks = [
        f"Processors of this machine: {len(os.sched_getaffinity(0))}. Load before the first build:"
        f" {load:.1f}. Beside other work more builds only take more of its share, and look better"
        " than they are."
    ]
    return made


def _rounds(images: Images, trees: Sequence[Path]) -> dict[int, list[tuple[float, float]]]:
    """By builds at once: seconds of all, and of one of them, a pair for each round."""
    took: dict[int, list[tuple[float, float]]] = {at_once: [] for at_once in AT_ONCE}
    for _ in range(ROUNDS):
        for at_once, measured in took.items():
            measured.append(_build_all(images, trees, at_once=at_once))
    return took


def _build_all(images: Images, trees: Sequence[Path], *, at_once: int) -> tuple[float, float]:
    began = time.monotonic()
    with ThreadPoolExecutor(at_once) as threads:
        each = list(threads.map(lambda one: _build(images, *one), enumerate(trees)))
    return time.monotonic() - began, statistics.median(each)


def _build(images: Images, number: int, tree: Path) -> float:
    """Its tree is like no other build's: BuildKit makes what two builds have in common once."""
    (tree / "number").write_text(f"{number} {time.time_ns()}\n")
    image = ImageSettings(repository="build-slots", repository_uri=REPOSITORY)
    image = replace(image, platform=f"linux/{_architecture()}")
    pipeline = PipelineSettings(
        name="bench", repository="bench", branch="main", git_url="https://bench.invalid/bench",
        source_role_arn="", tip_role_arn="", images=(image,), cluster="bench", service="bench",
    )  # fmt: skip
    began = time.monotonic()
    images.build(
        pipeline, image, Commit(id="0" * 40), tree, tag=f"slot-{number}", fresh=True, stop=Stop(),
        sink=lambda _line: None,
    )  # fmt: skip
    return time.monotonic() - began


def _architecture() -> str:
    """In docker's words."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def _tree(folder: Path, steps: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    busybox = folder / "busybox"
    busybox.write_bytes(local_docker.provide_busybox().read_bytes())
    busybox.chmod(0o755)
    lines = ["FROM scratch", "COPY busybox /bin/busybox", "COPY number /"]
    for number, step in enumerate(steps):
        (folder / f"step-{number}.sh").write_text(step.format(step=number) + "\n")
        lines.append(f"COPY step-{number}.sh /")
        lines.append(f'RUN ["/bin/busybox", "sh", "/step-{number}.sh"]')
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    return folder


class _NoEcr(AwsFake, service="ecr"):
    """Nothing is pushed."""

    def get_authorization_token(self, **_request: Any) -> dict[str, list[dict[str, str]]]:
        return {"authorizationData": [{"authorizationToken": ""}]}


@contextmanager
def _images(work: Path) -> Iterator[Images]:
    workplace = Workplace(work / "docker-for-slots")
    workplace.directory.mkdir(parents=True, exist_ok=True)
    ledger = Ledger.begin(workplace)
    daemon = local_docker.provide(workplace, ledger)
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = daemon.host
    scratch = work / "build-slots-scratch"
    scratch.mkdir(exist_ok=True)
    docker = Docker(lambda: daemon.client, process.run, scratch / "docker")
    try:
        yield Images(
            docker=docker, ecr=_NoEcr(), secret=str, clock=SystemClock(), folder=scratch,
            names=Names("slipway"),
        )  # fmt: skip
    finally:
        if before is None:
            os.environ.pop("DOCKER_HOST")
        else:
            os.environ["DOCKER_HOST"] = before
        if daemon.private:
            take_down(workplace, Progress())
        else:
            daemon.run("rmi", "--force", *(f"{REPOSITORY}:slot-{n}" for n in range(BUILDS)))
