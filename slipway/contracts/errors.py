"""The errors that cross a process boundary, and the exit code that each one means.

There are three kinds, and every failure is one of them:

* `WrongUse`: whoever called gave something that cannot be right; trying again cannot help.
* `DeploymentFailed`: the commit, the image or the rollout is wrong. Recorded, announced, settled.
* `WorldFailed`: AWS, the network, docker or the disk failed. Nothing is settled; it is retried.

Exit codes (0 is done): 1 the deployment failed, 2 wrong use, 3 the world failed.
"""

from __future__ import annotations

from collections.abc import Mapping


class SlipwayError(Exception):
    """Base of every error that Slipway raises on purpose.

    `str(error)` is one sentence for a person, without a traceback and without a secret.
    """

    exit_code: int = 3


class WrongUse(SlipwayError):
    """Bad input: the text names the field, the value, and what is allowed."""

    exit_code = 2


class InvalidMessage(WrongUse):
    """A message that is not what its schema says.

    `field` is the path of the member that is wrong, e.g. `target.commit`, or `$` for the whole.
    """

    def __init__(self, field: str, problem: str) -> None:
        place = "it" if field == "$" else f"{field}:"
        super().__init__(f"invalid message: {place} {problem}")
        self.field = field
        self.problem = problem


class InvalidConfiguration(WrongUse):
    """A configuration that is not allowed; `problems` holds `(path, problem)` for each fault.

    `file` is where it was read from, `lines` the line there of each fault's path, where known.
    """

    def __init__(
        self,
        problems: list[tuple[str, str]],
        *,
        file: str | None = None,
        lines: Mapping[str, int] | None = None,
    ) -> None:
        self.problems = problems
        self.file = file
        self.lines = dict(lines or {})
        super().__init__("invalid configuration: " + "; ".join(self.told()))

    def told(self) -> list[str]:
        """One sentence for each fault: where it is, by file and line where known, and what."""
        return [self._place(path) + problem for path, problem in self.problems]

    def _place(self, path: str) -> str:
        if self.file is None:
            return "" if path == "$" else f"{path}: "
        line = f":{self.lines[path]}" if path in self.lines else ""
        return f"{self.file}{line}: " + ("" if path == "$" else f"{path}: ")


class DeploymentFailed(SlipwayError):
    """The commit is wrong: its build fails, or its rollout fails and is rolled back.

    `stage` is the stage that failed (`fetch`, `build`, `push`, `rollout` …); `log_tail` the last
    lines of its output, oldest first. `commit_id`: the commit that was refused, where it is not the
    one that was fetched before.
    """

    exit_code = 1

    def __init__(
        self,
        cause: str,
        *,
        stage: str = "",
        log_tail: tuple[str, ...] = (),
        commit_id: str | None = None,
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.stage = stage
        self.log_tail = log_tail
        self.commit_id = commit_id


class WorldFailed(SlipwayError):
    """AWS, the network, docker or the disk failed: the same request may succeed later."""

    exit_code = 3


class Interrupted(WorldFailed):
    """The work was told to stop: nothing is settled, nothing is counted as an attempt."""
