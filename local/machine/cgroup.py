"""The cgroup of a machine: all of its processes, so that none outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from local.waiting import wait_until
from slipway.contracts.errors import WorldFailed

# cgroup v2 alone, and beside v1.
HIERARCHIES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
END_SECONDS = 20.0


def hierarchy() -> Path | None:
    """Where cgroup v2 is mounted; None where it is not."""
    for place in HIERARCHIES:
        if (place / "cgroup.controllers").exists():
            return place
    return None


@dataclass(frozen=True)
class Cgroup:
    """A cgroup by its path below the hierarchy's root; a run's machines are below the run's."""

    name: str

    @property
    def place(self) -> Path:
        root = hierarchy()
        if root is None:
            raise WorldFailed("there is no cgroup v2 here, which a machine needs")
        return root / self.name

    def make(self) -> None:
        """There, and empty, whatever an earlier machine left."""
        self.end()
        self.place.mkdir(parents=True)

    def kill(self) -> None:
        """SIGKILL to every process in it and below: the plug is pulled."""
        with contextlib.suppress(FileNotFoundError):
            (self.place / "cgroup.kill").write_text("1")  # Linux 5.14
            return
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Their ids, of it and below."""
        found: list[int] = []
        for folder in self._folders():
            with contextlib.suppress(OSError):  # gone meanwhile
                found += map(int, (folder / "cgroup.procs").read_text().split())
        return found

    def end(self) -> bool:
        """Kill what is in it and remove it; whether it was there."""
        if not self.place.exists():
            return False
        self.kill()
        if not wait_until(self._removed, seconds=END_SECONDS, poll=0.02):
            raise WorldFailed(f"cannot remove {self.place}: {len(self.processes())} processes stay")
        return True

    def _removed(self) -> bool:
        for folder in reversed(self._folders()):
            with contextlib.suppress(OSError):  # still populated, or gone
                folder.rmdir()
        return not self.place.exists()

    def _folders(self) -> list[Path]:
        """It and all below it, each before its own; what goes away meanwhile is left out."""
        return [Path(folder) for folder, _, _ in os.walk(self.place)]
