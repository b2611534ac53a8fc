"""Whether an image's files hold a text: a program of its own, so that it can be ended at any time.

`leaks.py DOCKER IMAGE` reads the image as docker saves it, without a copy on the disk, and looks
for the texts that the variables SLIPWAY_SOUGHT_0, _1 … name. It ends with FOUND, with 0 for none,
and with docker's own code where docker fails. It imports nothing of ours: it runs as a file.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import IO

FOUND = 3
SOUGHT = "SLIPWAY_SOUGHT_{}"
CHUNK = 1 << 20


def holds(stream: IO[bytes], sought: Sequence[bytes]) -> bool:
    """Whether `stream` holds one of the texts; it is read up to the first."""
    overlap = max(map(len, sought), default=1) - 1
    before = b""
    while chunk := stream.read(CHUNK):
        seen = before + chunk
        if any(text in seen for text in sought):
            return True
        before = seen[len(seen) - overlap :] if overlap else b""
    return False


def _sought() -> Iterable[bytes]:
    for number in itertools.count():
        value = os.environb.get(SOUGHT.format(number).encode())
        if value is None:
            return
        yield value


def main(docker: str, image: str) -> int:
    """The exit code."""
    sought = list(_sought())
    command = [docker, "image", "save", "--", image]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as saving:
        if saving.stdout is None or holds(saving.stdout, sought):
            saving.kill()
            return FOUND
    return saving.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
