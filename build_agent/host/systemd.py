"""What systemd is told: that the agent is up, and every few seconds that it lives.

The watchdog sees a process that hangs as a whole; a stage that stands still is the reconciler's to
see (limits.no_progress). Without systemd (NOTIFY_SOCKET unset) nothing is said to anybody.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping

SOCKET_VARIABLE = "NOTIFY_SOCKET"
SAY_EVERY = 10.0
"""Seconds between two signs of life: far below the unit's WatchdogSec."""


class Systemd:
    """One end of sd_notify(3); `clock` gives monotonic seconds."""

    def __init__(self, environment: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._address = environment.get(SOCKET_VARIABLE, "")
        self._clock = clock
        self._next_at = 0.0
        self._doing = ""

    @classmethod
    def of_process(cls, clock: Callable[[], float]) -> Systemd:
        return cls(os.environ, clock)

    def ready(self) -> None:
        """The agent is up."""
        self._say("READY=1")

    def alive(self) -> None:
        """The agent lives; cheap enough to say in a loop."""
        now = self._clock()
        if now >= self._next_at:
            self._next_at = now + SAY_EVERY
            self._say("WATCHDOG=1")

    def doing(self, what: str) -> None:
        """What `systemctl status` shows, and what updates wait for; said when it changes."""
        if what != self._doing:
            self._doing = what
            self._say(f"STATUS={what}")

    def stopping(self) -> None:
        """The agent gives back what it holds, and ends."""
        self._say("STOPPING=1")

    def _say(self, words: str) -> None:
        if not self._address:
            return
        # A leading @ means an abstract socket, whose name starts with a zero byte.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
            try:
                speaker.sendto(words.encode(), address)
            except OSError:
                return  # systemd went away: there is nobody to tell
