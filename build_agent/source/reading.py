"""What a mirror tells of its commits: described, counted, compared. Nothing is fetched here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from build_agent.host.process import Finished
from build_agent.host.stop import Stop
from build_agent.source.git_answers import last_line, parse_log
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import Commit
from slipway.following.pathspecs import git_arguments

LOCAL_TIMEOUT = 600.0
LOG_TIMEOUT = 30.0


class GitIn(Protocol):
    """Runs a command of git's in a pipeline's mirror."""

    def __call__(
        self, of: PipelineSettings, arguments: list[str], timeout: float, stop: Stop, /
    ) -> Finished: ...


class Reading:
    """`git` and `mirror` as the source has them; who reads holds the mirror's gate."""

    def __init__(self, git: GitIn, mirror: Callable[[PipelineSettings], Path]) -> None:
        self._git = git
        self._mirror = mirror

    def has(self, of: PipelineSettings, commit: str, stop: Stop) -> bool:
        """Whether the commit is in the mirror."""
        return self._git(of, ["cat-file", "-e", f"{commit}^{{commit}}"], LOCAL_TIMEOUT, stop).ok

    def is_shallow(self, of: PipelineSettings) -> bool:
        """Whether the mirror lacks older commits."""
        return (self._mirror(of) / "shallow").exists()

    def follows(self, of: PipelineSettings, old: str, new: str, stop: Stop) -> bool:
        """Whether `old` is in the history of `new`."""
        command = ["merge-base", "--is-ancestor", old, new]
        return self._git(of, command, LOG_TIMEOUT, stop).ok

    def describe(self, of: PipelineSettings, revision: str, stop: Stop) -> Commit:
        """The commit; WorldFailed where it cannot be read."""
        logged = self._log(of, ["--max-count=1", revision], stop)
        found = parse_log(logged.output) if logged.ok else []
        if not found:
            raise WorldFailed(f"cannot read commit {revision}: {last_line(logged)}")
        return found[0]

    def between(
        self, of: PipelineSettings, old: str, new: str, *, limit: int, stop: Stop
    ) -> tuple[tuple[Commit, ...], int | None]:
        """Commits of `new` that `old` has not, newest first, and how many; None: not known."""
        span = f"{old}..{new}"
        counted = self._git(of, ["rev-list", "--count", span, "--"], LOG_TIMEOUT, stop)
        is_known = counted.ok and counted.output.strip().isdigit()
        if not is_known or self._is_cut_off(of, old, new, stop):
            return (), None
        logged = self._log(of, [f"--max-count={limit}", span], stop)
        return tuple(parse_log(logged.output)) if logged.ok else (), int(counted.output)

    def differ(self, of: PipelineSettings, old: str, new: str, stop: Stop) -> bool | None:
        """Whether a file of the pipeline's paths differs between the trees; None: not known."""
        command = ["diff-tree", "--quiet", "-r", "--no-ext-diff", "--no-textconv", "--no-renames"]
        command += [old, new, "--", *git_arguments(of.paths)]
        ended = self._git(of, command, LOCAL_TIMEOUT, stop)
        return {0: False, 1: True}.get(ended.returncode)

    def _is_cut_off(self, of: PipelineSettings, old: str, new: str, stop: Stop) -> bool:
        """Whether `old` is there without its history, so that nobody knows what came since."""
        if not self.is_shallow(of):
            return False
        cut = (self._mirror(of) / "shallow").read_text().split()
        return old in cut and not self.follows(of, old, new, stop)

    def _log(self, of: PipelineSettings, arguments: list[str], stop: Stop) -> Finished:
        form = "--format=%H%x00%an%x00%ct%x00%<(400,trunc)%s"
        command = ["log", "-z", "--no-show-signature", "--no-color", "--encoding=UTF-8", form]
        return self._git(of, [*command, *arguments, "--"], LOG_TIMEOUT, stop)
