"""A machine's image as a disk for a kernel of its own: what QEMU boots.

From the folder that `image` makes with some more packages: an ext4 file system in a file,
Debian's kernel, and an initial RAM disk that loads what disk and network need and goes on to
systemd.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from local.commands import install, last_line, quietly, tail
from local.docker import provide_busybox
from local.machine import image
from local.started import Ledger
from local.workplace import REPOSITORY, Workplace
from slipway.contracts.errors import WorldFailed

CACHE = REPOSITORY / ".make" / "machine-qemu"
PACKAGES = (*image.PACKAGES, "udev", "kmod", "linux-image-cloud-amd64", "qemu-guest-agent")
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "mkfs.ext4": "e2fsprogs", "debugfs": "e2fsprogs"}
"""Program to the Debian package that brings it."""
WHAT_TO_DO = "`make machine` needs root on Debian or Ubuntu"
DISK, KERNEL, INITRD = "disk", "vmlinuz", "initrd"
DISK_BYTES = 6 << 30
"""Apparent; the file is sparse."""
MODULES = ("virtio_pci", "virtio_blk", "virtio_net")
ADDRESS, OUTSIDE = "10.0.2.15/24", "10.0.2.2"
"""QEMU's user network: the machine, and the loopback of who runs it."""
INIT = f"""#!/busybox sh
/busybox mount -t devtmpfs devices /dev
for module in @modules@; do /busybox insmod "/$module"; done
until [ -b /dev/vda ]; do /busybox sleep 0.1; done
/busybox ip address add {ADDRESS} dev eth0
/busybox ip link set eth0 up
/busybox ip route add default via {OUTSIDE}
/busybox mount -t ext4 /dev/vda /root
/busybox mount --move /dev /root/dev
exec /busybox switch_root /root /sbin/init
"""


def prepare() -> None:
    """Install what is missing; WorldFailed says why no such machine can run here."""
    missing = sorted({package for tool, package in TOOLS.items() if not _found(tool)})
    if missing:
        install(missing, otherwise=WHAT_TO_DO)


def provide(workplace: Workplace, ledger: Ledger) -> Path:
    """The folder with disk, kernel and initial RAM disk, made if need be (some minutes)."""
    made = CACHE / fingerprint()
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not made.exists():
            for old in (path for path in CACHE.iterdir() if path.is_dir()):
                shutil.rmtree(old)
            _make(workplace, ledger, CACHE / "incoming")
            (CACHE / "incoming").rename(made)
    return made


def fingerprint() -> str:
    """Of all that it is made from."""
    own = "\0".join((*PACKAGES, *MODULES, INIT))
    return f"{image.fingerprint()}-{hashlib.sha256(own.encode()).hexdigest()[:8]}"


def is_made_by_this(folder: Path) -> bool:
    """Whether an image is one that needs QEMU."""
    return (folder / KERNEL).exists()


def _make(workplace: Workplace, ledger: Ledger, target: Path) -> None:
    root = target / "root"
    target.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    making = ledger.spawn("machine-image", image.command(root, PACKAGES), environment=environment)
    if making.wait(timeout=image.MAKE_SECONDS) != 0:
        log = workplace.log_dir / "machine-image.log"
        raise WorldFailed(f"the machine's image cannot be made: {last_line(log)} (see {log})")
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    version = kernel.name.removeprefix("vmlinuz-")
    shutil.copyfile(kernel, target / KERNEL)
    (target / INITRD).write_bytes(gzip.compress(_initrd(root / "lib/modules" / version), 1))
    with (target / DISK).open("wb") as file:
        file.truncate(DISK_BYTES)
    run("mkfs.ext4", "-q", "-F", "-d", str(root), str(target / DISK))
    shutil.rmtree(root)


def _initrd(modules: Path) -> bytes:
    files = {"busybox": provide_busybox().read_bytes()}
    paths = needed((modules / "modules.dep").read_text(encoding="ascii"))
    names = [Path(path).name for path in paths]
    files |= {Path(path).name: (modules / path).read_bytes() for path in paths}
    files["init"] = INIT.replace("@modules@", " ".join(names)).encode()
    return archive(files, folders=("dev", "root"))


def needed(dependencies: str) -> list[str]:
    """The files of MODULES and of what they need, each after what it needs itself."""
    lines = dict(line.split(":") for line in dependencies.splitlines())
    by_name = {Path(path).name.partition(".")[0]: path for path in lines}
    found: list[str] = []
    for name in MODULES:
        path = by_name[name]
        # modules.dep names the last one needed first.
        found += [p for p in (*reversed(lines[path].split()), path) if p not in found]
    return found


def archive(files: dict[str, bytes], folders: Iterable[str]) -> bytes:
    """A cpio archive as the kernel unpacks it (its buffer-format.rst, 'newc'); all can run."""
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in folders]
    entries += [(name, stat.S_IFREG | 0o755, content) for name, content in files.items()]
    packed = b""
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        packed += _padded(head) + _padded(content)
    return packed


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _found(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def run(tool: str, *arguments: str) -> str:
    """What one of TOOLS printed; WorldFailed with its complaint."""
    done = quietly([_found(tool) or tool, *arguments], os.environ)
    if done.returncode != 0:
        raise WorldFailed(f"{tool} failed: {tail(done.stderr)}")
    return done.stdout
