"""The disk of a machine: what it wrote over the image, kept between power off and power on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ENDPOINT_FILE = "etc/systemd/system.conf.d/emulator.conf"


@dataclass(frozen=True)
class Disk:
    """Below `folder`; the machine's /var/log is `logs`, so that it can be read while it runs."""

    folder: Path
    logs: Path

    @property
    def upper(self) -> Path:
        return self.folder / "upper"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def docker(self) -> Path:
        """A folder of its own: Docker's own overlays cannot lie on an overlay."""
        return self.folder / "docker"

    @property
    def root(self) -> Path:
        """Where all is seen together while the machine runs, by the machine alone."""
        return self.folder / "root"

    @property
    def exists(self) -> bool:
        """Whether a machine has been powered on with it."""
        return self.upper.exists()

    def make(self) -> None:
        """What is missing of it: all of it before the first boot."""
        for place in (self.upper, self.work, self.docker, self.root, self.logs):
            place.mkdir(parents=True, exist_ok=True)

    def wipe(self) -> None:
        """A new, empty one in its place; the machine must be off."""
        for place in (self.folder, self.logs):
            shutil.rmtree(place, ignore_errors=True)

    def point_at(self, endpoint_url: str) -> None:
        """Every unit's programs find AWS there: the one thing that no AMI would say."""
        place = self.upper / ENDPOINT_FILE
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"[Manager]\nDefaultEnvironment=AWS_ENDPOINT_URL={endpoint_url}\n")
