"""Room on the disk while several runs build."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from build_agent.host import waiting
from build_agent.host.process import Finished
from build_agent.host.stop import Interrupted, Stop
from build_agent.image.disk import FOR_BUILD, FOR_FETCH, Disk
from build_agent.image.docker import Docker
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from tests.unit.build_agent.host.several import Door, Run, until

GIB, MIB = 1 << 30, 1 << 20
SOURCE = "https://git/app"


class Yard:
    """A disk on which each prune frees `frees` bytes; a prune stands still at the door."""

    def __init__(self, folder: Path, free: int) -> None:
        self.free, self.frees = free, 0
        self.commands: list[list[str]] = []
        self.door = Door()
        docker = Docker(lambda: "docker", self.run, folder)
        self.disk = Disk(
            docker,
            folder,
            True,
            space=lambda _folder: (self.free, 100 * GIB),
            on_short=lambda free, total: self.short.append((free, total)),
        )
        self.lines: list[str] = []
        self.short: list[tuple[int, int]] = []

    def run(self, command: Sequence[str], **_options: Any) -> Finished:
        self.commands.append(list(command[1:]))
        self.door()
        self.free += self.frees
        return Finished(0, (), "")

    def ask(self, least: int = FOR_BUILD, source: str = SOURCE) -> Run[None]:
        return Run(lambda stop: self.disk.make_room(
            source, least=least, stop=stop, sink=self.lines.append
        ))  # fmt: skip

    def building(self, door: Door) -> Run[None]:
        def build(stop: Stop) -> None:
            with self.disk.builds.use(stop=stop):
                door()

        reached = door.reached
        run = Run(build)
        until(lambda: door.reached > reached)
        return run


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path, GIB)


def test_nothing_is_pruned_while_somebody_builds(yard: Yard) -> None:
    # GIVEN a build under way, and too little room for one more
    yard.frees, door = 30 * GIB, Door()
    build = yard.building(door)
    asked = yard.ask()
    until(lambda: yard.disk.builds._wanting)
    assert yard.commands == []
    # WHEN it ends, THEN the disk is pruned, and the next build waits for that
    door.open()
    build.result()
    until(lambda: yard.commands)
    later = Run(lambda stop: enter(yard, stop))
    assert not later.is_over
    yard.door.open()
    asked.result()
    later.result()
    assert len(yard.commands) == 1


def enter(yard: Yard, stop: Stop) -> None:
    with yard.disk.builds.use(stop=stop):
        assert yard.free > 30 * GIB


@pytest.mark.parametrize(("builds", "waits"), [(1, False), (2, True)])
def test_a_tight_disk_has_room_for_each_build_under_way(
    yard: Yard, builds: int, waits: bool
) -> None:
    yard.free, yard.frees, door = 5 * GIB, 30 * GIB, Door()
    under_way = [yard.building(door) for _ in range(builds)]
    asked = yard.ask()
    until(lambda: yard.disk.builds._wanting or asked.is_over)
    assert asked.is_over is not waits
    yard.door.open()
    door.open()
    for run in (*under_way, asked):
        run.result()
    assert bool(yard.commands) is waits


def test_a_fetch_needs_less_and_does_not_wait_for_builds(yard: Yard) -> None:
    door = Door()
    build = yard.building(door)
    yard.ask(FOR_FETCH).result()
    door.open()
    build.result()
    assert yard.commands == []


def test_a_prune_under_way_is_waited_for(yard: Yard) -> None:
    yard.frees = 30 * GIB
    first = yard.ask()
    until(lambda: yard.door.reached)
    late = [yard.ask(), yard.ask(source="https://git/other")]
    until(lambda: yard.disk._prunes.waits("disk") == 3)
    yard.door.open()
    for run in (first, *late):
        run.result()
    assert len(yard.commands) == 1


def test_each_is_told_that_the_disk_stays_full(yard: Yard) -> None:
    runs = [yard.ask(), yard.ask(FOR_FETCH)]
    until(lambda: yard.disk._prunes.waits("disk") == 2)
    yard.door.open()
    with pytest.raises(WorldFailed, match="the disk is full: 1024 MiB free after pruning"):
        runs[0].result()
    runs[1].result()


def test_a_disk_is_too_small_when_all_that_can_go_has_to(yard: Yard) -> None:
    # GIVEN a disk on which the first prune is enough
    yard.frees = 30 * GIB
    yard.door.open()
    yard.ask().result()
    assert yard.short == []
    # WHEN it takes all of them, THEN that is told, and the build goes on
    yard.free, yard.frees = 5 * GIB, 4 * GIB
    yard.ask().result()
    assert yard.short == [(21 * GIB, 100 * GIB)]


def test_who_waits_for_room_leaves_when_it_is_stopped_and_says_that_it_waits(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PULSE", 0.001)
    door = Door()
    build, asked = yard.building(door), yard.ask()
    until(lambda: yard.lines)
    assert yard.lines[0] == "waiting for room on the disk: other builds are under way"
    asked.stop.request("SIGTERM")
    with pytest.raises(Interrupted):
        asked.result()
    door.open()
    build.result()
    assert yard.commands == []


# --- a build that fills the disk


def test_a_build_that_filled_the_disk_says_so_though_it_is_free_again(yard: Yard) -> None:
    with pytest.raises(WorldFailed, match="the disk is full: 3 MiB free when a build failed"):
        fill(yard, 3 * MIB, DeploymentFailed("Dockerfile step 2/3 RUN dd failed", stage="build"))


def fill(yard: Yard, lowest: int, error: Exception) -> None:
    with yard.disk.watched(yard.lines.append) as line:
        before, yard.free = yard.free, lowest
        line("#5 dd: No space left on device")
        yard.free = before
        raise error


def test_docker_that_found_no_room_tells_how_much_was_free(yard: Yard) -> None:
    with pytest.raises(WorldFailed, match="the disk is full: 200 MiB free"):
        fill(yard, 200 * MIB, WorldFailed("the disk is full: no space left for the build"))


@pytest.mark.parametrize(
    ("lowest", "error"),
    [
        (GIB, DeploymentFailed("exit code 1")),
        (3 * MIB, WorldFailed("docker does not answer")),
        (3 * MIB, Interrupted("SIGTERM")),
    ],
)
def test_other_failures_stay_what_they_are(yard: Yard, lowest: int, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        fill(yard, lowest, error)
    assert yard.lines == ["#5 dd: No space left on device"]
