"""Where a local run keeps its things: `.local/` of the repository, or where it is told.

state.json        where things are, for tools; there while a push would be deployed
started.json      what was started, so that `down` ends exactly that
last-demo.json    the table of the last demo
log/              what each process printed
emulator/ sample/ hosts/ docker/ cdk.out/    each part's own
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.machine.disk import Disk
from slipway.contracts.errors import WrongUse

DIRECTORY_VARIABLE = "SLIPWAY_LOCAL"
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Workplace:
    """The paths of one local run; two with different directories do not know of each other."""

    directory: Path

    @classmethod
    def default(cls) -> Workplace:
        """`.local/` of the repository, or the directory that SLIPWAY_LOCAL names."""
        named = os.environ.get(DIRECTORY_VARIABLE)
        return cls(Path(named).resolve() if named else REPOSITORY / ".local")

    @property
    def state_file(self) -> Path:
        return self.directory / "state.json"

    @property
    def started_file(self) -> Path:
        return self.directory / "started.json"

    @property
    def demo_file(self) -> Path:
        return self.directory / "last-demo.json"

    @property
    def configuration_file(self) -> Path:
        return self.directory / "configuration.json"

    @property
    def installation_file(self) -> Path:
        return self.directory / "installation.json"

    @property
    def log_dir(self) -> Path:
        return self.directory / "log"

    @property
    def emulator_dir(self) -> Path:
        return self.directory / "emulator"

    @property
    def sample_dir(self) -> Path:
        return self.directory / "sample"

    @property
    def hosts_dir(self) -> Path:
        return self.directory / "hosts"

    def disk(self, instance_id: str) -> Disk:
        """The disk of an instance whose host is a machine."""
        return Disk(self.hosts_dir / instance_id, self.log_dir / instance_id)

    @property
    def agent_module_file(self) -> Path:
        """Names the module that agents started from now on run, for tests that make them die."""
        return self.directory / "agent-module"

    @property
    def docker_dir(self) -> Path:
        return self.directory / "docker"

    @property
    def assembly_dir(self) -> Path:
        return self.directory / "cdk.out"

    @property
    def cdk_home(self) -> Path:
        return self.directory / "cdk-home"

    def parts(self) -> tuple[Path, ...]:
        """What a run makes in its directory and `down` takes away; the last demo's table stays."""
        return (
            self.state_file,
            self.configuration_file,
            self.installation_file,
            self.emulator_dir,
            self.sample_dir,
            self.hosts_dir,
            self.agent_module_file,
            self.docker_dir,
            self.assembly_dir,
            self.cdk_home,
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one `up` or `down`; WrongUse where another one is at it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise WrongUse(
                    f"another `slipway local up` or `down` is at work in {self.directory}"
                ) from None
            yield


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON so that a reader sees the old file or the new one, nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
