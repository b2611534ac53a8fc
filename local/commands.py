"""Programs of this machine that the local run calls, quietly, and installs if need be."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.contracts.errors import WorldFailed


def quietly(
    command: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run to the end with the output kept; a program that is missing is exit code 127."""
    try:
        return subprocess.run(
            list(command), env=dict(environment), capture_output=True, text=True, check=False
        )
    except OSError as error:
        return subprocess.CompletedProcess(list(command), 127, "", str(error))


def can_install() -> bool:
    """Whether this is root on Debian or Ubuntu."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[str], *, otherwise: str) -> None:
    """apt-get install, as root on Debian or Ubuntu; elsewhere WorldFailed says what to do."""
    if not can_install():
        raise WorldFailed(
            f"{', '.join(packages)} is missing and cannot be installed here: {otherwise}"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (
        ["update", "-qq"],
        ["install", "-qq", "--yes", "--no-install-recommends", *packages],
    ):
        done = quietly(["apt-get", *arguments], environment)
        if done.returncode != 0:
            raise WorldFailed(f"apt-get {arguments[0]} failed: {tail(done.stderr)}")


def tail(text: str) -> str:
    """The last line that says something, for an error's text."""
    lines = [line for line in text.strip().splitlines() if line]
    return lines[-1] if lines else "no output"


def last_line(log: Path) -> str:
    """The last line of a log, for an error's text."""
    with contextlib.suppress(OSError):
        return tail(log.read_text(encoding="utf-8", errors="replace"))
    return "no log"
