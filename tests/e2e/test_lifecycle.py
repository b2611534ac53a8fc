"""`slipway local` itself: a second up says so, nothing is left after down, failures clean up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.docker import MACHINE_DOCKER
from local.ports import listens
from local.started import Ledger, Started, marked_processes
from local.waiting import wait_until
from local.workplace import REPOSITORY, Workplace
from tests.e2e.chain import Chain

SLIPWAY = Path(sys.executable).parent / "slipway"


def slipway(*arguments: str, directory: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """`slipway local ARGUMENTS` in a process of its own, as a person calls it."""
    return subprocess.run(
        [str(SLIPWAY), "local", *arguments, "--directory", str(directory)],
        cwd=REPOSITORY,
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def started_in(directory: Path) -> Started:
    ledger = Ledger.load(Workplace(directory))
    assert ledger is not None
    return ledger.started


def ports_of(directory: Path) -> list[int]:
    state = json.loads((directory / "state.json").read_text())
    pipelines = state["pipelines"].values()
    urls = [state["endpoint_url"], state["slack_url"], *(p["service_url"] for p in pipelines)]
    return [int(url.rsplit(":", 1)[1]) for url in urls]


def nothing_left(started: Started) -> list[str]:
    """What is left of a run: processes, mounts, directories, bridges, containers."""
    left = [str(p) for p in marked_processes(started.mark) if p.status() != psutil.STATUS_ZOMBIE]
    left += [f"process {note}" for note in started.processes if runs(note.pid, note.began)]
    mounts = Path("/proc/mounts").read_text()
    for directory in started.directories:
        left += [directory] if Path(directory).exists() else []
        left += [f"mount in {directory}"] if f" {directory}" in mounts else []
    if started.bridge and Path("/sys/class/net", started.bridge).exists():
        left.append(started.bridge)
    if started.docker_client and not started.private_docker:
        label = f"label={started.container_label}"
        command = [started.docker_client, "ps", "--all", "--quiet", "--filter", label]
        environment = {**os.environ, "DOCKER_HOST": started.docker_host or MACHINE_DOCKER}
        left += subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
    return left


def runs(pid: int, began: float) -> bool:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - began) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_second_up_says_that_it_runs(chain: Chain) -> None:
    before = started_in(chain.directory)

    second = slipway("up", directory=chain.directory)

    assert second.returncode == 0, second.stderr
    assert "running already" in second.stdout
    assert started_in(chain.directory) == before


def test_nothing_is_left_after_down(tmp_path: Path) -> None:
    # GIVEN a run beside the other one, with its first commit deployed
    up = slipway("up", directory=tmp_path)
    assert up.returncode == 0, up.stderr + up.stdout
    started, ports = started_in(tmp_path), ports_of(tmp_path)
    assert all(listens(port) for port in ports)
    assert "serves" in slipway("status", directory=tmp_path).stdout

    # WHEN it is taken down
    down = slipway("down", directory=tmp_path)

    # THEN nothing of it is left, and a second down says that nothing runs
    assert down.returncode == 0, down.stderr
    assert nothing_left(started) == []
    assert not any(listens(port) for port in ports)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lock", "log"]
    assert "nothing runs here" in slipway("down", directory=tmp_path).stdout
    push = slipway("push", directory=tmp_path)
    assert push.returncode == 2
    assert "slipway local up" in push.stderr


@pytest.mark.usefixtures("heard_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_up_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    # GIVEN an `up` that is half done
    command = [str(SLIPWAY), "local", "up", "--directory", str(tmp_path)]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    workplace = Workplace(tmp_path)

    def half_done() -> bool:
        ledger = Ledger.load(workplace)
        return ledger is not None and "emulator" in ledger.alive()

    assert wait_until(half_done, seconds=60)

    # WHEN it is interrupted; and, if it could not clean up itself, `down` is called
    process.send_signal(number)
    started = started_in(tmp_path)
    assert process.wait(timeout=60) != 0
    if number == signal.SIGKILL:
        started = started_in(tmp_path)
        assert slipway("down", directory=tmp_path).returncode == 0

    # THEN nothing is left
    assert nothing_left(started) == []
    assert Ledger.load(workplace) is None


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        up = slipway("up", "--port", str(port), directory=tmp_path)

    assert up.returncode == 3
    assert f"port {port} on 127.0.0.1" in up.stderr
    assert "Traceback" not in up.stderr
    assert Ledger.load(Workplace(tmp_path)) is None


def test_an_unknown_pipeline_is_wrong_use(chain: Chain) -> None:
    push = slipway("push", "--pipeline", "nobody", directory=chain.directory)
    assert push.returncode == 2
    assert "there are: sample, sample-2" in push.stderr
