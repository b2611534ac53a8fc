"""Whether machines can run here; what is missing is installed, as Docker is.

python -m local.machine.possible DIRECTORY      tries it out, below that folder
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from local.commands import can_install, install
from local.interfaces import bring_loopback_up
from local.machine import cgroup
from local.machine.namespaces import enter_new_ones, mount_overlay
from local.workplace import REPOSITORY, Workplace
from slipway.contracts.errors import WorldFailed

TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container"}
"""Program to the Debian package that brings it."""
WHAT_TO_DO = "a machine needs root on Debian or Ubuntu; without --machine a process plays the host"


def obstacle(workplace: Workplace) -> str | None:
    """Why no machine can run here, in one sentence; None where one can, nothing being installed."""
    if os.geteuid() != 0:
        return "only root can start a machine"
    missing = [program for program in TOOLS if not shutil.which(program)]
    if missing and not can_install():
        return f"{', '.join(missing)} is missing, and apt-get is not there to install it"
    if cgroup.hierarchy() is None:
        return "cgroup v2 is not mounted"
    return _refused(workplace)


def prepare(workplace: Workplace) -> None:
    """Install what is missing; WorldFailed says why no machine can run here."""
    found = obstacle(workplace)
    if found is not None:
        raise WorldFailed(f"no machine can run here: {found}; {WHAT_TO_DO}")
    missing = [package for program, package in TOOLS.items() if not shutil.which(program)]
    if missing:
        install(missing, otherwise=WHAT_TO_DO)


def _refused(workplace: Workplace) -> str | None:
    """What the kernel says to namespaces, and to an overlay where the disks will be."""
    workplace.directory.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(workplace.directory)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stderr.strip() or "it was tried, and failed"


def _try(directory: Path) -> int:
    with tempfile.TemporaryDirectory(dir=directory) as made:
        places = [Path(made, name) for name in ("lower", "upper", "work", "target")]
        for place in places:
            place.mkdir()
        lower, upper, work, target = places
        try:
            enter_new_ones()
            bring_loopback_up()
            mount_overlay(lower, upper=upper, work=work, target=target)
            (target / "file").touch()
        except (WorldFailed, OSError) as error:
            print(error, file=sys.stderr)
            return WorldFailed.exit_code
        finally:
            subprocess.run(["umount", "--lazy", str(target)], capture_output=True, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(_try(Path(sys.argv[1])))
