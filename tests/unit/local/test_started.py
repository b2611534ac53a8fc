"""What a run has started is ended, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from local.started import Ledger, StartedProcess, marked_processes
from local.waiting import wait_until
from local.workplace import Workplace

WAIT = "import signal; signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True);"
    " signal.pause()"
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.begin(Workplace(tmp_path))
    yield ledger
    for process in marked_processes(ledger.started.mark):
        process.kill()


def start(ledger: Ledger, name: str, program: str) -> subprocess.Popen[bytes]:
    return ledger.spawn(name, [sys.executable, "-c", program], environment=dict(os.environ))


def test_a_process_is_noted_before_anything_else_and_ended_by_name(
    ledger: Ledger, tmp_path: Path
) -> None:
    # GIVEN a process that was started
    process = start(ledger, "one", WAIT)

    # WHEN somebody else reads the notes and ends it
    found = Ledger.load(Workplace(tmp_path))
    assert found is not None
    assert found.alive() == {"one": True}
    found.end("one", grace=10)

    # THEN it is gone
    assert process.poll() is not None
    assert found.alive() == {"one": False}


def test_a_process_that_ignores_sigterm_is_killed(ledger: Ledger, tmp_path: Path) -> None:
    process = start(ledger, "one", STUBBORN)
    log = tmp_path / "log" / "one.log"
    assert wait_until(lambda: "on" in log.read_text(), seconds=10)

    ledger.end("one", grace=0.2)

    assert process.poll() is not None


def test_a_process_id_that_somebody_else_has_now_is_left_alone(ledger: Ledger) -> None:
    # GIVEN a note of a process that ended, whose id another process has got
    stranger = subprocess.Popen([sys.executable, "-c", WAIT])
    note = StartedProcess(name="one", pid=stranger.pid, began=1.0)
    ledger.started = replace(ledger.started, processes=(note,))

    # WHEN it is ended by its name
    ledger.end("one", grace=0.1)

    # THEN the stranger lives
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_children_are_found_by_their_mark(ledger: Ledger) -> None:
    # GIVEN a process whose parent has ended
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WAIT!r}])"
    start(ledger, "parent", program).wait(timeout=20)
    assert wait_until(lambda: len(marked_processes(ledger.started.mark)) == 1, seconds=10)
    (orphan,) = marked_processes(ledger.started.mark)

    # WHEN what is left is ended
    ended = ledger.end_marked(grace=10)

    # THEN the orphan is among it
    assert len(ended) == 1
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
