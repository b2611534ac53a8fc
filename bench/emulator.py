"""The local emulator for the benches that need queues and a table, but no stack and no Docker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.emulator.process import start_emulator
from local.emulator.settings import EmulatorSettings
from local.ports import free_ports


@contextmanager
def running_emulator(data: Path) -> Iterator[str]:
    """An emulator of its own on a free port; its endpoint URL."""
    (port,) = free_ports(1)
    settings = EmulatorSettings(port=port, data_dir=data, docker_host=f"unix://{os.devnull}")
    emulator = start_emulator(settings)
    try:
        yield emulator.endpoint_url
    finally:
        if emulator.process is not None:
            emulator.process.terminate()
            emulator.process.wait()
