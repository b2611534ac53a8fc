"""The process runner: whole, bounded, stopped, and nothing left behind."""

from __future__ import annotations

import resource
import sys
import threading
import time
from pathlib import Path

import pytest

from build_agent.host import process
from build_agent.host.process import CONTINUED, LINE_LIMIT, TAIL_LINES, TimedOut, run, whole_lines
from build_agent.host.stop import Interrupted, Stop
from slipway.contracts.errors import WorldFailed


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_output_comes_line_by_line_and_the_code_is_an_answer() -> None:
    lines: list[str] = []
    text = "import sys; print('a'); print('b\\r'); sys.stderr.write('c'); sys.exit(3)"
    ended = run(python(text), timeout=10, stop=Stop(), sink=lines.append)
    assert (ended.returncode, ended.ok) == (3, False)
    assert sorted(lines) == ["a", "b", "c"]
    assert ended.output == "a\nb\r\n"


def test_input_and_environment_are_what_was_given() -> None:
    text = "import os, sys; print(sys.stdin.read(), dict(os.environ).get('X'), len(os.environ))"
    ended = run(python(text), timeout=10, stop=Stop(), text="secret", env={"X": "1"})
    assert ended.output.startswith("secret 1")


def test_arguments_are_never_a_shells() -> None:
    ended = run(["echo", "$(touch /x)", ";", "`id`"], timeout=10, stop=Stop())
    assert ended.output == "$(touch /x) ; `id`\n"


def test_a_hundred_megabytes_without_a_line_end_need_no_memory() -> None:
    # GIVEN 100 MB on one line and a million short ones
    text = (
        "import sys; [sys.stdout.write('x' * 1000000) for _ in range(100)];"
        "print(); print('y\\n' * 1000000, end='')"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    longest = 0

    def sink(line: str) -> None:
        nonlocal longest
        longest = max(longest, len(line))

    ended = run(python(text), timeout=120, stop=Stop(), sink=sink)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # THEN lines come in pieces, the tail is short, and memory stays flat
    assert longest == LINE_LIMIT + len(CONTINUED)
    assert ended.tail == ("y",) * TAIL_LINES
    assert grown < 60_000  # KiB


@pytest.mark.parametrize("pause", [0, 0.3])
def test_a_piece_of_a_long_line_is_not_taken_for_a_line(pause: float) -> None:
    # GIVEN a line whose second piece would read as one of the command's own
    parts = f"'#1 ' + 'x' * {LINE_LIMIT - 3}", "'ERROR: full\\nnext\\n'"
    text = f"import sys, time; w = sys.stderr.write; w({parts[0]}); sys.stderr.flush();"
    ended = run(python(f"{text} time.sleep({pause}); w({parts[1]})"), timeout=10, stop=Stop())
    # THEN it is told as the rest of a line, and the line can be had again
    assert ended.tail[1:] == (f"{CONTINUED}ERROR: full", "next")
    assert whole_lines(ended.tail)[0].endswith("xERROR: full")


def test_a_command_that_does_not_end_is_ended_with_all_it_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "_GRACE", 0.5)
    # GIVEN a command that ignores SIGTERM and has started another
    pids: list[int] = []
    text = (
        "import os, signal, subprocess, sys, time;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True);"
        "print(os.getpid(), flush=True); time.sleep(60)"
    )
    began = time.monotonic()
    with pytest.raises(TimedOut, match=r"within 1 s") as error:
        run(python(text), timeout=1, stop=Stop(), sink=lambda line: pids.append(int(line)))
    assert time.monotonic() - began < 20
    assert len(error.value.tail) == 2
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def test_a_stop_ends_the_command_at_once() -> None:
    stop = Stop()
    threading.Timer(0.3, lambda: stop.request("SIGTERM")).start()
    began = time.monotonic()
    with pytest.raises(Interrupted, match="SIGTERM"):
        run(["sleep", "60"], timeout=60, stop=stop)
    assert time.monotonic() - began < 5


def test_a_stray_child_that_holds_the_pipes_is_not_awaited() -> None:
    text = "import subprocess; subprocess.Popen(['sleep', '60']); print('done')"
    began = time.monotonic()
    ended = run(python(text), timeout=30, stop=Stop())
    assert ended.ok
    assert time.monotonic() - began < 10


def test_a_command_that_closes_its_output_is_still_awaited() -> None:
    text = "import os, time; os.close(1); os.close(2); time.sleep(0.5)"
    began = time.monotonic()
    assert run(python(text), timeout=30, stop=Stop()).ok
    assert time.monotonic() - began > 0.4


def test_a_program_that_is_not_there_is_the_worlds_fault() -> None:
    with pytest.raises(WorldFailed, match="cannot run /no/such"):
        run(["/no/such"], timeout=1, stop=Stop())
    with pytest.raises(WorldFailed, match="cannot run"):
        run(["echo", "nul\0byte"], timeout=1, stop=Stop())


def test_a_command_that_closed_its_output_is_looked_at_soon_then_seldom() -> None:
    # GIVEN a command that lives on after its output is closed, and a note of each pause
    pauses: list[float] = []

    class Noting(Stop):
        def wait(self, seconds: float) -> bool:
            pauses.append(seconds)
            return super().wait(seconds)

    text = "import os, time; os.close(1); os.close(2); time.sleep(0.5)"
    # WHEN it is run to its end
    ended = run(python(text), timeout=10, stop=Noting())
    # THEN the first look came after a millisecond: most commands are gone by then
    assert ended.ok
    assert pauses[0] == 0.001
    assert pauses == sorted(pauses)
    assert max(pauses) <= 0.2
