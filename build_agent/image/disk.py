"""Room for the next fetch and build: pruned by free disk only, and only while nobody builds.

docker keeps what a build under way uses, but not what it needs next: `image prune --all` takes an
image that was built a moment ago and is not pushed yet, and no filter keeps it (an image of cached
layers is as old as they are). So a prune waits until no build is under way, and builds wait for it.
A host that is busy all the time goes on without, for as long as each build has its room.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from build_agent.host.flights import Flights
from build_agent.host.gate import Gate
from build_agent.host.process import Sink
from build_agent.host.stop import Interrupted, Stop
from build_agent.image.docker import Docker, DockerSession
from slipway.contracts.errors import DeploymentFailed, WorldFailed

PRUNE_TIMEOUT = 600.0
FREE_SHARE = 0.2
"""Share of the disk that should be free before a build."""
FOR_FETCH, FOR_BUILD = 64 << 20, 2 << 30
"""Bytes without which neither is begun; for each build under way as much again."""
CACHE_KEPT, CACHE_SHARE = 8 << 30, 0.3
"""BuildKit's cache after the first, gentle step: bytes at most, and of a small disk this share.
What goes is in ECR, too (`image/build_cache.py`)."""

FULL = 64 << 20
"""With fewer bytes free a disk is full for whoever failed on it."""
DISK_FULL = "the disk is full"
"""Begins the text of each error that says so."""

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
    """The disk of builds; `builds`: each one uses it, from its begin until its image is pushed.

    `on_pruned` is called when something is pruned, `on_short` with (free, total) bytes where all
    that could go had to go, or that was not enough: the disk is too small for what is built here.
    """

    docker: Docker
    folder: Path
    prune_cache: bool
    space: FreeSpace = free_space
    on_pruned: Callable[[], None] = lambda: None
    on_short: Callable[[int, int], None] = lambda _free, _total: None
    builds: Gate = field(default_factory=Gate)
    _prunes: Flights[None] = field(default_factory=Flights)

    def make_room(self, source: str, *, least: int, stop: Stop, sink: Sink) -> None:
        """Prune step by step until there is room; WorldFailed if `least` bytes are not free then.

        `source` marks the images that may go: those of this repository (their source label). While
        others build nothing is pruned: then there is room with `least` bytes for each of them, too,
        and without it they are waited for. A prune under way is waited for in any case.
        """
        free, total = self.space(self.folder)
        if not is_tight(free, total) or self._is_room_beside_others(free, least):
            return
        self._prunes.share(
            "disk",
            source,
            lambda: self._prune(source, stop, sink),
            stop=stop,
            waiting=lambda: sink("waiting for room on the disk: it is being pruned"),
        )
        free, total = self.space(self.folder)
        if is_tight(free, total) and free < least:
            raise WorldFailed(f"{DISK_FULL}: {_told(free)} free after pruning")

    @contextmanager
    def watched(self, sink: Sink) -> Iterator[Sink]:
        """What is built inside writes its output to the sink that this gives.

        Of a build that fails while the disk is full the commit is not to blame: WorldFailed, which
        says how much was free. It is looked at line by line: a step that failed frees what it took.
        """
        least = self.space(self.folder)[0]

        def look(line: str) -> None:
            nonlocal least
            least = min(least, self.space(self.folder)[0])
            sink(line)

        try:
            yield look
        except Interrupted:
            raise
        except (DeploymentFailed, WorldFailed) as failed:
            least = min(least, self.space(self.folder)[0])
            of_disk = isinstance(failed, WorldFailed) and str(failed).startswith(DISK_FULL)
            if of_disk or (isinstance(failed, DeploymentFailed) and least < FULL):
                raise WorldFailed(f"{DISK_FULL}: {_told(least)} free when a build failed") from None
            raise

    def _is_room_beside_others(self, free: int, least: int) -> bool:
        others = self.builds.using
        return others > 0 and free >= least * (others + 1)

    def _prune(self, source: str, stop: Stop, sink: Sink) -> None:
        """While nobody builds; a prune needs no login, so nothing is written for it: the disk may
        be full to the last byte."""
        docker = DockerSession(self.docker, self.folder / "no-docker-configuration")
        waits = "waiting for room on the disk: other builds are under way"
        with self.builds.alone(stop=stop, waiting=lambda: sink(waits)):
            commands = prune_commands(source, self.space(self.folder)[1], cache=self.prune_cache)
            for command in commands:
                if not is_tight(*self.space(self.folder)):
                    return
                sink("the disk is filling up: docker " + " ".join(command))
                self.on_pruned()
                ended = docker(command, stop=stop, timeout=PRUNE_TIMEOUT)
                if not ended.ok:
                    last = " ".join(ended.tail[-1:])
                    raise WorldFailed(f"docker {' '.join(command[:2])} failed: {last}")
            self.on_short(*self.space(self.folder))


def cache_kept(total: int) -> int:
    """Bytes of BuildKit's cache that a gentle prune leaves on a disk of `total` bytes."""
    return min(CACHE_KEPT, int(total * CACHE_SHARE))


def prune_commands(source: str, total: int, *, cache: bool) -> list[list[str]]:
    """From gentle to thorough. Images: only ours, by their label, and none that a container uses.

    `total`: bytes of the disk. `cache` False: the daemon is shared with others (the local run), its
    cache is theirs too.
    """
    label = f"label=org.opencontainers.image.source={source}"
    gentle = [["image", "prune", "--force", "--filter", label]]
    if cache:
        kept = f"{cache_kept(total) >> 20}MB"
        gentle.append(["builder", "prune", "--force", "--keep-storage", kept])
    thorough = [["image", "prune", "--all", "--force", "--filter", label]]
    if cache:
        thorough.append(["builder", "prune", "--all", "--force"])
    return gentle + thorough


def _told(size: int) -> str:
    return f"{size >> 20} MiB"
