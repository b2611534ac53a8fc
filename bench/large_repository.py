"""A repository of 50,000 commits and 500 MB, made by git's own fast-import in some seconds."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

COMMITS = 50_000
BYTES_A_COMMIT = 10_000
FILES = 2_000
BRANCH = "production"
_AUTHOR = b"Bench <bench@example.com>"
_START = 1_700_000_000


def make(path: Path, *, commits: int = COMMITS) -> None:
    """A bare repository at `path`, unless it is there already (a stamp says that it is whole).

    Each commit writes one file of incompressible bytes, so that the size is what it is said to be.
    """
    stamp = path / "whole"
    if stamp.exists() and stamp.read_text() == str(commits):
        return
    subprocess.run(["git", "init", "-q", "--bare", "-b", BRANCH, "--", str(path)], check=True)
    importer = subprocess.Popen(
        ["git", "-c", "core.compression=0", "fast-import", "--quiet", "--force"],
        cwd=path,
        stdin=subprocess.PIPE,
    )
    with cast(IO[bytes], importer.stdin) as stdin:
        for chunk in _stream(commits):
            stdin.write(chunk)
    if importer.wait() != 0:
        raise RuntimeError(f"git fast-import ended with {importer.returncode}")
    stamp.write_text(str(commits))


def _stream(commits: int) -> Iterator[bytes]:
    noise = random.Random(50_000)  # noqa: S311  (the same bytes each time, no secret)
    for number in range(commits):
        message = b"Change %d" % number
        content = noise.randbytes(BYTES_A_COMMIT)
        yield b"commit refs/heads/%s\n" % BRANCH.encode()
        yield b"committer %s %d +0000\n" % (_AUTHOR, _START + 60 * number)
        yield b"data %d\n%s\n" % (len(message), message)
        yield b"M 100644 inline src/%02d/%04d.bin\n" % (number % 50, number % FILES)
        yield b"data %d\n%s\n" % (len(content), content)


def tip_of(path: Path) -> str:
    """The commit that the branch is at."""
    return _git(path, "rev-parse", BRANCH)


def add_commit(path: Path, number: int, *, branch: str = BRANCH) -> str:
    """One more commit on the branch, as a push would bring it; its id. No `branch`: on none."""
    tip = tip_of(path)
    blob = _git(path, "hash-object", "-w", "--stdin", stdin=f"one line more: {number}\n")
    tree = _git(path, "ls-tree", tip) + f"\n100644 blob {blob}\tCHANGED\n"
    lines = {line.split("\t", 1)[1]: line for line in tree.splitlines() if line}
    made = _git(path, "mktree", stdin="\n".join(lines.values()) + "\n")
    commit = _git(path, "commit-tree", made, "-p", tip, "-m", f"Push {number}")
    if branch:
        _git(path, "update-ref", f"refs/heads/{branch}", commit)
    return commit


def _git(path: Path, *arguments: str, stdin: str | None = None) -> str:
    identity = [part for key in ("user.name", "user.email") for part in ("-c", f"{key}=bench")]
    answer = subprocess.run(
        ["git", *identity, *arguments], cwd=path, input=stdin, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return answer.stdout.strip()
