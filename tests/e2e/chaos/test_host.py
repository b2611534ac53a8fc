"""The build host is stopped, loses its power, or runs out of disk in the middle of a deployment."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.e2e.chaos.trial import Cost, Trial

MEBIBYTE = 1 << 20
DISK = 64 * MEBIBYTE
PIECE = 4096


@pytest.mark.chaos
@pytest.mark.parametrize(("stage", "builds"), [("build", 2), ("wait", 1)])
def test_an_operator_stops_the_host(trial: Trial, stage: str, builds: int) -> None:
    # GIVEN a deployment under way
    pushed = trial.push(f"the host is stopped in {stage}", "slow")
    trial.until_stage(pushed, stage)

    # WHEN an operator stops the instance
    trial.chain.prod("ec2").stop_instances(InstanceIds=[trial.host])
    trial.say(f"an operator stops {trial.host} in stage {stage}")

    # THEN the host is started again for what is left to do
    trial.ends_well(pushed, Cost(builds=builds))


@pytest.mark.chaos
@pytest.mark.parametrize(("stage", "builds"), [("build", 2), ("wait", 1)])
def test_the_host_loses_its_power(trial: Trial, stage: str, builds: int) -> None:
    pushed = trial.push(f"sudden death in {stage}", "slow")
    trial.until_stage(pushed, stage)

    trial.sudden_death()

    trial.ends_well(pushed, Cost(builds=builds))


@pytest.mark.chaos
def test_kill_the_agent_in_a_build_by_hand(trial: Trial) -> None:
    # GIVEN a build that runs, docker at work
    pushed = trial.push("killed from outside", "slow")
    trial.until_stage(pushed, "build")

    # WHEN its agent is killed from outside, twice
    trial.kill_agent()
    trial.chain.until("the next build", lambda: trial.builds_begun() == 2)
    trial.kill_agent()

    # THEN the third one sees it through
    trial.ends_well(pushed, Cost(builds=3))


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("left", "words"),
    [(0, "not one byte is left"), (6 * MEBIBYTE, "less is left than a build needs")],
)
def test_the_disk_of_the_build_area_is_full(trial: Trial, left: int, words: str) -> None:
    with small_disk(trial.home / "agent") as disk:
        # GIVEN a build area on a small disk that something has filled
        ballast = disk / "ballast"
        fill(ballast, left)
        trial.say(f"the build area's disk is filled: {words}")

        # WHEN somebody pushes, and the attempt fails
        pushed = trial.push(f"on a full disk: {words}")
        trial.chain.until("a failed attempt", lambda: failed_attempts(trial) >= 1)
        trial.say("the attempt failed, and was counted as the world's fault")

        # THEN it is deployed as soon as there is room
        ballast.unlink()
        trial.say("there is room again")
        trial.ends_well(pushed, Cost(builds=2))
        assert [row.status for row in trial.rows()] == ["succeeded"]


def failed_attempts(trial: Trial) -> int:
    requests = trial.chain.table.requests
    return sum(requests.attempts(row.request_id).count for row in trial.rows())


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A small disk for what is in `directory` while the block runs; the host sleeps meanwhile."""
    with TemporaryDirectory() as copy:
        shutil.copytree(directory, copy, symlinks=True, dirs_exist_ok=True)
        as_root("mount", "-t", "tmpfs", "-o", f"size={DISK},mode=777", "tmpfs", str(directory))
        try:
            shutil.copytree(copy, directory, symlinks=True, dirs_exist_ok=True)
            yield directory
        finally:
            as_root("umount", "--lazy", str(directory))


def as_root(*command: str) -> None:
    """Mounting needs it; the local run's own docker needs no less."""
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    subprocess.run([*prefix, *command], check=True)


def fill(path: Path, left: int) -> None:
    """Write until only `left` bytes of the disk are free."""
    piece = b"\0" * PIECE
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while shutil.disk_usage(path.parent).free >= left + PIECE:
            file.write(piece)
