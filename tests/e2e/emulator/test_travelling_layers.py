"""A builder without cache builds from the layers that the one before left in the registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from build_agent.host.clock import SystemClock
from build_agent.host.process import run as run_process
from build_agent.host.stop import Stop
from build_agent.image.build_cache import BuildCache
from build_agent.image.cache_records import Records
from build_agent.image.docker import Docker
from build_agent.image.images import Images
from local import docker as local_docker
from local.docker import Docker as LocalDocker
from local.down import take_down
from local.emulator.process import start_emulator
from local.emulator.settings import EmulatorSettings
from local.ports import free_ports
from local.progress import Progress
from local.started import Ledger
from local.workplace import Workplace
from slipway.contracts.installation import ImageSettings, PipelineSettings
from slipway.contracts.messages import Commit
from slipway.contracts.names import CACHE, Names
from tests.e2e.emulator.world import Role, World
from tests.e2e.emulator.yard import PULL, PUSH
from tests.e2e.test_hostile_builds import PLATFORM
from tests.unit.build_agent.world import make_pipeline

BEGUN = re.compile(r"#(\d+) \[.*\d/\d\] (.*)")
SECRET = "t0ken-of-the-registry"
STAGES = """\
FROM scratch AS base
COPY busybox /bin/busybox
COPY busybox /bin/sh
FROM base AS build
WORKDIR /work
COPY packages.txt ./
RUN busybox echo INSTALLS >deps
COPY main.txt ./
RUN busybox cat main.txt >out
FROM base
COPY runtime.txt /
RUN busybox echo INSTALLS-too >/installed
COPY --from=build /work/out /out
"""
LEAKS = """\
FROM scratch AS base
COPY busybox /bin/busybox
COPY busybox /bin/sh
FROM base AS build
COPY packages.txt ./
RUN --mount=type=secret,id=npm busybox sh -c 'cat /run/secrets/npm >/npmrc'
COPY main.txt ./
FROM base
COPY --from=build main.txt /out
"""


@dataclass
class Yard:
    """A registry that asks for a login, a docker, a source tree, and builders of it."""

    world: World
    docker: LocalDocker
    role: Role
    repository: str
    tree: Path
    folders: Iterator[Path]
    lines: list[str] = field(default_factory=list)
    commits: int = 0
    builder: Images | None = None

    @property
    def uri(self) -> str:
        return f"{self.world.emulator.settings.address}/{self.repository}"

    def another_builder(self) -> None:
        """A host with nothing on its disk: docker forgets all that it has of us."""
        self.docker.run("builder", "prune", "--force", "--all")
        local_docker.remove_images(self.docker, self.world.emulator.settings.address)
        folder = next(self.folders)
        folder.mkdir()
        ecr = self.role.client("ecr")
        self.builder = Images(
            docker=Docker(lambda: self.docker.client, run_process, folder / "docker"),
            ecr=ecr,
            secret=lambda _place: SECRET,
            clock=SystemClock(),
            folder=folder,
            names=Names("slipway"),
            cache=BuildCache(ecr, Records(folder / "build-cache.json"), "slipway"),
        )

    def write(self, name: str, text: str) -> None:
        (self.tree / name).write_text(text)

    def deploy(self, *, fresh: bool = False, branch: str = "main", **image: Any) -> list[str]:
        """Build, push and keep the layers; the steps that ran."""
        assert self.builder is not None
        self.commits += 1
        self.lines.clear()
        wanted = ImageSettings(
            repository=self.repository, repository_uri=self.uri, platform=PLATFORM
        )
        wanted, commit = replace(wanted, **image), Commit(id=f"{self.commits:040x}")
        pipeline: PipelineSettings = replace(make_pipeline(), branch=branch)
        given: dict[str, Any] = {"stop": Stop(), "sink": self.lines.append}
        built = self.builder.build(
            pipeline, wanted, commit, self.tree, tag=f"build-{self.commits}", fresh=fresh, **given
        )
        ran = self.steps_that_ran()
        self.builder.push(wanted, built, commit=commit.id, tag=f"build-{self.commits}", **given)
        self.builder.keep_layers(pipeline, wanted, commit, self.tree, built, **given)
        return ran

    def steps_that_ran(self) -> list[str]:
        begun = {
            m[1]: m[2] for line in self.lines if (m := re.match(r"#(\d+) \[.*\d/\d\] (.*)", line))
        }
        cached = {m[1] for line in self.lines if (m := re.match(r"#(\d+) CACHED", line))}
        return sorted(step for number, step in begun.items() if number not in cached)

    def kept(self) -> dict[str, str]:
        """The tags of the build cache in the registry, with what they name."""
        listed = self.world.root("ecr").list_images(repositoryName=self.repository)["imageIds"]
        return {
            i["imageTag"]: i["imageDigest"]
            for i in listed
            if i.get("imageTag", "").startswith(CACHE)
        }

    @property
    def installs(self) -> bool:
        """Whether a dependency step ran in the last build."""
        return any("INSTALLS" in step for step in self.steps_that_ran())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, LocalDocker]]:
    directory = tmp_path_factory.mktemp("layers")
    workplace = Workplace(directory / "run")
    workplace.directory.mkdir()
    docker = local_docker.provide(workplace, Ledger.begin(workplace))
    settings = EmulatorSettings(
        port=free_ports(1)[0], data_dir=directory / "emulator", docker_host=docker.host
    )
    emulator = start_emulator(settings)
    yield World(emulator), docker
    emulator.stop()
    local_docker.remove_images(docker, settings.address)
    if docker.private:
        take_down(workplace, Progress())


@pytest.fixture
def yard(
    place: tuple[World, LocalDocker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Yard:  # fmt: skip
    world, docker = place
    monkeypatch.setenv("DOCKER_HOST", docker.host)
    name = f"app-{abs(hash(request.node.name)) % 10**8}"
    world.deploy(name, {"Images": repository(name)})
    role = world.role(f"host-{name}")
    role.allow(*PULL, *PUSH)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "busybox").write_bytes(local_docker.provide_busybox().read_bytes())
    (tree / "busybox").chmod(0o755)
    folders = (tmp_path / f"builder-{n}" for n in range(100))
    made = Yard(world, docker, role, name, tree, folders)
    made.write("Dockerfile", STAGES)
    for file in ("packages.txt", "runtime.txt", "main.txt"):
        made.write(file, "1\n")
    made.another_builder()
    return made


def repository(name: str, *free: str) -> dict[str, Any]:
    """An ECR repository whose tags never move but for these and the cache's."""
    patterns = free or ("latest", f"{CACHE}*")
    kind, value = (f"ImageTagMutabilityExclusionFilter{part}" for part in ("Type", "Value"))
    return {
        "Type": "AWS::ECR::Repository",
        "Properties": {
            "RepositoryName": name,
            "ImageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "ImageTagMutabilityExclusionFilters": [
                {kind: "WILDCARD", value: pattern} for pattern in patterns
            ],
        },
    }


def test_a_fresh_builder_reruns_no_dependency_step(yard: Yard) -> None:
    # GIVEN a builder that has built
    yard.deploy()
    assert yard.installs
    # WHEN the source changes, and a builder with nothing builds it
    yard.another_builder()
    yard.write("main.txt", "2\n")
    # THEN it runs what comes after the change, of both stages, and no more
    assert yard.deploy() == [
        "COPY --from=build /work/out /out",
        "COPY main.txt ./",
        "RUN busybox cat main.txt >out",
    ]


def test_a_commit_that_changes_the_source_writes_nothing_once_that_is_known(yard: Yard) -> None:
    yard.deploy()
    first = yard.kept()
    assert len(first) == 2
    for number in range(2, 5):
        yard.write("main.txt", f"{number}\n")
        before = yard.kept()
        yard.deploy()
    assert yard.kept() == before
    # WHEN what is installed changes, THEN it is written, and the next fresh builder has it
    yard.write("packages.txt", "2\n")
    yard.deploy()
    assert yard.kept() != before
    yard.another_builder()
    yard.write("main.txt", "9\n")
    yard.deploy()
    assert not yard.installs


def test_a_warm_builder_reads_nothing_from_the_registry(yard: Yard) -> None:
    yard.deploy()
    yard.write("main.txt", "2\n")
    yard.deploy()
    assert not any("importing cache" in line for line in yard.lines)
    # docker's cache was emptied by hand, the agent's folder not
    yard.docker.run("builder", "prune", "--force", "--all")
    local_docker.remove_images(yard.docker, yard.world.emulator.settings.address)
    yard.write("main.txt", "3\n")
    yard.deploy()
    assert not yard.installs
    assert any("importing cache" in line for line in yard.lines)


def test_a_fresh_build_and_another_branch_use_none_of_it(yard: Yard) -> None:
    yard.deploy()
    yard.another_builder()
    assert len(yard.deploy(fresh=True)) == 10
    yard.another_builder()
    assert len(yard.deploy(branch="other")) == 10
    yard.another_builder()
    assert len(yard.deploy(build_cache=False)) == 10


def test_layers_that_cannot_be_read_fail_no_build(yard: Yard) -> None:
    # GIVEN a registry that tells of the cache, and gives none of its layers
    yard.deploy()
    yard.another_builder()
    yard.write("main.txt", "2\n")
    yard.role.allow(*(action for action in (*PULL, *PUSH) if "Download" not in action))
    yard.deploy()
    assert yard.installs
    assert not yard.lines[-1].startswith("the build cache in ECR is not written")


def test_a_stage_that_holds_a_secret_is_not_kept(yard: Yard) -> None:
    yard.write("Dockerfile", LEAKS)
    yard.deploy(build_secrets={"npm": "/npm"})
    assert [tag.split(".")[1] for tag in yard.kept()] == ["stage-2"]
    assert any("its files hold a build secret" in line for line in yard.lines)


def test_a_repository_whose_tags_never_move_costs_only_the_cache(yard: Yard) -> None:
    name = f"{yard.repository}-frozen"
    yard.world.deploy(name, {"Images": repository(name, "latest")})
    yard.repository = name
    yard.deploy()
    yard.write("packages.txt", "2\n")
    yard.deploy()
    assert any("is not kept" in line for line in yard.lines)
