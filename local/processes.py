"""Processes that play a host: what their supervisor needs of them, and how they are ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from typing import Protocol

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class HostProcess(Protocol):
    """What is needed of `subprocess.Popen`: an agent, or the keeper of a machine."""

    pid: int

    def poll(self) -> int | None: ...


def send_to_group(process: HostProcess, number: int) -> None:
    """systemd's KillMode=mixed: SIGTERM to the process alone, SIGKILL to all that it started."""
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)


def die_with_parent() -> None:
    """SIGKILL to this process when the thread that made it ends: for a `preexec_fn`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
