"""The images of one pipeline, side by side where a slot is free."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from build_agent.building import Building
from build_agent.host.slots import Slots
from build_agent.host.stop import Interrupted, Stop
from build_agent.image.images import Built
from build_agent.image.tested import Tested
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import ImageSettings, TestSettings
from slipway.contracts.messages import Commit
from slipway.following.deployed import Deployed
from slipway.following.service import Running
from tests.unit.build_agent.fakes import URI, A, FakeDisk, FakeImages, FakeTests
from tests.unit.build_agent.host.several import PATIENCE, Run
from tests.unit.build_agent.world import make_pipeline

NAMES = ("app", "sidecar", "proxy")
RUNNING = Running(
    task_definition="web:1", steady=True, architecture=None,
    images={name: f"{URI}-{name}@sha256:{'0' * 64}" for name in NAMES},
)  # fmt: skip
WANTED = {number: f"build-{name}" for number, name in enumerate(NAMES)}


class Yard(FakeImages):
    """`building` is called in each build, with the image's name and the build's stop."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots, self.disk = Slots(slots), FakeDisk()
        self.tests = FakeTests()
        self.tested: tuple[str, ...] = ()
        self.told: list[str] = []
        self.building: Callable[[str, Stop], None] = lambda _name, _stop: None

    def build(self, pipeline: Any, image: Any, commit: Commit, tree: Path, *, tag: str,
              fresh: bool, stop: Stop, sink: Any) -> Built:  # fmt: skip
        sink("#1 building")
        self.building(image.repository, stop)
        stage = f" for {image.target}" if image.target else ""
        self.told.append(f"built {image.repository}{stage}")
        return Built("sha256:" + tag, "amd64", {})

    def push(self, image: Any, built: Built, *, commit: str, tag: str, stop: Stop, sink: Any
             ) -> str:  # fmt: skip
        self.told.append(f"pushed {image.repository}")
        return f"sha256:{tag}"

    def run(self, stop: Stop, wanted: dict[int, str] | None = None) -> dict[int, str]:
        images = tuple(
            ImageSettings(
                repository=n, repository_uri=f"{URI}-{n}",
                test=TestSettings(target="tests") if n in self.tested else None,
            )
            for n in NAMES
        )  # fmt: skip
        pipeline = replace(make_pipeline(), images=images)
        building = Building(
            means=SimpleNamespace(images=self, disk=self.disk, tests=self.tests),  # type: ignore[arg-type]
            slots=self.slots,
            pipeline=pipeline, commit=Commit(id=A),
            running=Deployed.of(pipeline, lambda _pipeline: RUNNING),
            tree=Path("tree"), wanted=wanted or WANTED, fresh=False, line=self.told.append,
            on_built=lambda: self.told.append("all are built"),
            on_tests=lambda: self.told.append("tests are left"),
        )  # fmt: skip
        return building.run(stop)


def test_images_are_built_at_the_same_time_where_slots_are_free() -> None:
    yard, together = Yard(slots=2), threading.Barrier(3, timeout=PATIENCE)
    yard.building = lambda _name, _stop: (together.wait(), None)[1]
    assert yard.run(Stop()) == {number: f"sha256:{tag}" for number, tag in WANTED.items()}
    assert yard.slots.free == 2
    assert sorted(line for line in yard.told if "building" in line) == [
        "[app] #1 building", "[proxy] #1 building", "[sidecar] #1 building",
    ]  # fmt: skip


def test_one_image_names_itself_in_no_line() -> None:
    yard = Yard(slots=2)
    yard.run(Stop(), {0: "build-app"})
    assert yard.told == ["#1 building", "built app", "all are built", "pushed app"]


@pytest.mark.parametrize("slots", [0, 2])
def test_the_push_begins_when_the_last_image_is_built(slots: int) -> None:
    yard = Yard(slots)
    yard.run(Stop())
    at = yard.told.index("all are built")
    assert yard.told.count("all are built") == 1
    assert sum(line.startswith("built") for line in yard.told[:at]) == 3
    assert any(line.startswith("pushed") for line in yard.told[at:])


def test_a_failing_image_ends_the_others() -> None:
    yard, others = Yard(slots=2), threading.Barrier(3, timeout=PATIENCE)
    ended: list[str] = []

    def build(name: str, stop: Stop) -> None:
        others.wait()
        if name == "sidecar":
            raise DeploymentFailed("Dockerfile step 2/2 RUN false failed", stage="build")
        assert stop.wait(PATIENCE)
        ended.append(name)
        raise Interrupted(stop.reason)

    yard.building = build
    with pytest.raises(DeploymentFailed, match="RUN false"):
        yard.run(Stop())
    assert sorted(ended) == ["app", "proxy"]
    assert not [line for line in yard.told if line.startswith("pushed")]


def test_a_stop_of_the_run_ends_all_its_images() -> None:
    yard, all_of_them = Yard(slots=2), threading.Barrier(4, timeout=PATIENCE)

    def build(_name: str, stop: Stop) -> None:
        all_of_them.wait()
        assert stop.wait(PATIENCE)
        raise Interrupted(stop.reason)

    yard.building = build
    run = Run(yard.run)
    all_of_them.wait()
    run.stop.request("SIGTERM")
    with pytest.raises(Interrupted, match="SIGTERM"):
        run.result()
    assert yard.slots.free == 2


def test_a_build_that_fails_on_a_full_disk_is_the_worlds_fault() -> None:
    yard = Yard(slots=0)
    yard.disk.free = 0

    def build(_name: str, _stop: Stop) -> None:
        raise DeploymentFailed("exit code 1")

    yard.building = build
    with pytest.raises(WorldFailed, match="the disk is full"):
        yard.run(Stop())


# --- tests


def test_a_stage_is_built_and_tested_before_the_push() -> None:
    yard = Yard(slots=0)
    yard.tested = ("app",)
    yard.tests.on_run = lambda: yard.told.append("tests end")
    yard.run(Stop(), {0: "build-app"})
    assert yard.told == [
        "#1 building", "built app", "#1 building", "built app for tests", "tests are left",
        "tests run", "tests end", "all are built", "pushed app",
    ]  # fmt: skip


def test_tests_that_fail_are_the_commit_s_and_nothing_is_pushed() -> None:
    yard = Yard(slots=0)
    yard.tested = ("proxy",)
    yard.tests.outcome = Tested(failure="the tests ended with exit code 1", tail=("boom",))
    with pytest.raises(DeploymentFailed, match="exit code 1") as failed:
        yard.run(Stop(), {2: "build-proxy"})
    assert (failed.value.stage, failed.value.log_tail) == ("test", ("boom",))
    assert not [line for line in yard.told if line.startswith("pushed")]


def test_the_same_image_as_runs_is_tested_all_the_same() -> None:
    yard = Yard(slots=0)
    yard.tested, yard.same = ("app",), True
    yard.run(Stop(), {0: "build-app"})
    assert yard.tests.ran == ["app"]


def test_tests_of_several_images_run_at_the_same_time() -> None:
    yard, together = Yard(slots=2), threading.Barrier(3, timeout=PATIENCE)
    yard.tested = NAMES
    yard.tests.on_run = lambda: (together.wait(), None)[1]
    yard.run(Stop())
    assert sorted(yard.tests.ran) == sorted(NAMES)
    # AND the stages come one after the other, each once
    told = [line for line in yard.told if line in ("tests are left", "all are built")]
    assert told == ["tests are left", "all are built"]


def test_tests_that_were_over_before_the_last_image_was_built_make_no_stage() -> None:
    yard = Yard(slots=0)
    yard.tested = ("app",)
    yard.run(Stop())
    assert "tests are left" not in yard.told
    assert yard.told.count("all are built") == 1


def test_a_failing_image_ends_the_tests_of_another() -> None:
    yard, under_way = Yard(slots=2), threading.Event()
    yard.tested = ("app",)
    ended: list[str] = []

    def run(image: Any, stage: Built, *, stop: Stop, sink: Any) -> Tested:
        under_way.set()
        assert stop.wait(PATIENCE)
        ended.append(image.repository)
        raise Interrupted(stop.reason)

    def build(name: str, _stop: Stop) -> None:
        if name == "sidecar":
            assert under_way.wait(PATIENCE)
            raise DeploymentFailed("no", stage="build")

    yard.tests.run, yard.building = run, build  # type: ignore[method-assign]
    with pytest.raises(DeploymentFailed, match="no"):
        yard.run(Stop())
    assert ended == ["app"]
