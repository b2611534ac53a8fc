"""The hypervisor of one machine: `python -m local.machine …`, a process for as long as it is on.

SIGTERM is the power button: systemd in the machine shuts down as it pleases, and then this process
ends. SIGKILL, or the end of whoever started it, pulls the plug. A reboot stays inside.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import psutil

from local.interfaces import bring_loopback_up
from local.machine import relay
from local.machine.cgroup import Cgroup
from local.machine.disk import Disk
from local.machine.namespaces import enter_new_ones, mount_overlay
from local.processes import die_with_parent
from local.started import MARK_VARIABLE

REBOOT = 133
"""systemd-nspawn's exit code, with --keep-unit, where the machine wants to be started again."""
POWER_OFF = "SIGRTMIN+4"
"""What systemd takes for the power button."""
SYSTEM_CALLS = ("@keyring", "bpf", "perf_event_open")
"""Beside systemd-nspawn's own list: what Docker asks for."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one is made of. `image` is only read; `endpoint_url` is the emulator's, outside."""

    instance_id: str
    image: Path
    disk: Disk
    cgroup: Cgroup
    endpoint_url: str

    @property
    def port(self) -> int:
        """The emulator's: AWS, the registry and git are all there."""
        return urlsplit(self.endpoint_url).port or 80


def nspawn(machine: Machine) -> list[str]:
    """systemd-nspawn's command for a machine whose root is mounted."""
    disk = machine.disk
    return [
        *("systemd-nspawn", "--quiet", "--boot", "--console=read-only"),
        f"--directory={disk.root}",
        f"--bind={_escaped(disk.docker)}:/var/lib/docker",
        f"--bind={_escaped(disk.logs)}:/var/log",
        f"--machine={machine.instance_id}",
        f"--kill-signal={POWER_OFF}",
        # The machine's systemd is nobody's but this process's.
        *("--register=no", "--keep-unit", "--link-journal=no"),
        *("--resolv-conf=off", "--timezone=off"),
        # For Docker.
        "--capability=all",
        f"--system-call-filter={' '.join(SYSTEM_CALLS)}",
    ]


def in_a_tree(cgroup: Cgroup, command: list[str]) -> list[str]:
    """`command` in that cgroup, as the first process of a tree that ends whole with this one.

    systemd-nspawn killed alone would leave what it booted: the exec of a first process that may do
    all forgets whose death it shall follow. A namespace of process ids ends with its first one.
    """
    enter = 'echo 0 >"$0" && exec "$@"'
    return [
        *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
        *("sh", "-c", enter, str(cgroup.place / "cgroup.procs")),
        *command,
    ]


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:")


class Keeper:
    """One machine, from power on to power off."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._process: subprocess.Popen[bytes] | None = None
        self._off = False

    def run(self) -> int:
        """Power it on; the exit code of its last run, 0 where it was shut down in order."""
        signal.signal(signal.SIGTERM, self._press)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._prepare()
        code = REBOOT
        while code == REBOOT and not self._off:
            code = self._boot()
        self._machine.cgroup.end()
        return code

    def _prepare(self) -> None:
        machine = self._machine
        machine.disk.make()
        machine.disk.point_at(machine.endpoint_url)
        outside = relay.Outside()
        enter_new_ones()
        bring_loopback_up(relay.METADATA_ADDRESS)
        outside.relay(relay.listen(relay.LOOPBACK, machine.port), machine.port)
        metadata = relay.listen(relay.METADATA_ADDRESS, relay.METADATA_PORT)
        outside.relay_metadata(metadata, machine.port, machine.instance_id)
        disk = machine.disk
        mount_overlay(machine.image, upper=disk.upper, work=disk.work, target=disk.root)

    def _boot(self) -> int:
        cgroup = self._machine.cgroup
        cgroup.make()
        self._process = subprocess.Popen(
            in_a_tree(cgroup, nspawn(self._machine)),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the other thread holds no lock of Python's
        )
        return self._process.wait()

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        """Once: a second SIGTERM would end systemd-nspawn, which passes --kill-signal on."""
        if self._process is not None and not self._off:
            for spawned in psutil.Process(self._process.pid).children():
                spawned.terminate()
        self._off = True


def _environment() -> dict[str, str]:
    """systemd-nspawn's own: its tools, and the run's mark. Nothing of it reaches the inside."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    mark = {name: os.environ[name] for name in (MARK_VARIABLE,) if name in os.environ}
    return {**mark, "PATH": path, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}


def command(machine: Machine) -> list[str]:
    """The command line of `machine`'s keeper."""
    return [
        *(sys.executable, "-m", "local.machine"),
        f"--instance-id={machine.instance_id}",
        f"--image={machine.image}",
        f"--disk={machine.disk.folder}",
        f"--logs={machine.disk.logs}",
        f"--cgroup={machine.cgroup.name}",
        f"--endpoint-url={machine.endpoint_url}",
    ]
