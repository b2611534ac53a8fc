"""A day with Slipway by its commands alone: a good, a bad and a good commit, back, and on again.

The e2e test reads what it leaves behind; `make screenshots` takes the pictures of docs/ from it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SLIPWAY = Path(sys.executable).parent / "slipway"
PATIENCE = 150.0
"""Seconds for one command, the wait for a deployment included."""
GREETING, CHECKOUT, TOTAL = "Greet visitors by name", "Rewrite the checkout", "Show the total"


@dataclass
class Story:
    """What a user does in the local run of `directory`, and the commits that come of it."""

    directory: Path
    pipeline: str
    commits: dict[str, str] = field(default_factory=dict)
    """Commit id by subject."""

    # --- what happens

    def a_good_commit(self) -> str:
        """Somebody watches while it is deployed; what they see."""
        command = [str(SLIPWAY), "watch", self.pipeline]
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as watching:
            assert watching.stdout is not None
            waiting = watching.stdout.readline()
            self._push(GREETING)
            seen, _ = watching.communicate(timeout=PATIENCE)
        assert watching.returncode == 0, seen
        return waiting + seen

    def a_bad_commit(self) -> str:
        self._push(CHECKOUT, "--break", "build")
        return self.push_to_live(code=1)

    def a_better_commit(self) -> str:
        self._push(TOTAL)
        return self.push_to_live()

    def back(self) -> str:
        return self.slipway("rollback", self.pipeline)

    def on_again(self) -> str:
        return self.slipway("redeploy", self.pipeline)

    # --- how

    @property
    def repository(self) -> Path:
        """The clone that is worked in."""
        return self.directory / "sample" / self.pipeline

    def push_to_live(self, *, code: int = 0) -> str:
        return self.slipway("push-to-live", self.pipeline, code=code, folder=self.repository)

    def slipway(self, *words: str, code: int = 0, folder: Path | None = None) -> str:
        """What the command prints; it must end with `code`."""
        done = subprocess.run(
            [str(SLIPWAY), *words],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def answer(self, *words: str) -> Any:
        """What it says with `--json`."""
        return json.loads(self.slipway(*words, "--json"))

    def _push(self, subject: str, *options: str) -> None:
        words = ("--message", subject, "--pipeline", self.pipeline, *options)
        self.commits[subject] = self.answer("local", "push", *words)["commit_id"]

    @property
    def environment(self) -> dict[str, str]:
        """This process's, without AWS credentials, for the local run of `directory`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**kept, "SLIPWAY_LOCAL": str(self.directory), "COLUMNS": "120"}
