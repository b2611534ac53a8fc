"""Which installation a command is about, and where it runs.

Looked for in this order; the first that is there is taken:

1. `--installation FILE`, or the file named by `SLIPWAY_INSTALLATION`: an `installation.json`, a
   `cdk.json` with the context key `slipway`, or a configuration as `cdk -c configuration=FILE`
   takes it, JSON or YAML;
2. the local run of this folder or a parent of it: `.local/installation.json` beside
   `.local/state.json`, while the latter is there (`slipway local up` writes both); where
   `SLIPWAY_LOCAL` names another directory than `.local`, that one;
3. the `cdk.json` of this folder or a parent of it, if it has the context key `slipway`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.contracts.errors import WrongUse
from slipway.contracts.installation import (
    FILE_NAME,
    PATH_VARIABLE,
    YAML_ENDINGS,
    Installation,
    load_installation,
)

LOCAL_FOLDER = ".local"
LOCAL_VARIABLE = "SLIPWAY_LOCAL"
STATE_NAME = "state.json"
CDK_NAME = "cdk.json"
CONTEXT_KEY = "slipway"


@dataclass(frozen=True)
class Located:
    """An installation, the file that it was read from, and where a local run answers."""

    installation: Installation
    path: Path
    endpoint_url: str | None = None


def locate(
    named: Path | None,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Located:
    """The installation that a command in `folder` is about; WrongUse where there is none."""
    environment = os.environ if environment is None else environment
    folder = folder or Path.cwd()
    if named is None and environment.get(PATH_VARIABLE):
        named = Path(environment[PATH_VARIABLE])
    path = named or _nearest(folder, environment.get(LOCAL_VARIABLE) or LOCAL_FOLDER)
    if path is None:
        raise WrongUse(
            "no installation found: give --installation FILE, its configuration (or set"
            f" {PATH_VARIABLE}), or work in a folder with a {CDK_NAME} that has the context key"
            f" {CONTEXT_KEY!r}, or with a local run. `slipway init` writes a configuration"
        )
    return Located(_read(path), path, _local_endpoint(path))


@dataclass(frozen=True)
class LocalRun:
    """Where a local run answers, and for which account: the file that says so is `path`."""

    path: Path
    endpoint_url: str
    region: str
    account: str


def local_run(*, folder: Path, environment: Mapping[str, str]) -> LocalRun | None:
    """The local run that a command in `folder` is about, or None: found as `locate` finds it."""
    named, local_folder = environment.get(PATH_VARIABLE), environment.get(LOCAL_VARIABLE)
    path = Path(named) if named else _nearest(folder, local_folder or LOCAL_FOLDER)
    if path is None:
        return None
    state = _object(path.parent / STATE_NAME)
    values = [state.get(name) for name in ("endpoint_url", "region", "prod_account")]
    if not all(isinstance(value, str) and value for value in values):
        return None
    return LocalRun(path.parent / STATE_NAME, *map(str, values))


def _nearest(folder: Path, local_folder: str) -> Path | None:
    for place in (folder, *folder.parents):
        local = place / local_folder  # an absolute one stays itself
        if (local / STATE_NAME).is_file() and (local / FILE_NAME).is_file():
            return local / FILE_NAME
        if _context(place / CDK_NAME) is not None:
            return place / CDK_NAME
    return None


def _read(path: Path) -> Installation:
    if not _is_configuration(path):
        return load_installation(path)
    from slipway.configuration import load  # brings in pydantic
    from slipway.configuration.resolve import resolve

    return resolve(load(path))


def _is_configuration(path: Path) -> bool:
    """Whether a file is a configuration, or a cdk.json that holds one; it may be a broken one."""
    return path.suffix in YAML_ENDINGS or _context(path) is not None or "buildHost" in _object(path)


def _context(path: Path) -> Any | None:
    """What a cdk.json holds under `slipway`, or None if it is none or holds nothing of ours."""
    data = _object(path) if path.name.endswith(CDK_NAME) else {}
    context = data.get("context")
    return context.get(CONTEXT_KEY) if isinstance(context, dict) else None


def _local_endpoint(path: Path) -> str | None:
    endpoint = _object(path.parent / STATE_NAME).get("endpoint_url")
    return endpoint if isinstance(endpoint, str) else None


def _object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
