"""What is shipped: the functions' folder and the agent's archive, made anew at each synth.

Both depend on nothing but the files' contents, so an unchanged tree gives an unchanged template.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.contracts.installation import FILE_NAME, Installation

ROOT = Path(__file__).resolve().parents[2]

PACKAGE = ("slipway/__init__.py", "slipway/contracts", "slipway/rollout", "slipway/following")
"""What functions and agent share of the package."""
FUNCTIONS = ("lambdas", *PACKAGE)
AGENT = ("build_agent", *PACKAGE)
"""What is shipped: folders of this repository, and of the package only the rooms in use."""

VENDORED = (
    "aws-lambda-powertools",
    "boto3",
    "botocore",
    "defusedxml",
    "jmespath",
    "junitparser",
    "PyYAML",
    "python-dateutil",
    "s3transfer",
    "six",
    "typing-extensions",
    "urllib3",
)
"""Distributions that the agent brings with it, their pure Python alone, so that it fits any host:
PyYAML does without its compiled part.
"""

SERVICES = frozenset(
    {
        *("codecommit", "codedeploy", "dynamodb", "ec2", "ecr", "ecs", "elbv2", "events"),
        *("logs", "s3", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts"),
    }
)
"""The AWS services whose descriptions the agent keeps; botocore carries four hundred."""

FORGOTTEN_SECONDS = 3600


@dataclass(frozen=True)
class Staged:
    """Where the assets lie; `agent_sha256` is the archive's own hash, which the host verifies."""

    functions: Path
    agent: Path
    agent_sha256: str


def stage(
    installation: Installation, into: Path, *, vendored: bool = True, root: Path = ROOT
) -> Staged:
    """Write the assets below `into`, in a folder named after the settings; drop forgotten ones.

    Not `vendored`: an agent without its dependencies, for who looks at the rest only.
    """
    settings = installation.to_json()
    name = hashlib.sha256(f"{settings}{vendored}".encode()).hexdigest()[:16]
    folder = into / name
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    drop_forgotten(into)
    functions = _functions(folder / "functions", settings, root)
    agent = folder / "agent.tar"
    agent.write_bytes(_archive(settings, vendored, root))
    digest = hashlib.sha256(agent.read_bytes()).hexdigest()
    return Staged(functions=functions, agent=agent, agent_sha256=digest)


def drop_forgotten(into: Path) -> None:
    """Remove what no synth has staged for an hour: the CDK copies assets while it synthesizes."""
    for folder in into.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another synth may be at it, too
            if time.time() - folder.stat().st_mtime > FORGOTTEN_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _functions(folder: Path, settings: str, root: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    for name, source in _sources(root, FUNCTIONS):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    (folder / FILE_NAME).write_text(settings, encoding="utf-8")
    return folder


def _sources(root: Path, shipped: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Path in the asset and file, of every source file of what is `shipped`, in one order."""
    for name in shipped:
        place = root / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix(), path


def _archive(settings: str, vendored: bool, root: Path) -> bytes:
    """A tar without times, owners and compression: its bytes follow from its contents alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, FILE_NAME, settings.encode())
        for name, path in _sources(root, AGENT):
            _add(tar, name, path.read_bytes())
        for name, path in _dependencies() if vendored else ():
            _add(tar, f"vendor/{name}", path.read_bytes())
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))


def _dependencies() -> Iterator[tuple[str, Path]]:
    """Path and file of every source and data file of the vendored distributions."""
    for distribution in VENDORED:
        files = importlib.metadata.files(distribution) or []
        for file in sorted(files, key=str):
            if _wanted(file.parts) and Path(str(file.locate())).is_file():
                yield file.as_posix(), Path(str(file.locate()))


def _wanted(parts: tuple[str, ...]) -> bool:
    if ".." in parts or "__pycache__" in parts or parts[0] == "bin":
        return False
    if parts[-1].endswith((".so", ".pyd")):
        return False
    in_service = parts[:2] == ("botocore", "data") and len(parts) > 3
    return not in_service or parts[2] in SERVICES
