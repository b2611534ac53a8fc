"""One emulator for all of these tests; each uses names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.emulator.process import start_emulator
from local.emulator.settings import EmulatorSettings
from local.ports import free_ports
from tests.e2e.emulator.world import World


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data_dir = tmp_path_factory.mktemp("emulator")
    settings = EmulatorSettings(
        port=free_ports(1)[0],
        data_dir=data_dir,
        docker_host=f"unix://{data_dir}/no-docker.sock",
        pending_seconds=0.3,
        stopping_seconds=0.3,
        retry_seconds=0.1,
        build_start_seconds=0.3,
        build_minute_seconds=1.5,
        git_users=(("alice", "a:password"),),
        internal_endpoints=True,
    )
    emulator = start_emulator(settings)
    yield World(emulator)
    emulator.stop()
