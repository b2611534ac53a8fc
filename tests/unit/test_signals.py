"""Tests pass wherever they run: also in the background of a shell that ignores signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
IGNORED = (signal.SIGINT, signal.SIGHUP)
"""What a background shell and `nohup` ignore."""
SENDS = re.compile(r"send_signal\(|os\.kill(pg)?\(")


@pytest.fixture
def background() -> Iterator[None]:
    """This process as a background shell starts it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in IGNORED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("background", "heard_signals")
def test_signals_are_heard_by_this_process_and_its_children() -> None:
    code = "import signal; print(*(signal.getsignal(n) is signal.SIG_IGN for n in (1, 2)))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.split() == ["False", "False"]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_test_that_sends_such_a_signal_has_it_heard() -> None:
    names = [f"signal.{number.name}" for number in IGNORED]
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text()
        if path != Path(__file__) and SENDS.search(text) and any(name in text for name in names):
            assert "heard_signals" in text, f"{path} sends {' or '.join(names)}"
