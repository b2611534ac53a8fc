"""What QEMU boots, held against the tools that read it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from local.machine import kernel, qemu
from local.machine.cgroup import Cgroup
from local.machine.disk import Disk
from local.machine.keeper import Machine
from tests.skipping import cannot_run

DEPENDENCIES = """\
kernel/virtio.ko:
kernel/ring.ko:
kernel/legacy.ko:
kernel/failover.ko:
kernel/virtio_pci.ko: kernel/legacy.ko kernel/virtio.ko kernel/ring.ko
kernel/virtio_blk.ko: kernel/virtio.ko kernel/ring.ko
kernel/virtio_net.ko: kernel/failover.ko kernel/virtio.ko kernel/ring.ko
"""


def test_modules_are_loaded_after_what_they_need_and_once() -> None:
    found = [Path(path).stem for path in kernel.needed(DEPENDENCIES)]
    assert found == [
        *("ring", "virtio", "legacy", "virtio_pci", "virtio_blk"),
        *("failover", "virtio_net"),
    ]


def test_the_initial_ram_disk_is_an_archive_that_cpio_takes(tmp_path: Path) -> None:
    # GIVEN another implementation
    cpio = shutil.which("cpio") or shutil.which("busybox")
    if cpio is None:
        cannot_run("neither cpio nor busybox is installed")
    reader = [cpio] if cpio.endswith("/cpio") else [cpio, "cpio"]
    # WHEN it unpacks what we packed, with names and contents of every length modulo four
    files = {"i" * n: b"x" * (7 * n) for n in range(1, 9)}
    packed = kernel.archive(files, folders=("dev", "root"))
    subprocess.run([*reader, "-i", "-d"], input=packed, cwd=tmp_path, check=True)
    # THEN all is there, and can be run
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == files
    assert all((tmp_path / name).stat().st_mode & 0o111 for name in files)
    assert (tmp_path / "dev").is_dir()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An ext4 file system of some megabytes."""
    tools = f"/usr/sbin:/sbin:{Path('/usr/bin')}"
    if not shutil.which("mkfs.ext4", path=tools) or not shutil.which("debugfs", path=tools):
        cannot_run("e2fsprogs is not installed")
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    kernel.run("mkfs.ext4", "-q", "-F", str(path))
    return path


def test_files_are_put_on_a_disk_that_is_off_and_read_from_it(disk: Path) -> None:
    # WHEN files are put there, one of them a second time
    qemu.write(disk, {"/etc/systemd/a.conf": "one\n", "/usr/bin/tool": b"\0two"}, mode=0o755)
    qemu.write(disk, {"/etc/systemd/a.conf": "three\n"})
    # THEN they are there, as they were put last; what is not there is empty
    assert qemu.read(disk, "/etc/systemd/a.conf") == "three\n"
    assert qemu.read(disk, "/nowhere") == ""
    listed = kernel.run("debugfs", "-R", "stat /usr/bin/tool", str(disk))
    assert "Mode:  0755" in listed
    assert "Type: regular" in listed
    assert sorted(p.name for p in disk.parent.iterdir()) == ["disk"]


def test_qemu_s_sockets_have_short_names_and_the_machine_is_one_of_ec2(tmp_path: Path) -> None:
    machine = Machine(
        instance_id="i-0123456789abcdef0",
        image=tmp_path,
        disk=Disk(tmp_path / ("long" * 40), tmp_path),
        cgroup=Cgroup("c"),
        endpoint_url="http://127.0.0.1:4566",
    )
    words = qemu.command(machine)
    assert not [word for word in words if "unix:" in word and "/" in word]
    (identity,) = [word for word in words if word.startswith("type=1,")]
    assert identity.endswith(",serial=ec200000-0000-0000-1234-56789abcdef0")
