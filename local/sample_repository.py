"""The sample application's repository: made once, and changed visibly by each push."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.contracts.errors import WorldFailed

SAMPLE = Path(__file__).resolve().parent / "sample"
DEFINITIONS = "deploy"
"""The folder of the task definitions, of the sample and of its repository."""
AUTHOR = "Slipway Developer"
AUTHOR_EMAIL = "developer@example.com"


@dataclass(frozen=True)
class Release:
    """What a push changes: the message that is served and whether this release is broken.

    `behaviour`: `works`, `slow` (its build takes some seconds), or how it is broken: `build`,
    `crash` (its process ends), `health` (its health check fails), and of the whole sample `tests`,
    `smoke` (what its smoke test asks for is not there) or `worker` (the worker's process ends).
    `after`: seconds from its start until it is healthy, or crashes.
    """

    message: str
    behaviour: str = "works"
    number: int = 1
    after: int = 0

    def text(self) -> str:
        """The content of `release.txt`; a message is one line."""
        message = " ".join(self.message.split())
        return (
            f"message={message}\nbehaviour={self.behaviour}\n"
            f"number={self.number}\nafter={self.after}\n"
        )


def write_sample(directory: Path, busybox: Path, release: Release) -> None:
    """The sample application's files: a docker build context."""
    shutil.copytree(SAMPLE, directory, dirs_exist_ok=True)
    shutil.copyfile(busybox, directory / "busybox")
    (directory / "busybox").chmod(0o755)
    (directory / "release.txt").write_text(release.text(), encoding="utf-8")


class SampleRepository:
    """A clone of a pipeline's repository in which `slipway local push` works."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def exists(self) -> bool:
        return (self.directory / ".git").is_dir()

    def create(self, git_url: str, branch: str, busybox: Path, release: Release) -> str:
        """The first commit, not pushed yet; its id."""
        write_sample(self.directory, busybox, release)
        self.git("init", "--quiet", f"--initial-branch={branch}")
        self.git("remote", "add", "origin", git_url)
        return self.commit(release.message)

    def change(self, message: str | None, behaviour: str = "works", after: int = 0) -> str:
        """Commit the next release; its id. Without a message it is told apart by its number."""
        number = self._number() + 1
        release = Release(message or f"release {number}", behaviour, number, after)
        (self.directory / "release.txt").write_text(release.text(), encoding="utf-8")
        return self.commit(release.message)

    def greet(self, greeting: str) -> None:
        """Set the variable GREETING in the repository's task definitions; not committed yet."""
        for file in sorted((self.directory / DEFINITIONS).glob("*.json")):
            definition = json.loads(file.read_text(encoding="utf-8"))
            for container in definition["containerDefinitions"]:
                container["environment"] = [{"name": "GREETING", "value": greeting}]
            file.write_text(json.dumps(definition, indent=2) + "\n", encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit everything; the commit's id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git("rev-parse", "HEAD")

    def push(self, branch: str) -> None:
        """Push the branch, as any developer would."""
        self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")

    def pull(self, branch: str) -> None:
        """Take over what others pushed meanwhile."""
        self.git("fetch", "--quiet", "origin", branch)
        self.git("reset", "--quiet", "--hard", "FETCH_HEAD")

    def git(self, *arguments: str) -> str:
        """What git printed; WorldFailed with its complaint if it failed."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.directory,
            env=git_environment(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise WorldFailed(f"git {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def _number(self) -> int:
        for line in (self.directory / "release.txt").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name == "number" and value.isdigit():
                return int(value)
        return 0


def git_environment(base: Mapping[str, str]) -> dict[str, str]:
    """`base` without the machine's own git settings, so that a push never asks or signs."""
    kept = {k: v for k, v in base.items() if not k.startswith("GIT_")}
    return {
        **kept,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": AUTHOR,
        "GIT_AUTHOR_EMAIL": AUTHOR_EMAIL,
        "GIT_COMMITTER_NAME": AUTHOR,
        "GIT_COMMITTER_EMAIL": AUTHOR_EMAIL,
    }
