"""The one way to run a command: an argument list, a time limit, a bounded memory, a stop.

No shell. Output is handed on line by line as it comes; of it only the last lines are kept, and
(on request) the beginning of standard output. However the command ends, its process group ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from build_agent.host.stop import Interrupted, Stop
from slipway.contracts.errors import WorldFailed

Sink = Callable[[str], None]
"""Takes one line of output, without its end."""

TAIL_LINES = 80
LINE_LIMIT = 4096
"""Bytes of a line; a longer one is handed on in pieces."""
CONTINUED = "… "
"""Begins each further piece: no piece can be taken for a line that the command began."""
OUTPUT_LIMIT = 1 << 20
"""Bytes of standard output that `Finished.output` holds."""
_LOOK_EVERY = 0.2
_FIRST_LOOK = 0.001
_GRACE = 5.0
_CHUNK = 65536
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


class TimedOut(WorldFailed):
    """The command did not end in time; `tail` holds its last lines, oldest first."""

    def __init__(self, text: str, tail: tuple[str, ...]) -> None:
        super().__init__(text)
        self.tail = tail


@dataclass(frozen=True)
class Finished:
    """A command that ended. `tail`: last lines of both outputs; `output`: standard output."""

    returncode: int
    tail: tuple[str, ...]
    output: str

    @property
    def ok(self) -> bool:
        return self.returncode == 0

    @property
    def last_line(self) -> str:
        """What it said in the end, at most 300 characters."""
        lines = [line for line in self.tail if line.strip()] or ["no output"]
        return lines[-1][:300]


class Runner(Protocol):
    """What `run` is; a test puts a scripted one in its place."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        timeout: float,
        stop: Stop,
        sink: Sink | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        text: str | None = None,
    ) -> Finished: ...


def run(
    command: Sequence[str],
    *,
    timeout: float,
    stop: Stop,
    sink: Sink | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str | None = None,
) -> Finished:
    """Run `command` to its end. `timeout` in seconds; `text` goes to its standard input.

    Raises Interrupted when told to stop, TimedOut after `timeout`, WorldFailed if it cannot be
    started. A command that fails is an answer, not an error.
    """
    stop.check()
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, prepared beforehand
        )
    except (OSError, ValueError) as error:
        raise WorldFailed(f"cannot run {command[0]}: {error}") from None
    lines = _Lines(sink)
    try:
        _give_input(process, text)
        _follow(process, lines, timeout, stop, command[0])
    finally:
        _end_group(process)
    return Finished(process.returncode, lines.tail, lines.output)


def whole_lines(pieces: Sequence[str]) -> list[str]:
    """The lines that `pieces` were cut from; the first may lack its beginning."""
    lines: list[str] = []
    for piece in pieces:
        if lines and piece.startswith(CONTINUED):
            lines[-1] += piece.removeprefix(CONTINUED)
        else:
            lines.append(piece)
    return lines


def _die_with_parent() -> None:
    """An agent that is killed leaves no git and no docker client behind (see prctl(2))."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Lines:
    """Splits two streams into lines; keeps a bounded tail and the beginning of the first."""

    def __init__(self, sink: Sink | None) -> None:
        self._sink = sink
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._rest: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._within: set[str] = set()
        self._output = bytearray()

    @property
    def tail(self) -> tuple[str, ...]:
        return tuple(self._tail)

    @property
    def output(self) -> str:
        return self._output.decode("utf-8", "replace")

    def feed(self, stream: str, data: bytes) -> None:
        if stream == "stdout" and len(self._output) < OUTPUT_LIMIT:
            self._output += data[: OUTPUT_LIMIT - len(self._output)]
        *whole, rest = (self._rest[stream] + data).split(b"\n")
        for line in whole:
            self._emit(stream, line)
            self._within.discard(stream)
        while len(rest) > LINE_LIMIT:
            self._emit(stream, rest[:LINE_LIMIT])
            self._within.add(stream)
            rest = rest[LINE_LIMIT:]
        self._rest[stream] = rest

    def end(self, stream: str) -> None:
        rest, self._rest[stream] = self._rest[stream], b""
        if rest:
            self._emit(stream, rest)

    def _emit(self, stream: str, line: bytes) -> None:
        # A line is sliced first: decoding 100 MB without a newline must not need 100 MB.
        for start in range(0, max(len(line), 1), LINE_LIMIT):
            piece = line[start : start + LINE_LIMIT].decode("utf-8", "replace").rstrip("\r")
            if start or stream in self._within:
                piece = CONTINUED + piece
            self._tail.append(piece)
            if self._sink is not None:
                self._sink(piece)


def _give_input(process: subprocess.Popen[bytes], text: str | None) -> None:
    if process.stdin is None:
        return
    # Small inputs only (a password): they fit the pipe, so that this cannot block.
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write((text or "").encode())


def _follow(
    process: subprocess.Popen[bytes], lines: _Lines, timeout: float, stop: Stop, name: str
) -> None:
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for stream, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            assert pipe is not None  # noqa: S101 - opened above
            selector.register(pipe, selectors.EVENT_READ, stream)
        ended_at: float | None = None
        while selector.get_map():
            for key, _ in selector.select(_LOOK_EVERY):
                _read(selector, key, lines)
            if stop.requested:
                raise Interrupted(stop.reason)
            now = time.monotonic()
            if now > deadline:
                raise TimedOut(f"{name} did not end within {timeout:g} s", lines.tail)
            if process.poll() is not None:
                # Whoever else still holds the pipes is a stray child: its output is not awaited.
                ended_at = ended_at or now
                if now - ended_at > 1.0:
                    break
    pause = _FIRST_LOOK
    while process.poll() is None:
        # Its pipes are closed a moment before it has ended: look soon, then more and more seldom.
        if stop.wait(pause):
            raise Interrupted(stop.reason)
        if time.monotonic() > deadline:
            raise TimedOut(f"{name} did not end within {timeout:g} s", lines.tail)
        pause = min(2 * pause, _LOOK_EVERY)


def _read(selector: selectors.BaseSelector, key: selectors.SelectorKey, lines: _Lines) -> None:
    pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]
    data = os.read(pipe.fileno(), _CHUNK)
    if data:
        lines.feed(key.data, data)
        return
    lines.end(key.data)
    selector.unregister(pipe)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the process group to end, then make it; nothing that was started stays."""
    if process.poll() is None:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
