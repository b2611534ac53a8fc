"""CodeCommit's repositories: bare git repositories on disk, and what AWS knows beside them.

`<git dir>/<account>/<region>/<name>.git` is the repository; `slipway-repository.json` in it holds
its id, description and triggers, so that it all survives a restart with the same directory.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from slipway.contracts.errors import WorldFailed

# AWS: 1 to 100 letters, digits, periods, underscores and dashes; not ending in .git.
NAME_PATTERN = re.compile(r"[\w.-]{1,100}", re.ASCII)
RECORD = "slipway-repository.json"
NO_COMMIT = "0" * 40


@dataclass(frozen=True)
class Trigger:
    """A CodeCommit trigger; no branches means every reference, `all` means every event."""

    name: str
    destination_arn: str
    custom_data: str = ""
    branches: tuple[str, ...] = ()
    events: tuple[str, ...] = ("all",)


@dataclass(frozen=True)
class Repository:
    """A repository; `path` is its bare git repository."""

    account: str
    region: str
    name: str
    repository_id: str
    path: Path
    created_at: float
    description: str = ""
    triggers: tuple[Trigger, ...] = field(default=())

    @property
    def arn(self) -> str:
        return f"arn:aws:codecommit:{self.region}:{self.account}:{self.name}"


class Repositories:
    """All repositories under one git directory."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir

    def create(self, account: str, region: str, name: str, description: str = "") -> Repository:
        """Make an empty bare repository. Raises `ValueError` for a bad or taken name."""
        if not NAME_PATTERN.fullmatch(name) or name.endswith(".git"):
            raise ValueError(f"invalid CodeCommit repository name {name!r}: {NAME_PATTERN.pattern}")
        path = self._path(account, region, name)
        if path.exists():
            raise ValueError(f"Repository named {name} already exists")
        path.mkdir(parents=True)
        run_git(path, "init", "--quiet", "--bare", "--initial-branch=main")
        run_git(path, "config", "http.receivepack", "true")
        # CodeCommit refuses to delete the default branch; a test of a branch that is gone needs it.
        run_git(path, "config", "receive.denyDeleteCurrent", "ignore")
        repository = Repository(
            account, region, name, str(uuid.uuid4()), path, time.time(), description
        )
        self._write(repository)
        return repository

    def get(self, account: str, region: str, name: str) -> Repository | None:
        """The repository, or None."""
        if not NAME_PATTERN.fullmatch(name):
            return None
        path = self._path(account, region, name)
        record = path / RECORD
        if not record.is_file():
            return None
        known = json.loads(record.read_text())
        triggers = tuple(
            Trigger(
                name=trigger["name"],
                destination_arn=trigger["destination_arn"],
                custom_data=trigger["custom_data"],
                branches=tuple(trigger["branches"]),
                events=tuple(trigger["events"]),
            )
            for trigger in known["triggers"]
        )
        return Repository(
            account,
            region,
            name,
            known["repository_id"],
            path,
            known["created_at"],
            known["description"],
            triggers,
        )

    def find(self, account: str, repository_id: str) -> Repository | None:
        """The repository of that id, in whatever region."""
        for record in (self._git_dir / account).glob(f"*/*.git/{RECORD}"):
            region, name = record.parent.parent.name, record.parent.name.removesuffix(".git")
            repository = self.get(account, region, name)
            if repository is not None and repository.repository_id == repository_id:
                return repository
        return None

    def set_triggers(self, repository: Repository, triggers: tuple[Trigger, ...]) -> Repository:
        """Replace all triggers, as PutRepositoryTriggers does."""
        changed = replace(repository, triggers=triggers)
        self._write(changed)
        return changed

    def delete(self, repository: Repository) -> None:
        shutil.rmtree(repository.path)

    def _path(self, account: str, region: str, name: str) -> Path:
        return self._git_dir / account / region / f"{name}.git"

    def _write(self, repository: Repository) -> None:
        known: dict[str, Any] = {
            "repository_id": repository.repository_id,
            "created_at": repository.created_at,
            "description": repository.description,
            "triggers": [asdict(trigger) for trigger in repository.triggers],
        }
        record = repository.path / RECORD
        written = record.with_suffix(".new")
        written.write_text(json.dumps(known))
        written.replace(record)


def git_environment() -> dict[str, str]:
    """An environment in which no configuration of the machine or of its users has a say."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }


def run_git(path: Path, *arguments: str) -> str:
    """Run git in a bare repository; its output, stripped. Raises `WorldFailed`."""
    done = subprocess.run(
        ["git", "--git-dir", str(path), *arguments],
        env=git_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise WorldFailed(f"git {arguments[0]} in {path.name} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def references(repository: Repository) -> dict[str, str]:
    """Every branch and tag by its full name, with the object it names."""
    listing = run_git(
        repository.path,
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        "refs/heads",
        "refs/tags",
    )
    return dict(line.split(" ", 1) for line in listing.splitlines())


def settle_default_branch(repository: Repository) -> None:
    """The first branch that is pushed becomes the default one, as in CodeCommit.

    HEAD names it; without it a clone would be an empty tree.
    """
    branches = [name for name in references(repository) if name.startswith("refs/heads/")]
    if branches and run_git(repository.path, "symbolic-ref", "HEAD") not in branches:
        run_git(repository.path, "symbolic-ref", "HEAD", branches[0])
