"""What the user's own git repository says. Nothing here changes it.

The build host's process runner is not used: it belongs to Linux, and users push from anywhere.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from slipway.contracts.errors import WorldFailed, WrongUse

TIMEOUT = 30.0
_CODECOMMIT = "codecommit"
"""The remote helper of git-remote-codecommit."""


class Repository:
    """The git repository that `folder` is in; WrongUse where there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked("rev-parse", "--git-dir")

    def commit(self, name: str = "HEAD") -> str:
        """The whole id of the commit that `name` stands for."""
        return self._asked("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")

    @property
    def branch(self) -> str | None:
        """The branch that is checked out; None if HEAD is on none."""
        return self._answer("symbolic-ref", "--quiet", "--short", "HEAD") or None

    @property
    def pushed_branches(self) -> list[str]:
        """The remote branches that a push of this one may move, the likeliest first.

        Where `git push` would push to, as git itself says it; its upstream (`push.default` may
        leave the first one open); the branch of its own name.
        """
        if (own := self.branch) is None:
            return []
        formats = ("%(push:remoteref)", "%(upstream:remoteref)")
        found = [
            self._answer("for-each-ref", f"--format={form}", f"refs/heads/{own}") or ""
            for form in formats
        ]
        names = [*(ref.removeprefix("refs/heads/") for ref in found if ref), own]
        return list(dict.fromkeys(names))

    @property
    def remote_repositories(self) -> set[str]:
        """The repositories' names that the remotes' addresses end with."""
        lines = (self._answer("remote", "-v") or "").splitlines()
        return {repository_name(line.split()[1]) for line in lines if len(line.split()) > 1}

    def holds(self, descendant: str, commit: str) -> bool:
        """Whether `commit` is `descendant` or one of its ancestors, as far as is known here."""
        arguments = ("merge-base", "--is-ancestor", commit, descendant)
        return self._run(*arguments).returncode == 0

    def is_pushed(self, commit: str) -> bool:
        """Whether a remote-tracking branch holds the commit."""
        arguments = ("for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes")
        return bool(self._answer(*arguments))

    def _asked(self, *arguments: str) -> str:
        finished = self._run(*arguments)
        if finished.returncode != 0:
            said = " ".join(finished.stderr.split()) or "no answer"
            raise WrongUse(f"git {arguments[0]}: {said}")
        return finished.stdout.strip()

    def _answer(self, *arguments: str) -> str | None:
        finished = self._run(*arguments)
        return finished.stdout.strip() if finished.returncode == 0 else None

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["git", *arguments],
                cwd=self._folder,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except FileNotFoundError:
            raise WrongUse("git is not installed, or not on PATH") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise WorldFailed(f"git could not be asked: {error}") from None


def repository_name(address: str) -> str:
    """`shop` of `https://git-codecommit…/v1/repos/shop`, `codecommit://me@shop`, `…/shop.git`.

    git-remote-codecommit takes what follows `codecommit://` or `codecommit::region://` up to a
    slash, less a profile before `@`: it passes over any path.
    """
    helper, _, rest = address.partition("://")
    if helper.partition("::")[0] == _CODECOMMIT and rest:
        host = rest.partition("/")[0]
        return host.partition("@")[2] or host
    last = address.rstrip("/").rpartition("/")[2].rpartition("@")[2].rpartition(":")[2]
    return last.removesuffix(".git")
