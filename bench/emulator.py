"""The local emulator for the benches that need queues and a table, but no stack and no Docker."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.emulator.process import start_emulator
from local.emulator.settings import EmulatorSettings


@contextmanager
def running_emulator(data: Path) -> Iterator[str]:
    """An emulator of its own on a free port; its endpoint URL."""
    settings = EmulatorSettings(port=free_port(), data_dir=data, docker_host=f"unix://{os.devnull}")
    emulator = start_emulator(settings)
    try:
        yield emulator.endpoint_url
    finally:
        if emulator.process is not None:
            emulator.process.terminate()
            emulator.process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
