"""The image that machines boot from: Debian packages and a few files, made once and kept.

It stands in for Amazon Linux 2023: the same version of systemd, cloud-init, docker, and stand-ins
for what only Amazon Linux has, each a file below `files/`. It lies in
`.make/machine/<fingerprint>/`; another list of packages or another file makes another one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from local.commands import last_line
from local.started import Ledger
from local.workplace import REPOSITORY, Workplace
from slipway.contracts.errors import WorldFailed

CACHE = REPOSITORY / ".make" / "machine"
HERE = Path(__file__).resolve().parent
CUSTOMIZE = HERE / "customize.sh"
FILES = HERE / "files"
MAKE_SECONDS = 900.0

SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "cloud-init", "procps"),
    *("python3", "awscli", "docker.io", "iptables", "ca-certificates", "curl"),
)
LEFT_OUT = (
    *("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*"),
    "/usr/lib/python3/dist-packages/awscli/examples/*",
)


def command(target: Path, packages: tuple[str, ...]) -> list[str]:
    """What makes an image of these packages in the folder `target`; its packages are Debian's."""
    return [
        # What it mounts, and whatever it starts, ends with it, however that ends.
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
        *("mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory"),
        f"--include={','.join(packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        f"--customize-hook={CUSTOMIZE}",
        *(SUITE, str(target)),
    ]


def fingerprint() -> str:
    """Of all that an image is made from."""
    digest = hashlib.sha256(
        "\0".join(command(Path("image"), PACKAGES)).replace(str(HERE), "").encode()
    )
    for path in (CUSTOMIZE, *sorted(FILES.rglob("*"))):
        if path.is_file():
            run = "x" if os.access(path, os.X_OK) else "-"
            digest.update(f"\0{path.relative_to(HERE)}\0{run}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def provide(workplace: Workplace, ledger: Ledger, cache: Path = CACHE) -> Path:
    """The image's folder, made if need be (a minute); WorldFailed says why it cannot be had."""
    image = cache / fingerprint()
    with _alone(cache):
        if not image.exists():
            _clear(cache)
            making = cache / f"{image.name}.incoming"
            _make(workplace, ledger, making)
            making.rename(image)
    return image


def in_use(image: Path) -> IO[str]:
    """Keep the image from being cleared away while the answer is open."""
    handle = _lock_of(image).open("w")
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def _make(workplace: Workplace, ledger: Ledger, target: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    making = ledger.spawn("machine-image", command(target, PACKAGES), environment=environment)
    if making.wait(timeout=MAKE_SECONDS) != 0:
        log = workplace.log_dir / "machine-image.log"
        raise WorldFailed(f"the machine's image cannot be made: {last_line(log)} (see {log})")


def _clear(cache: Path) -> None:
    """Remove images of other times, and what an interrupted making left; what is in use stays."""
    for found in cache.iterdir():
        if not found.is_dir():
            continue
        with _lock_of(found).open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            shutil.rmtree(found)
            _lock_of(found).unlink()


def _lock_of(image: Path) -> Path:
    return image.with_name(f"{image.name}.lock")


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
