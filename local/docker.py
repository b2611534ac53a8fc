"""Docker for the local run: the machine's daemon if one answers, else a private one of ours.

A private daemon has its own bridge, and no packet filter rules: two daemons that both manage the
machine's rules and `docker0` break each other. Containers are reached at their own addresses.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.commands import install, last_line, quietly
from local.interfaces import make_bridge, remove_bridge
from local.started import Ledger
from local.waiting import wait_until
from local.workplace import Workplace
from slipway.contracts.errors import WorldFailed

MACHINE_DOCKER = "unix:///var/run/docker.sock"
SAMPLE_BUSYBOX = Path("/bin/busybox")
START_SECONDS = 60.0
DAEMON_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/sbin")
WHAT_TO_DO = (
    "start Docker (`docker info` must answer), or run as root on Debian or Ubuntu, where it is"
    " installed with apt"
)


@dataclass(frozen=True)
class Docker:
    """A daemon and a client that can build with BuildKit there."""

    host: str
    client: str
    private: bool

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` with this daemon, and this client first on PATH."""
        return {
            **base,
            "DOCKER_HOST": self.host,
            "DOCKER_BUILDKIT": "1",
            "PATH": os.pathsep.join((str(Path(self.client).parent), base.get("PATH", os.defpath))),
        }

    def run(self, *arguments: str) -> str:
        """What `docker ARGUMENTS` printed; WorldFailed with its complaint if it failed."""
        done = quietly([self.client, *arguments], self.environment(os.environ))
        if done.returncode != 0:
            raise WorldFailed(f"docker {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout


def provide(workplace: Workplace, ledger: Ledger) -> Docker:
    """A daemon that answers, installed and started if need be; WorldFailed says what to do."""
    machine = os.environ.get("DOCKER_HOST", MACHINE_DOCKER)
    client, daemon = building_client(), _daemon_binary()
    if client and _answers(client, machine):
        return _machines_own(ledger, machine, client)
    if client is None or daemon is None:
        install(["docker.io"], otherwise=WHAT_TO_DO)
        client, daemon = building_client(), _daemon_binary()
        if client and _answers(client, machine):  # where systemd runs, installing it starts it
            return _machines_own(ledger, machine, client)
    if client is None or daemon is None:
        raise WorldFailed(f"no Docker daemon answers and none can be started: {WHAT_TO_DO}")
    if os.geteuid() != 0:
        raise WorldFailed(f"no Docker daemon answers, and only root can start one: {WHAT_TO_DO}")
    return _start_private(workplace, ledger, client, daemon)


def provide_busybox() -> Path:
    """A static busybox, from which the sample application is made, installed if need be."""
    for candidate in (shutil.which("busybox"), str(SAMPLE_BUSYBOX)):
        if candidate and _is_static(Path(candidate)):
            return Path(candidate).resolve()
    install(["busybox-static"], otherwise=WHAT_TO_DO)
    found = shutil.which("busybox")
    if not found or not _is_static(Path(found)):
        raise WorldFailed("no static busybox for the sample application: install busybox-static")
    return Path(found).resolve()


def building_client() -> str | None:
    """A docker client that can use BuildKit: one with buildx, or an older one that needs none.

    From version 23 on BuildKit is a plugin; a client without it builds with the old builder only.
    """
    for directory in os.get_exec_path():
        candidate = Path(directory) / "docker"
        if candidate.is_file() and os.access(candidate, os.X_OK) and _can_build(str(candidate)):
            return str(candidate)
    return None


def stop_private(ledger: Ledger) -> None:
    """End the private daemon with everything in it: containers, shims, mounts, bridge."""
    ledger.end("dockerd", grace=40.0)  # it gives each container 10 s to stop
    for directory in ledger.started.directories:
        _unmount(Path(directory))
    if ledger.started.bridge:
        remove_bridge(ledger.started.bridge)


def remove_containers(docker: Docker, label: str) -> None:
    """Remove the containers (running or not) that bear the label, and their volumes."""
    ids = docker.run("ps", "--all", "--quiet", "--filter", f"label={label}").split()
    if ids:
        docker.run("rm", "--force", "--volumes", *ids)


def remove_images(docker: Docker, registry: str) -> None:
    """Remove the images whose name begins with `registry` (host:port of a local registry)."""
    listed = docker.run("images", "--format", "{{.Repository}} {{.ID}}").splitlines()
    ids = {line.split()[1] for line in listed if line.startswith(f"{registry}/")}
    if ids:
        docker.run("rmi", "--force", *sorted(ids))


def _machines_own(ledger: Ledger, host: str, client: str) -> Docker:
    ledger.note(docker_host=host, docker_client=client, private_docker=False)
    return Docker(host, client, private=False)


# --- the private daemon


def _start_private(workplace: Workplace, ledger: Ledger, client: str, daemon: str) -> Docker:
    # A unix socket's path has at most 107 characters, so sockets do not go below the workplace.
    runtime = Path(tempfile.mkdtemp(prefix="slipway-", dir="/tmp"))
    ledger.note_directory(runtime)
    bridge = f"slip{runtime.name[-8:]}".replace("_", "x")
    ledger.note(bridge=bridge)
    make_bridge(bridge)
    host = f"unix://{runtime}/docker.sock"
    data = workplace.docker_dir
    data.mkdir(parents=True, exist_ok=True)
    ledger.note_directory(data)
    process = ledger.spawn(
        "dockerd",
        [
            daemon,
            *("--host", host),
            *("--data-root", str(data)),
            *("--exec-root", f"{runtime}/exec"),
            *("--pidfile", f"{runtime}/docker.pid"),
            *("--bridge", bridge),
            "--iptables=false",
            "--ip6tables=false",
            "--ip-masq=false",
        ],
        environment={**os.environ, "PATH": _path_with_sbin()},
    )
    ledger.note(docker_host=host, docker_client=client, private_docker=True)
    started = wait_until(
        lambda: process.poll() is not None or _answers(client, host), seconds=START_SECONDS
    )
    if not started or process.poll() is not None:
        log = workplace.log_dir / "dockerd.log"
        raise WorldFailed(f"the private Docker daemon does not start: {last_line(log)} ({log})")
    return Docker(host, client, private=True)


def _daemon_binary() -> str | None:
    return shutil.which("dockerd", path=_path_with_sbin())


def _path_with_sbin() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *DAEMON_DIRECTORIES))


def _answers(client: str, host: str) -> bool:
    environment = {**os.environ, "DOCKER_HOST": host}
    return quietly([client, "info", "--format", "{{.ID}}"], environment).returncode == 0


def _can_build(client: str) -> bool:
    version = quietly([client, "--version"], os.environ).stdout  # "Docker version 20.10.24+…, …"
    words = version.split()
    major = words[2].split(".")[0] if len(words) > 2 else ""
    if major.isdigit() and int(major) < 23:
        return True
    return quietly([client, "buildx", "version"], os.environ).returncode == 0


def _is_static(binary: Path) -> bool:
    """Whether an ELF program needs no loader: it has no program header of type PT_INTERP (3)."""
    try:
        data = binary.read_bytes()
    except OSError:
        return False
    if data[:5] != b"\x7fELF\x02":  # 64-bit
        return False
    offset, size, count = (
        struct.unpack_from("<Q", data, 32)[0],
        *struct.unpack_from("<HH", data, 54),
    )
    return all(struct.unpack_from("<I", data, offset + size * i)[0] != 3 for i in range(count))


def _unmount(directory: Path) -> None:
    """Take away mounts that a killed daemon left there and below, innermost first."""
    mounts = [
        line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    ]
    for mount in sorted(mounts, key=len, reverse=True):
        if f"{mount}/".startswith(f"{directory}/"):
            quietly(["umount", "--lazy", mount], os.environ)
