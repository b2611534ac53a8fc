"""A machine of a test: power on, look, do, power off."""

from __future__ import annotations

import base64
import contextlib
import signal
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from local.machine import kernel, qemu
from local.machine.cgroup import Cgroup
from local.machine.disk import Disk
from local.machine.keeper import Machine, command
from local.processes import die_with_parent
from local.waiting import wait_for
from tests.machine.cloud import INSTANCE_ID

T = TypeVar("T")


@dataclass
class Booted:
    """A machine under its keeper. `place` is the test's own folder."""

    image: Path
    place: Path
    endpoint_url: str
    name: str = field(default_factory=lambda: f"slipway-test-{uuid.uuid4().hex[:12]}")
    patience: float = 240.0
    poll: float = 0.1
    """Seconds that anything may take, and between two looks: an emulated processor is slow."""
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
                command(self.machine),
                stdout=console,
                stderr=console,
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no other thread holds a lock
            )

    def press(self) -> None:
        """The power button."""
        assert self._keeper is not None
        self._keeper.terminate()

    def is_off(self) -> bool:
        return self._keeper is None or self._keeper.poll() is not None

    def power_off(self) -> None:
        self.press()
        self.until("power off", self.is_off)

    def pull(self) -> None:
        """The plug; nothing of it stays."""
        if self._keeper is not None and self._keeper.poll() is None:
            self._keeper.send_signal(signal.SIGKILL)
            self._keeper.wait()
        self.machine.cgroup.end()

    # --- looking, and doing

    def until(self, what: str, condition: Callable[[], T]) -> T:
        return wait_for(what, condition, seconds=self.patience, poll=self.poll)

    def console(self) -> str:
        """All that it has said since its first power on."""
        return (self.place / "console").read_text(encoding="utf-8", errors="replace")

    def put(self, files: dict[str, str | bytes]) -> None:
        """Executable files on its disk, before it is on for the first time."""
        raise NotImplementedError

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command inside, as root: its exit code and what it printed."""
        raise NotImplementedError

    def log(self, name: str) -> str:
        """A file of /var/log, whether it is on or off; empty if it is not there."""
        raise NotImplementedError

    def says(self, *arguments: str) -> str:
        return self.run(*arguments)[1].strip()

    def does(self, *arguments: str) -> None:
        code, printed = self.run(*arguments)
        assert code == 0, (arguments, printed)

    def agents(self) -> list[tuple[str, str]]:
        """What became of the agents of the last boot: ('started', release), in order.

        Where a plug was pulled, zeros stand for what the kernel had not written yet.
        """
        lines = [line.strip("\0").split() for line in self.log("agents").splitlines()]
        return [(word, release) for word, release, boot in lines if boot == lines[-1][2]]

    def is_booted(self) -> bool:
        """Whether the boot unit has done what it does."""
        properties = "--property=Result,SubState,ExecMainStatus"
        return self.says("systemctl", "show", properties, "slipway-boot.service") == (
            "Result=success\nExecMainStatus=0\nSubState=dead"
        ) and "slipway-boot: " in self.log("slipway/boot.log")

    def power_on_fully(self) -> None:
        """Until an agent has come up, and the boot unit has ended."""
        before = self.log("agents").count("started")

        def came_up() -> bool:
            assert not self.is_off(), self.console()[-2000:]
            return self.log("agents").count("started") > before

        self.power_on()
        self.until("an agent", came_up)
        self.until("the end of the boot unit", self.is_booted)


@dataclass
class Spawned(Booted):
    """systemd-nspawn's: its disk is a folder, its first process one of ours."""

    def put(self, files: dict[str, str | bytes]) -> None:
        disk = self.machine.disk
        disk.make()
        for path, text in files.items():
            file = disk.upper / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode() if isinstance(text, str) else text)
            file.chmod(0o755)

    def run(self, *arguments: str) -> tuple[int, str]:
        enter = ("nsenter", f"--target={self._init()}", *("-m", "-u", "-i", "-n", "-p"), "--")
        done = subprocess.run([*enter, *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    def log(self, name: str) -> str:
        path = self.place / "log" / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _init(self) -> int:
        """The machine's first process, by its id out here: the one in the innermost namespace."""
        found: list[tuple[int, int]] = []
        for pid in self.machine.cgroup.processes():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
                (ids,) = [line.split()[1:] for line in status.splitlines() if "NSpid" in line]
                found += [(len(ids), pid)] if ids[-1] == "1" else []
        return max(found)[1]


@dataclass
class Emulated(Booted):
    """QEMU's: what is inside is asked of the agent there (qemu-ga), or read from the disk."""

    patience: float = 1200.0
    poll: float = 1.0

    @property
    def _disk(self) -> Path:
        return self.machine.disk.folder / kernel.DISK

    def put(self, files: dict[str, str | bytes]) -> None:
        qemu.provide_disk(self.machine)
        qemu.write(self._disk, files, mode=0o755)

    def run(self, *arguments: str) -> tuple[int, str]:
        program, *rest = arguments
        given: dict[str, object] = {"path": program, "arg": rest, "capture-output": True}
        pid = self._ask("guest-exec", **given)["pid"]
        ended = self.until(f"the end of {program}", lambda: self._ended(pid))
        printed = base64.b64decode(ended.get("out-data", "")).decode(errors="replace")
        return ended["exitcode"], printed

    def log(self, name: str) -> str:
        path = f"/var/log/{name}"
        if self.is_off():
            return qemu.read(self._disk, path) if self._disk.exists() else ""
        try:
            return self.run("cat", path)[1]
        except OSError:  # not up yet, or going down
            return ""

    def _ask(self, what: str, **arguments: object) -> dict[str, Any]:
        answer = qemu.ask(self.machine.disk.folder, what, qemu.GUEST, **arguments)
        assert isinstance(answer, dict)
        return answer

    def _ended(self, pid: int) -> dict[str, Any] | None:
        try:
            status = self._ask("guest-exec-status", pid=pid)
        except TimeoutError:  # it has better things to do
            return None
        return status if status["exited"] else None
