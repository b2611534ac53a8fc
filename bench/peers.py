"""The other tools, from PyPI by name and version, in an environment of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PEERS = ("ecs-deploy==1.17.0", "awscli==1.46.2")


def environment(work: Path) -> Path:
    """The `bin` folder of a virtual environment with the peers, made once in `work`."""
    home = work / "peers"
    stamp = home / ".installed"
    if not stamp.exists() or stamp.read_text() != "\n".join(PEERS):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run(
            [home / "bin" / "python", "-I", "-m", "pip", "install", "-q", *PEERS], check=True
        )
        stamp.write_text("\n".join(PEERS))
    return home / "bin"
