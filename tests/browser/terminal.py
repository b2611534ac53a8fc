"""A command on a terminal of its own, and what is seen on it as an SVG picture."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from fcntl import ioctl
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH, HEIGHT = 88, 24
PATIENCE = 150.0
"""Seconds for the command to end."""
_REDRAWN = re.compile(r"(?:\r|\x1b\[1A|\x1b\[2K)+(?=\S|\x1b\[[0-9;]*m|$)")
"""Where `rich.live` goes back to the first line and draws anew."""
_FONT = re.compile(r"\s*@font-face \{.*?\}\n", re.DOTALL)
"""A font from elsewhere: the reader's own will do."""


class Terminal:
    """Runs `command` on a terminal; `text` is what it has printed so far."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.text = ""
        self._keeper, side = pty.openpty()
        ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        plain = {k: v for k, v in environment.items() if k not in ("COLUMNS", "NO_COLOR")}
        self._process = subprocess.Popen(
            list(command),
            env={**plain, "TERM": "xterm-256color"},
            stdin=side,
            stdout=side,
            stderr=side,
        )
        os.close(side)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._keeper, 1 << 16)
            except OSError:  # the command has ended
                return
            if not data:
                return
            self.text += data.decode("utf-8", "replace")

    def ended(self) -> int:
        """Wait for the command's end; its exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        os.close(self._keeper)
        return code

    def pictures(self) -> list[str]:
        """What was drawn, one text for each time, oldest first."""
        lines = re.sub(r"\x1b\[\?25[lh]", "", self.text).replace("\r\n", "\n")
        return [text.strip("\n") for text in _REDRAWN.split(lines) if text.strip()]


def save_picture(text: str, title: str, file: Path) -> None:
    """Write what a terminal shows (with its colours) as SVG."""
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(Text.from_ansi(text))
    file.write_text(_FONT.sub("\n", console.export_svg(title=title)), encoding="utf-8")
