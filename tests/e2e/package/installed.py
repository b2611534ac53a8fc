"""The package as a user gets it: built from what git knows of the tree, in an empty environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tests.places import ROOT

SECONDS = 600
"""For pip, which may have to fetch what its cache lacks."""


@dataclass(frozen=True)
class Built:
    """What `python -m build` makes: the source, and the wheel made of that source."""

    source: Path
    wheel: Path


@dataclass(frozen=True)
class Installed:
    """An environment that holds the package, what it needs, and nothing else (no pip either)."""

    wheel: Path
    environment: Path
    folder: Path
    """Where its commands run: outside the tree, and empty."""

    @classmethod
    def make(cls, wheel: Path, folder: Path, *, extras: str = "") -> Installed:
        """Below `folder`; `extras` such as `[yaml]`."""
        made = cls(wheel, folder / "environment", folder / "outside")
        made.folder.mkdir(parents=True)
        python = made.environment / "bin" / "python"
        _quietly(sys.executable, "-m", "venv", "--without-pip", str(made.environment))
        # This environment's pip installs into the other one, and its cache makes that quick.
        _quietly(
            sys.executable, "-m", "pip", "--python", str(python), "install", f"{wheel}{extras}"
        )
        return made

    @property
    def packages(self) -> Path:
        (found,) = self.environment.glob("lib/python*/site-packages")
        return found

    def distributions(self) -> list[Distribution]:
        """Every package that is installed there, Slipway too."""
        return list(distributions(path=[str(self.packages)]))

    def size(self) -> int:
        """The bytes of everything that was installed, compiled files included."""
        return sum(file.lstat().st_size for file in self.packages.rglob("*") if file.is_file())

    def run(
        self, *arguments: str, aws: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`slipway ARGUMENTS`, with nothing of whoever runs the tests but what `aws` gives."""
        folder = folder or self.folder
        return subprocess.run(
            [str(self.environment / "bin" / "slipway"), *arguments],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder), "LC_ALL": "C.UTF-8", **(aws or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def build(folder: Path) -> Built:
    """Build from a copy: what an earlier build left in the tree would be packed as well."""
    tree, made = folder / "tree", folder / "made"
    for name in _known_to_git():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name, follow_symlinks=False)
    _quietly(sys.executable, "-m", "build", "--outdir", str(made), str(tree))
    (source,), (wheel,) = made.glob("*.tar.gz"), made.glob("*.whl")
    return Built(source, wheel)


def _known_to_git() -> list[str]:
    """Files that are committed, or would be: whatever else lies about is no part of the tree."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = _quietly(*listed).split("\0")
    return [name for name in names if name and os.path.lexists(ROOT / name)]


def _quietly(*command: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout
