"""An image that several runs want is built once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from build_agent.host.stop import Interrupted, Stop
from build_agent.image.images import Made
from slipway.contracts.errors import DeploymentFailed
from tests.unit.build_agent.host.several import Door, Run, until
from tests.unit.build_agent.image.bench import COMMIT, Bench

TAG = "build-1"


class Yard:
    """Runs that want the image; each build stands still at the door."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.door = Door()
        self.builds: list[str] = []
        self.fails: list[Exception] = []
        self.instead: Callable[[], Made] | None = None

    def want(self, tag: str = TAG, **image: Any) -> Run[str]:
        """A run that has asked when this returns."""
        wanted = replace(self.bench.image, **image)
        images, lane = self.bench.images, (wanted.repository_uri, tag)
        waits = images._flights.waits(lane)

        def provide(stop: Stop) -> str:
            make = lambda: self.make(tag, stop)  # noqa: E731
            return images.once(wanted, tag, make, stop=stop, sink=self.bench.lines.append)

        run = Run(provide)
        until(lambda: images._flights.waits(lane) > waits or run.is_over)
        return run

    def make(self, tag: str, stop: Stop) -> Made:
        self.builds.append(tag)
        self.door()
        if self.fails:
            raise self.fails.pop()
        stop.check()
        if self.instead is not None:
            return self.instead()
        bench = self.bench
        built = bench.images.build(
            bench.pipeline, bench.image, COMMIT, bench.tree, tag=tag, fresh=False, stop=stop,
            sink=bench.lines.append,
        )  # fmt: skip
        pushed = bench.images.push(
            bench.image, built, commit=COMMIT.id, tag=tag, stop=stop, sink=bench.lines.append
        )
        return Made(pushed, is_pushed=True)


@pytest.fixture
def yard(bench: Bench) -> Yard:
    return Yard(bench)


def building(yard: Yard) -> Run[str]:
    first = yard.want()
    until(lambda: yard.door.reached)
    return first


def test_who_wants_an_image_that_is_being_built_waits_and_finds_it(yard: Yard) -> None:
    first = building(yard)
    late = [yard.want() for _ in range(4)]
    yard.door.open()
    digest = first.result()
    assert [run.result() for run in late] == [digest] * 4
    assert digest == yard.bench.images.find(yard.bench.image, TAG)
    assert yard.builds == [TAG]


def test_who_comes_after_it_was_pushed_finds_it(yard: Yard) -> None:
    yard.door.open()
    assert yard.want().result() == yard.want().result()
    assert yard.builds == [TAG]


def test_an_image_that_another_host_pushes_meanwhile_is_found(yard: Yard) -> None:
    digest = yard.bench.push()
    assert yard.want().result() == digest
    assert yard.builds == []


def test_a_forced_rebuild_and_another_repository_are_builds_of_their_own(yard: Yard) -> None:
    first = building(yard)
    yard.instead = lambda: Made("sha256:made", is_pushed=True)
    forced = yard.want("build-1-forced")
    elsewhere = yard.want(repository_uri="127.0.0.1:4566/other")
    until(lambda: yard.door.reached == 3)
    yard.door.open()
    for run in (first, forced, elsewhere):
        run.result()
    assert yard.door.at_once == 3


@pytest.mark.parametrize("error", [DeploymentFailed("exit code 1"), Interrupted("SIGTERM")])
def test_the_failure_of_one_build_is_that_runs_own(yard: Yard, error: Exception) -> None:
    yard.fails = [error]
    first = building(yard)
    late = [yard.want(), yard.want()]
    yard.door.open()
    with pytest.raises(type(error)):
        first.result()
    assert late[0].result() == late[1].result()
    assert yard.builds == [TAG, TAG]


def test_who_waits_for_an_image_leaves_when_it_is_stopped(yard: Yard) -> None:
    first, late = building(yard), yard.want()
    late.stop.request("SIGTERM")
    with pytest.raises(Interrupted, match="SIGTERM"):
        late.result()
    yard.door.open()
    first.result()
    assert yard.builds == [TAG]


def test_an_image_that_was_not_pushed_is_no_other_runs(yard: Yard) -> None:
    # GIVEN a run that finds its image to be the one that its service runs
    yard.instead = lambda: Made("sha256:runs", is_pushed=False)
    first, late = building(yard), [yard.want(), yard.want()]
    yard.door.open()
    # THEN each that waits for it compares with its own service
    assert {run.result() for run in (first, *late)} == {"sha256:runs"}
    assert yard.builds == [TAG] * 3


def test_a_build_begins_when_no_prune_is_under_way(yard: Yard) -> None:
    gate = yard.bench.images._builds
    with gate.alone(stop=Stop()):
        run = yard.want()
        until(lambda: gate._board._changed._waiters)  # type: ignore[attr-defined]
        assert (yard.builds, gate.using) == ([], 0)
    until(lambda: yard.door.reached)
    assert gate.using == 1
    yard.door.open()
    run.result()
    assert gate.using == 0
