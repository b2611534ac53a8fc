"""A machine of a test: power on, look, do, power off."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from local.machine.cgroup import Cgroup
from local.machine.disk import Disk
from local.machine.keeper import Machine, command
from local.waiting import wait_for
from tests.machine.cloud import INSTANCE_ID

T = TypeVar("T")
BOOT_SECONDS = 240.0
OFF_SECONDS = 120.0


@dataclass
class Booted:
    """systemd-nspawn's, under its keeper. `place` is the test's own folder."""

    image: Path
    place: Path
    endpoint_url: str
    name: str = field(default_factory=lambda: f"slipway-test-{uuid.uuid4().hex[:12]}")
    _keeper: subprocess.Popen[bytes] | None = None

    @property
    def machine(self) -> Machine:
        return Machine(
            instance_id=INSTANCE_ID,
            image=self.image,
            disk=Disk(self.place / "disk", self.place / "log"),
            cgroup=Cgroup(self.name),
            endpoint_url=self.endpoint_url,
        )

    # --- power

    def power_on(self) -> None:
        with (self.place / "console").open("ab") as console:
            self._keeper = subprocess.Popen(
                command(self.machine), stdout=console, stderr=console, stdin=subprocess.DEVNULL
            )

    def press(self) -> None:
        """The power button."""
        assert self._keeper is not None
        self._keeper.terminate()

    def is_off(self) -> bool:
        return self._keeper is None or self._keeper.poll() is not None

    def power_off(self) -> None:
        self.press()
        self.until("power off", self.is_off, OFF_SECONDS)

    def pull(self) -> None:
        """The plug; nothing of it stays."""
        if self._keeper is not None and self._keeper.poll() is None:
            self._keeper.send_signal(signal.SIGKILL)
            self._keeper.wait()
        self.machine.cgroup.end()

    # --- looking, and doing

    def until(self, what: str, condition: Callable[[], T], seconds: float = BOOT_SECONDS) -> T:
        return wait_for(what, condition, seconds=seconds)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root."""
        enter = ("nsenter", f"--target={self._init()}", *("-m", "-u", "-i", "-n", "-p"), "--")
        return subprocess.run([*enter, *arguments], capture_output=True, text=True, check=False)

    def says(self, *arguments: str) -> str:
        return self.run(*arguments).stdout.strip()

    def _init(self) -> int:
        """The machine's first process, by its id out here."""
        for pid in self.machine.cgroup.processes():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
                (ids,) = [line.split()[1:] for line in status.splitlines() if "NSpid" in line]
                if ids[-1:] == ["1"] and len(ids) > 1:
                    return pid
        raise AssertionError("the machine has no first process")

    def log(self, name: str) -> str:
        """A file of /var/log."""
        path = self.place / "log" / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def agents(self) -> list[tuple[str, str]]:
        """What became of the agents of the last boot: ('started', release), in order."""
        lines = [line.split() for line in self.log("agents").splitlines()]
        return [(word, release) for word, release, boot in lines if boot == lines[-1][2]]
