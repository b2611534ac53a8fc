"""A Lambda's process runs for milliseconds at a time, until it is killed at a chosen moment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

from local.started import Ledger
from local.workplace import Workplace

SLICE = 0.004
"""Seconds for which it runs between two looks at the world."""
NEW_WORKERS_EVERY = 0.2
"""Seconds; a process needs longer to start than that."""


def emulator_of(workplace: Workplace) -> int:
    """The process that runs the functions' processes."""
    ledger = Ledger.load(workplace)
    assert ledger is not None
    return next(note.pid for note in ledger.started.processes if note.name == "emulator")


def workers_of(workplace: Workplace, *functions: str) -> list[psutil.Process]:
    """The emulator's processes for these functions, called as in `names.function`."""
    beginning = f"{workplace.emulator_dir}/tmp/ministack-lambda-slipway-"
    marks = tuple(f"{beginning}{function}-" for function in functions)
    found = []
    for process in psutil.Process(emulator_of(workplace)).children():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(word.startswith(marks) for word in process.cmdline()):
                found.append(process)
    return found


def kill_when(
    workplace: Workplace, functions: Sequence[str], moment: Callable[[], bool], seconds: float
) -> bool:
    """SIGKILL to the functions' processes while `moment` holds; False: it did not hold.

    They stand still while `moment` is asked, so it holds when they die. `seconds`: how long to try.
    """
    workers: list[psutil.Process] = []
    looked, deadline = 0.0, time.monotonic() + seconds
    while (now := time.monotonic()) < deadline:
        if now - looked > NEW_WORKERS_EVERY:
            workers, looked = workers_of(workplace, *functions), now
        if _caught(workers, moment):
            return True
        time.sleep(SLICE)
    return False


def _caught(workers: list[psutil.Process], moment: Callable[[], bool]) -> bool:
    held = [worker.pid for worker in workers if _send(worker.pid, signal.SIGSTOP)]
    last = signal.SIGCONT
    try:
        if held and moment():
            last = signal.SIGKILL
    finally:
        for pid in held:
            _send(pid, last)
    return last == signal.SIGKILL


def _send(pid: int, number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
