"""`slipway local`: the same pipeline on one machine, with nothing of AWS.

The local run is no part of the package that is installed. Its commands are in `local/command.py`,
beside this package in Slipway's repository, and are found there by their place alone.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from slipway.contracts.errors import WrongUse

REPOSITORY = Path(__file__).resolve().parents[3]
"""Slipway's repository, where this file is in one."""


@click.command(
    name="local", context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
)
def _elsewhere() -> None:
    """The same pipeline on one machine; it is part of Slipway's repository only."""
    raise WrongUse(
        "`slipway local` is not in the installed package: in a clone of Slipway's repository, run"
        " `make setup` and then `.venv/bin/slipway local up`"
    )


def _found(repository: Path) -> click.Command:
    """The local run's commands where `repository` has them, else the sentence that says where."""
    if not all((repository / name).is_file() for name in ("pyproject.toml", "local/command.py")):
        return _elsewhere
    sys.path.insert(0, str(repository))
    command: click.Command = importlib.import_module("local.command").command
    return command


command = _found(REPOSITORY)
