"""The emulator as a process: it ends at once, leaves nothing, and says why it cannot start."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from local.emulator.process import is_ready, start_emulator
from local.emulator.settings import EmulatorSettings
from local.ports import free_ports
from slipway.contracts.errors import WorldFailed
from tests.e2e.emulator.world import World, function_resource, role_resource


def settings(directory: Path, port: int) -> EmulatorSettings:
    return EmulatorSettings(
        port=port, data_dir=directory, docker_host=f"unix://{directory}/no-docker.sock"
    )


def test_it_ends_with_its_children_and_frees_its_port(tmp_path):
    # GIVEN an emulator with a Lambda that has run, and so has a worker process
    emulator = start_emulator(settings(tmp_path, free_ports(1)[0]))
    world = World(emulator)
    world.deploy(
        "worker",
        {
            "Role": role_resource("worker", "lambda.amazonaws.com"),
            "Function": function_resource("worker", "Role", "def handler(event, context): pass\n"),
        },
    )
    world.root("lambda").invoke(FunctionName="worker")
    children = psutil.Process(emulator.pid).children(recursive=True)
    assert children
    # WHEN it is stopped
    emulator.stop()
    # THEN the process, its children and its port are gone
    assert not psutil.pid_exists(emulator.pid)
    assert [child for child in children if child.is_running()] == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", emulator.settings.port))


def test_a_taken_port_is_said(tmp_path):
    # GIVEN a port that somebody listens on
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        # WHEN / THEN
        with pytest.raises(WorldFailed, match=f"port {port} on 127.0.0.1 cannot be used"):
            start_emulator(settings(tmp_path, port))


def test_another_runs_emulator_is_not_ours(tmp_path):
    # GIVEN an emulator of one directory
    port = free_ports(1)[0]
    emulator = start_emulator(settings(tmp_path / "one", port))
    # WHEN / THEN one of another directory on the same port is not taken for ready
    assert is_ready(settings(tmp_path / "one", port))
    assert not is_ready(settings(tmp_path / "two", port))
    emulator.stop()


def test_stopping_again_touches_nobody(tmp_path):
    # GIVEN an emulator that has ended
    emulator = start_emulator(settings(tmp_path, free_ports(1)[0]))
    emulator.stop()
    # WHEN it is stopped again / THEN nothing happens
    emulator.stop()
