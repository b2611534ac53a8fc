"""The standard streams of a command: whatever becomes of them never ends what was begun.

A pipe whose reader has gone, a full disk, a stream that was closed before the command began: what
is written is then lost, and nothing is raised. A character that the stream's encoding lacks is
replaced. So no verb has to think of it.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TextIO

REPLACING = "slipway-replacing"
"""The name of the error handler that `UnicodeEncodeError` is answered with."""
_ALIKE = {"→": "->", "…": "...", "·": "-", "×": "x", "–": "-", "—": "-", "✓": "+", "▶": ">"}
_READER_GONE = {errno.EPIPE, errno.EBADF, errno.EIO}
"""Losses that somebody else meant: `| head` has seen enough, a stream or a terminal was closed."""


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """What stands for the characters that an encoding lacks: something alike, or a `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_ALIKE.get(character, "?") for character in lacking), error.end


codecs.register_error(REPLACING, _replaced)


class _Raw(io.FileIO):
    """A file descriptor to write to; a loss is noted, not raised."""

    lost: OSError | None = None

    def write(self, data: object) -> int:
        """Write what fits, and wait where somebody made the stream non-blocking."""
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        while self.lost is None:
            try:
                written: int | None = super().write(data)  # type: ignore[arg-type]
                if written is not None:
                    return written
                select.select([], [self], [])
            except OSError as error:
                self.lost = error
        return size


@dataclass(frozen=True)
class Lasting:
    """Standard output while a command runs; `raw` is None for one that is no file (in a test)."""

    raw: _Raw | None

    def lost(self) -> OSError | None:
        """Why the output so far is not whole; None where its reader left on purpose."""
        error = self._failed()
        return None if error is None or error.errno in _READER_GONE else error

    def reader_gone(self) -> bool:
        """Nobody reads it any more."""
        error = self._failed()
        return error is not None and error.errno in _READER_GONE

    def _failed(self) -> OSError | None:
        if self.raw is None:
            return None
        sys.stdout.flush()
        return self.raw.lost


_current = Lasting(None)


def reader_gone() -> bool:
    """Whether the reader of standard output has left: what only answers may end then."""
    return _current.reader_gone()


@contextmanager
def lasting_streams() -> Iterator[Lasting]:
    """Standard output and error that cannot fail, for the time of a command."""
    global _current  # noqa: PLW0603 - the process has one standard output
    _open_missing()
    before = sys.stdin, sys.stdout, sys.stderr, _current
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout, out = _lasting(sys.stdout, 1)
    sys.stderr, _ = _lasting(sys.stderr, 2)
    _current = Lasting(out)
    try:
        yield _current
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # somebody else's stream, or one that is closed
                stream.flush()
        sys.stdin, sys.stdout, sys.stderr, _current = before


def _open_missing() -> None:
    """Open what was closed (`>&-`), or the next file or connection would be standard output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def _lasting(stream: TextIO | None, number: int) -> tuple[TextIO, _Raw | None]:
    if stream is not None and not _is_file(stream, number):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=REPLACING)
        return stream, None
    raw = _Raw(number, "w", closefd=False)
    made = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors=REPLACING,
        line_buffering=getattr(stream, "line_buffering", True),
        write_through=getattr(stream, "write_through", False),
    )
    return made, raw


def _is_file(stream: TextIO, number: int) -> bool:
    """Whether the stream is the process's own; Windows' console is no file."""
    if os.name == "nt" and stream.isatty():
        return False
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False
