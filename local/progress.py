"""Progress for a person: one line per step, with the seconds since the start."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """Says what has been done and how long it took; colours only on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """One line with the time."""
        self.console.print(f"[dim]{self.elapsed:6.1f} s[/dim]  {text}")

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Say `what` with its own duration once it is done; a failure says so and passes on."""
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(f"[red]{what}: failed[/red] after {time.monotonic() - began:.1f} s")
            raise
        self.say(f"{what} [dim]({time.monotonic() - began:.1f} s)[/dim]")
