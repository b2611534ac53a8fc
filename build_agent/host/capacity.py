"""How many builds a host runs at once where its configuration does not say.

A slot for each processor: builds side by side use what one build leaves idle while it fetches,
unpacks and pushes (`python -m bench slots` measures it). More slots than processors gain some more,
but then each build takes longer, and all of them more memory. 2 GiB of memory for each: what the
compilers and bundlers of most images ask for; a build that is killed for want of it fails as the
commit's. 10 GiB of disk for each: a build's layers beside those of the image before, five times of
what is free before a build begins (`image/disk.py`, FOR_BUILD).
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

MEMORY_FOR_ONE = 2 << 30
DISK_FOR_ONE = 10 << 30
MOST = 16
_NEARLY = 0.2
"""Of a slot's memory and disk: a machine that is sold with 4 GiB shows some less."""


@dataclass(frozen=True)
class Capacity:
    """What builds may have: processors, and bytes of memory and of disk."""

    processors: int
    memory: int
    disk: int


def build_slots(configured: int | None, *, processors: int, memory: int, disk: int) -> int:
    """How many builds may run at once: as `configured`, or as `memory` and `disk` (bytes) allow.

    Never less than one, and of itself never more than MOST.
    """
    if configured is not None:
        return configured
    by_memory = int(memory / MEMORY_FOR_ONE + _NEARLY)
    by_disk = int(disk / DISK_FOR_ONE + _NEARLY)
    return max(1, min(processors, by_memory, by_disk, MOST))


def measure(folder: Path, *, own_disk: bool) -> Capacity:
    """What this host has for builds that work in `folder`.

    `own_disk`: nothing but builds fills the disk, and a prune gives back what earlier ones left,
    so that it counts as a whole; of a disk that others fill, only what is free.
    """
    disk = shutil.disk_usage(folder)
    return Capacity(
        processors=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        disk=disk.total if own_disk else disk.free,
    )
