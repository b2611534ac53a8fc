"""The hypervisor of one machine that has a kernel of its own: QEMU, its processors emulated (TCG).

As `keeper` is for systemd-nspawn: SIGTERM is the power button (an ACPI event, as from EC2), SIGKILL
or the end of whoever started it pulls the plug. Beside the disk are the sockets `qmp` (QEMU's own)
and `guest` (of the agent inside that runs commands: qemu-ga).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local.interfaces import bring_loopback_up
from local.machine import kernel, relay
from local.machine.keeper import Machine
from local.machine.namespaces import enter_new_ones
from local.processes import die_with_parent

QMP, GUEST = "qmp", "guest"
ENDPOINT_FILE = "/etc/systemd/system.conf.d/emulator.conf"
MEMORY_MB = 1536
ANSWER_SECONDS = 120.0
# The address of the emulator is the same inside as outside, as for the other kind of machine; it
# answers until the end of a stop, as AWS does.
SOCKET = """[Unit]
DefaultDependencies=no
[Socket]
ListenStream=127.0.0.1:{port}
"""
SERVICE = """[Unit]
DefaultDependencies=no
Requires=emulator.socket
[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd {outside}:{port}
"""
COMMAND_LINE = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 apparmor=0 mitigations=off"
    " systemd.wants=emulator.socket"
)


def command(machine: Machine) -> list[str]:
    """QEMU's; paths are below the disk's folder, which it runs in: a socket's may not be long."""
    image = machine.image
    uuid = "ec2" + machine.instance_id.removeprefix("i-").rjust(29, "0")[:29]
    grouped = "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))
    return [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "Nehalem", "-smp", "2"),
        *("-m", str(MEMORY_MB), "-nodefaults", "-display", "none", "-serial", "stdio"),
        *("-kernel", str(image / kernel.KERNEL), "-initrd", str(image / kernel.INITRD)),
        *("-append", COMMAND_LINE),
        *("-drive", f"file={kernel.DISK},format=raw,if=virtio"),
        *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"),
        *("-qmp", f"unix:{QMP},server=on,wait=off"),
        *("-chardev", f"socket,id=guest,path={GUEST},server=on,wait=off"),
        *("-device", "virtio-serial"),
        *("-device", "virtserialport,chardev=guest,name=org.qemu.guest_agent.0"),
        "-smbios",
        f"type=1,manufacturer=Amazon EC2,product=t3.medium,uuid={grouped},serial={grouped}",
    ]


class Qemu:
    """One machine, from power on to power off."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Power it on; QEMU's exit code, 0 where it was shut down in order."""
        signal.signal(signal.SIGTERM, self._press)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        provide_disk(self._machine)
        self._connect()
        self._machine.cgroup.make()
        self._process = subprocess.Popen(
            command(self._machine),
            cwd=self._machine.disk.folder,
            stdin=subprocess.DEVNULL,
            preexec_fn=self._begin,  # noqa: PLW1509 - the other thread holds no lock of Python's
        )
        code = self._process.wait()
        self._machine.cgroup.end()
        return code

    def _connect(self) -> None:
        """A network of its own, whose loopback QEMU gives to the machine: emulator, metadata."""
        machine = self._machine
        outside = relay.Outside()
        enter_new_ones()
        bring_loopback_up(relay.METADATA_ADDRESS)
        outside.relay(relay.listen(relay.LOOPBACK, machine.port), machine.port)
        metadata = relay.listen(relay.METADATA_ADDRESS, relay.METADATA_PORT)
        outside.relay_metadata(metadata, machine.port, machine.instance_id)

    def _begin(self) -> None:
        die_with_parent()
        (self._machine.cgroup.place / "cgroup.procs").write_text("0")

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        if self._process is not None:
            ask(self._machine.disk.folder, "system_powerdown")


def provide_disk(machine: Machine) -> None:
    """A copy of the image's, before the first power on, that knows where the emulator is."""
    disk = machine.disk.folder / kernel.DISK
    if disk.exists():
        return
    machine.disk.make()
    new = disk.with_name("new")
    subprocess.run(
        ["cp", "--sparse=always", "--reflink=auto", machine.image / kernel.DISK, new], check=True
    )
    endpoint = f"AWS_ENDPOINT_URL={machine.endpoint_url}"
    write(
        new,
        {
            ENDPOINT_FILE: f"[Manager]\nDefaultEnvironment={endpoint}\n",
            "/etc/systemd/system/emulator.socket": SOCKET.format(port=machine.port),
            "/etc/systemd/system/emulator.service": SERVICE.format(
                outside=kernel.OUTSIDE, port=machine.port
            ),
        },
    )
    new.rename(disk)


def write(disk: Path, files: Mapping[str, str | bytes], mode: int = 0o644) -> None:
    """Put files on the disk of a machine that is off."""
    scratch = disk.with_name("files")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    lines = []
    for number, (path, text) in enumerate(files.items()):
        (scratch / str(number)).write_bytes(text.encode() if isinstance(text, str) else text)
        folders = [str(folder) for folder in reversed(Path(path).parents)][1:]
        lines += [f"mkdir {folder}" for folder in folders]  # one that is there stays
        lines += [f"rm {path}", f"write {scratch / str(number)} {path}"]
        lines += [f"sif {path} mode 0{0o100000 | mode:o}"]
    (scratch / "commands").write_text("\n".join(lines) + "\n")
    kernel.run("debugfs", "-w", "-f", str(scratch / "commands"), str(disk))
    shutil.rmtree(scratch)


def read(disk: Path, path: str) -> str:
    """A file on the disk of a machine that is off; empty if it is not there."""
    return kernel.run("debugfs", "-R", f"cat {path}", str(disk))


def ask(folder: Path, what: str, name: str = QMP, **arguments: object) -> object:
    """The answer of QEMU (`qmp`), or of the agent inside (`guest`), to one command."""
    with _connected(folder, name) as stream:
        if name == QMP:
            stream.readline()  # its greeting
            _exchange(stream, "qmp_capabilities", {})
        else:
            _synchronize(stream)
        return _exchange(stream, what, arguments)


@contextmanager
def _connected(folder: Path, name: str) -> Iterator[socket.SocketIO]:
    place = os.open(folder, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as handle:
            handle.settimeout(ANSWER_SECONDS)
            handle.connect(f"/proc/self/fd/{place}/{name}")  # short, wherever the folder is
            with handle.makefile("rwb", buffering=0) as stream:
                yield stream
    finally:
        os.close(place)


def _synchronize(stream: socket.SocketIO) -> None:
    """Past the answers that somebody before did not wait for."""
    number = secrets.randbits(31)
    answer = _exchange(stream, "guest-sync", {"id": number})
    while answer != number:
        answer = _answer(stream, "guest-sync")


def _exchange(stream: socket.SocketIO, what: str, arguments: dict[str, object]) -> object:
    stream.write(json.dumps({"execute": what, "arguments": arguments}).encode() + b"\n")
    return _answer(stream, what)


def _answer(stream: socket.SocketIO, what: str) -> object:
    while line := stream.readline():
        answer = json.loads(line)
        if "error" in answer:
            raise OSError(f"{what}: {answer['error'].get('desc')}")
        if "return" in answer:
            return answer["return"]
    raise OSError(f"{what}: no answer")
