"""How the agent runs git: with settings of its own, and nothing of the host's or a repository's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from build_agent.host.process import Finished, Runner, Sink
from build_agent.host.stop import Stop
from build_agent.source.git_credentials import PASSWORD_VARIABLE, USER_VARIABLE, GitLogin
from build_agent.source.git_settings import git_options


class Git:
    """git in `folder`, where its home and the program that it asks for passwords are."""

    def __init__(
        self, folder: Path, *, run: Runner, protocols: Sequence[str], askpass: Path
    ) -> None:
        self._folder = folder
        self._run = run
        self._protocols = tuple(protocols)
        self._askpass = askpass

    def __call__(
        self,
        arguments: list[str],
        timeout: float,
        stop: Stop,
        *,
        sink: Sink | None = None,
        login: GitLogin | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run it; `extra`: variables of its environment besides."""
        return self._run(
            ["git", "--no-pager", *git_options(self._protocols), *arguments],
            timeout=timeout,
            stop=stop,
            sink=sink,
            env={**self._environment(login), **(extra or {})},
            cwd=self._folder,
        )

    def _environment(self, login: GitLogin | None) -> dict[str, str]:
        """Nothing of the host's own git settings, and no question that waits for an answer."""
        values = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder / "home"),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_ASKPASS": str(self._askpass),
        }
        if login is not None:
            values |= {USER_VARIABLE: login.user, PASSWORD_VARIABLE: login.password}
        return values
