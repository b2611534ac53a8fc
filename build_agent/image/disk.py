"""Room for the next fetch and build: pruned between builds only, and by free disk only."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from build_agent.host.process import Sink
from build_agent.host.stop import Stop
from build_agent.image.docker import Docker, DockerSession
from slipway.contracts.errors import WorldFailed

PRUNE_TIMEOUT = 600.0
FREE_SHARE = 0.2
"""Share of the disk that should be free before a build."""
FOR_FETCH, FOR_BUILD = 64 << 20, 2 << 30
"""Bytes without which neither is begun."""
CACHE_KEPT = "8GB"
"""BuildKit's cache after the first, gentle step."""

FULL = 64 << 20
"""With fewer bytes free a disk is full for whoever failed on it."""

FreeSpace = Callable[[Path], tuple[int, int]]
"""From a folder to (free, total) bytes of its disk."""


def free_space(folder: Path) -> tuple[int, int]:
    """Free bytes and all bytes of the disk that holds `folder`."""
    usage = shutil.disk_usage(folder)
    return usage.free, usage.total


def is_tight(free: int, total: int) -> bool:
    """Whether so little is free that old images should go."""
    return free < total * FREE_SHARE and free < 40 << 30


@dataclass(frozen=True)
class Disk:
    """The disk of builds; `source` marks this installation's own images (their source label)."""

    docker: Docker
    folder: Path
    prune_cache: bool
    space: FreeSpace = free_space

    def make_room(self, source: str, *, least: int, stop: Stop, sink: Sink) -> None:
        """Prune step by step until there is room; WorldFailed if `least` bytes are not free then.

        A prune needs no login, so nothing is written for it: the disk may be full to the last byte.
        """
        if not is_tight(*self.space(self.folder)):
            return
        docker = DockerSession(self.docker, self.folder / "no-docker-configuration")
        for command in prune_commands(source, cache=self.prune_cache):
            sink("the disk is filling up: docker " + " ".join(command))
            self._prune(docker, command, stop)
            if not is_tight(*self.space(self.folder)):
                return
        free, _total = self.space(self.folder)
        if free < least:
            raise WorldFailed(f"the disk is full: {free >> 20} MiB free after pruning")

    def check_not_full(self) -> None:
        """WorldFailed where so little is free that no build could end well."""
        free, _total = self.space(self.folder)
        if free < FULL:
            raise WorldFailed(f"the disk is full: {free >> 20} MiB free after the build failed")

    def _prune(self, docker: DockerSession, command: list[str], stop: Stop) -> None:
        ended = docker(command, stop=stop, timeout=PRUNE_TIMEOUT)
        if not ended.ok:
            raise WorldFailed(f"docker {' '.join(command[:2])} failed: {' '.join(ended.tail[-1:])}")


def prune_commands(source: str, *, cache: bool) -> list[list[str]]:
    """From gentle to thorough. Images: only ours, by their label, and none that a container uses.

    `cache` False: the daemon is shared with others (the local run), its cache is theirs too.
    """
    label = f"label=org.opencontainers.image.source={source}"
    gentle = [["image", "prune", "--force", "--filter", label]]
    if cache:
        gentle.append(["builder", "prune", "--force", "--keep-storage", CACHE_KEPT])
    thorough = [["image", "prune", "--all", "--force", "--filter", label]]
    if cache:
        thorough.append(["builder", "prune", "--all", "--force"])
    return gentle + thorough
