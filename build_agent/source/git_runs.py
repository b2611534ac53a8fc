"""How the agent runs git: hardened, without the host's settings, and with no question asked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from build_agent.host.process import Finished, Runner, Sink
from build_agent.host.stop import Stop
from build_agent.source.git_credentials import PASSWORD_VARIABLE, USER_VARIABLE, GitLogin
from build_agent.source.git_settings import git_options


@dataclass(frozen=True)
class Git:
    """git, run in `folder`; only remotes of these `protocols` are spoken to."""

    run: Runner
    folder: Path
    protocols: tuple[str, ...]
    askpass: Path

    def __call__(
        self,
        arguments: Sequence[str],
        timeout: float,
        stop: Stop,
        *,
        sink: Sink | None = None,
        login: GitLogin | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Finished:
        return self.run(
            ["git", "--no-pager", *git_options(self.protocols), *arguments],
            timeout=timeout,
            stop=stop,
            sink=sink,
            env={**self._environment(login), **(extra or {})},
            cwd=self.folder,
        )

    def _environment(self, login: GitLogin | None) -> dict[str, str]:
        """Nothing of the host's own git settings, and no question that waits for an answer."""
        values = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder / "home"),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_ASKPASS": str(self.askpass),
        }
        if login is not None:
            values |= {USER_VARIABLE: login.user, PASSWORD_VARIABLE: login.password}
        return values
