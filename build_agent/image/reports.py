"""Reads reports out of a container: a program of its own, so that it can be ended and bounded.

`python -P -m build_agent.image.reports DOCKER CONTAINER PATTERN…` reads what docker copies out as a
tar, without a file on this disk, and prints the tally as JSON. What is no plain file is passed
over, links above all. The container's files are the commit's: size, number and memory have bounds.
"""

from __future__ import annotations

import dataclasses
import json
import posixpath
import resource
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from typing import IO, Any

from build_agent.image.junit import Tally
from build_agent.image.report_paths import bases, is_named

MOST_FILES = 500
FILE_BYTES = 8 << 20
"""Of one report."""
ALL_BYTES = 64 << 20
"""Of all reports."""
STREAM_BYTES = 1 << 30
"""Of a folder that holds them, and whatever else."""
MEMORY = 1 << 30
"""Of this program; a report may be small and describe much."""


class TooMuch(Exception):
    """A bound is reached, which the text names: what was counted before stands."""


class Bounded:
    """A stream that ends with TooMuch after `limit` bytes."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int) -> bytes:
        """The next bytes."""
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise TooMuch(f"more than {STREAM_BYTES >> 20} MiB")
        return chunk


class Reader:
    """Reads tars of docker's into a tally."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._files = 0
        self._bytes = 0

    def read(self, stream: IO[bytes], base: str, patterns: Sequence[str]) -> int:
        """Count the reports in the tar of `base`; how many files were named."""
        found = 0
        parent = base.rpartition("/")[0] or "/"
        bounded: Any = Bounded(stream, STREAM_BYTES)
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            for member in tar:
                path = posixpath.normpath(posixpath.join(parent, member.name.strip("/")))
                if not member.isreg() or not is_named(path, patterns):
                    continue
                found += 1
                self._take(tar, member, path)
        return found

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        self._files += 1
        if member.size > FILE_BYTES:
            self.tally.note(f"{path} has more than {FILE_BYTES >> 20} MiB and is not read")
            return
        self._bytes += member.size
        if self._files > MOST_FILES or self._bytes > ALL_BYTES:
            raise TooMuch(
                f"more than {MOST_FILES} reports, or more than {ALL_BYTES >> 20} MiB of them"
            )
        file = tar.extractfile(member)
        self.tally.read(path, file.read() if file else b"")


def read_all(docker: str, container: str, patterns: Sequence[str]) -> Tally:
    """The tally of what `patterns`, absolute ones, name in the container."""
    reader, found = Reader(), 0
    for base, of_base in bases(patterns).items():
        command = [docker, "cp", "--", f"{container}:{base}", "-"]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=_unbounded,  # noqa: PLW1509 - one system call
        ) as copying:  # fmt: skip
            assert copying.stdout is not None  # noqa: S101 - opened above
            try:
                found += reader.read(copying.stdout, base, of_base)
            except TooMuch as bound:
                reader.tally.note(f"{base} holds {bound}: the others are not read")
                found += 1
                copying.kill()
            except tarfile.TarError:  # there is no such file: docker copies nothing
                copying.kill()
    if not found:
        reader.tally.note(f"there is no report: {', '.join(patterns)}")
    return reader.tally


def _unbounded() -> None:
    """The docker client has its own needs: Go reserves more addresses than it uses."""
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(docker: str, container: str, patterns: Sequence[str]) -> int:
    """The exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    print(json.dumps(dataclasses.asdict(read_all(docker, container, patterns))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
