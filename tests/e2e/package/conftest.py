"""The package, built and installed once for all of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.emulator.process import start_emulator
from local.emulator.settings import EmulatorSettings
from local.ports import free_ports
from tests.e2e.emulator.world import World
from tests.e2e.package.installed import Built, Installed, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed.make(built.wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="package")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An emulator with nothing in it."""
    data: Path = tmp_path_factory.mktemp("cloud")
    emulator = start_emulator(
        EmulatorSettings(
            port=free_ports(1)[0], data_dir=data, docker_host=f"unix://{data}/no-docker.sock"
        )
    )
    try:
        yield World(emulator)
    finally:
        emulator.stop()
