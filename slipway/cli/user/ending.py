"""How a command is ended from outside: Control-C, SIGTERM (a CI job is cancelled), SIGHUP.

All three raise `Ended` where the command is, so that whatever it holds is given back on the way
out. Only the first one counts: a CI service sends several, and a second one must not break off
what the first one made the command put right. What is ignored from the start (`nohup`) stays so.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Ended(KeyboardInterrupt):
    """Somebody wants the command to end; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def going_on(told: Callable[[], str]) -> Iterator[None]:
    """Where a command is ended in here, `told()` says what goes on without it ('' for nothing)."""
    try:
        yield
    except KeyboardInterrupt as error:
        if not goes_on(error):
            error.goes_on = told()  # type: ignore[attr-defined]
        raise


def goes_on(error: KeyboardInterrupt) -> str:
    """What goes on without the command that was ended; '' for nothing."""
    return str(getattr(error, "goes_on", ""))


def interrupted(error: KeyboardInterrupt) -> str:
    """`interrupted: web:8 goes on …`."""
    return f"interrupted: {goes_on(error)}" if goes_on(error) else "interrupted"


def exit_code(error: KeyboardInterrupt) -> int:
    """As a shell tells it: 128 and the signal's number."""
    return 128 + int(getattr(error, "number", signal.SIGINT))


AT_ONCE = 1.0
"""Seconds in which several signals are one: a terminal and a CI service may both send it."""


class _Ending:
    """What the process knows of being ended."""

    def __init__(self) -> None:
        self.protected = 0
        self.asked: int | None = None
        self._raised_at: float | None = None

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The signals' handler. One that comes on the way out raises again, but not at once."""
        if self.asked is None:
            self.asked = number
        if self._raised_at is None or time.monotonic() - self._raised_at > AT_ONCE:
            self.check()

    def check(self) -> None:
        """Raise Ended if somebody asked for the end, and nothing is in hand that must be whole."""
        if self.asked is not None and not self.protected:
            self._raised_at = time.monotonic()
            raise Ended(self.asked)

    def check_late(self) -> None:
        """The same for a signal that came while something was in hand."""
        if self._raised_at is None:
            self.check()


_ending = _Ending()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let the three signals raise `Ended` for the time of a command."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _numbers()}
    heard = {n: h for n, h in before.items() if h is not None and h is not signal.SIG_IGN}
    _ending.__init__()  # type: ignore[misc]
    for number in heard:
        signal.signal(number, _ending.handle)
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What must be done as a whole: a signal that comes meanwhile raises `Ended` at its end."""
    _ending.protected += 1
    try:
        yield
    finally:
        _ending.protected -= 1
        _ending.check_late()


def check_ended() -> None:
    """To be called now and then by what waits long: raises `Ended` (again) if it was asked for.

    Python drops an exception that a signal raises in a destructor.
    """
    _ending.check()


def _numbers() -> list[Any]:
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
