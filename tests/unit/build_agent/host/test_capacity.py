"""How many builds a host runs at once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from build_agent.host.capacity import build_slots, measure

GIB = 1 << 30


@pytest.mark.parametrize(
    ("processors", "memory", "disk", "slots"),
    [
        (2, 8 * GIB, 50 * GIB, 2),
        (8, 4 * GIB, 100 * GIB, 2),
        (8, 3.7 * GIB, 100 * GIB, 2),  # what is left of 4 GiB that a machine is sold with
        (8, 3 * GIB, 100 * GIB, 1),
        (8, 32 * GIB, 35 * GIB, 3),
        (2, 4 * GIB, 20 * GIB - 1, 2),  # what a file system shows of 20 GiB
        (64, 256 * GIB, 1000 * GIB, 16),
        (1, GIB, GIB, 1),
        (4, 0, 0, 1),
    ],
)
def test_the_scarcest_decides(processors: int, memory: float, disk: int, slots: int) -> None:
    assert build_slots(None, processors=processors, memory=int(memory), disk=disk) == slots


def test_what_is_configured_stands() -> None:
    assert build_slots(64, processors=1, memory=GIB, disk=GIB) == 64
    assert build_slots(1, processors=8, memory=64 * GIB, disk=500 * GIB) == 1


def test_a_host_is_measured(tmp_path: Path) -> None:
    whole, shared = measure(tmp_path, own_disk=True), measure(tmp_path, own_disk=False)
    assert whole.processors == len(os.sched_getaffinity(0))
    told = Path("/proc/meminfo").read_text(encoding="utf-8").split()
    assert whole.memory == int(told[told.index("MemTotal:") + 1]) * 1024
    assert whole.disk == shutil.disk_usage(tmp_path).total
    assert 0 < shared.disk <= whole.disk
