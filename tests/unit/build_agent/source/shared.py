"""A remote whose mirror several runs share: its git is stopped where a test wants it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from build_agent.host import process
from build_agent.host.process import Finished
from build_agent.host.stop import Stop
from tests.unit.build_agent.host.several import Run, until
from tests.unit.build_agent.source.test_mirror import Remote
from tests.unit.build_agent.world import make_pipeline

STOP = Stop()


class Shared(Remote):
    """A remote whose source's git calls `before` and `after` with its verb; fetches are counted."""

    def __init__(self, folder: Path) -> None:
        self.before: Callable[[str], None] = lambda _verb: None
        self.after: Callable[[str], None] = lambda _verb: None
        self.verbs: list[str] = []
        self.fetching = self.most_fetching = 0
        self.mutex = threading.Lock()
        self.time = 1000.0
        super().__init__(folder)
        self.source = self.make_source(run=self.run, now=lambda: self.time)

    def run(self, command: Sequence[str], **options: Any) -> Finished:
        verb = next(part for part in command[2:] if part in VERBS)
        with self.mutex:
            self.verbs.append(verb)
            self.fetching += verb == "fetch"
            self.most_fetching = max(self.most_fetching, self.fetching)
        try:
            self.before(verb)
            ended = process.run(command, **options)
            self.after(verb)
        finally:
            with self.mutex:
                self.fetching -= verb == "fetch"
        return ended

    def at(self, verb: str, do: Callable[[], None]) -> Callable[[str], None]:
        return lambda name: do() if name == verb else None

    @property
    def fetches(self) -> int:
        return self.verbs.count("fetch")

    @property
    def mirror(self) -> Path:
        (mirror,) = (self.work / "mirrors").iterdir()
        return mirror

    def begin(self, branch: str = "main", commit: str | None = None) -> Run[str]:
        """A fetch in a run of its own, which has asked when this returns."""
        pipeline = make_pipeline(git_url=f"file://{self.path}", branch=branch)
        waits = self.asked
        run = Run(lambda stop: self.source.fetch(pipeline, commit, stop=stop, sink=print).id)
        until(lambda: self.asked > waits)
        return run

    @property
    def asked(self) -> int:
        return self.source._flights.waits(self.source._mirror(self.pipeline))

    def damage(self) -> None:
        """The mirror as a disk leaves it that went away: git takes it for no repository."""
        (self.mirror / "HEAD").write_bytes(b"\0" * 20)

    def lose(self, name: str) -> None:
        """The mirror without one object, as if the disk had lost it."""
        (pack,) = self.mirror.glob("objects/pack/*.pack")
        content = pack.read_bytes()
        shutil.rmtree(pack.parent)
        command = ["git", f"--git-dir={self.mirror}", "unpack-objects", "-q"]
        subprocess.run(command, input=content, check=True)
        (self.mirror / "objects" / name[:2] / name[2:]).unlink()


VERBS = ("init", "fetch", "log", "read-tree", "cat-file", "rev-list", "merge-base", "ls-remote")
