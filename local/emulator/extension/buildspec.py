"""A buildspec (version 0.2) as one script of bash, which says each phase that it enters.

As in CodeBuild all commands run in one shell, one after the other; a phase ends at the first that
fails; `post_build` runs after a `build` that failed, and after nothing else that did. A command
that exits the shell ends the build. Of a buildspec `env.variables` and `phases` count;
`runtime-versions` are whatever this machine has.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PHASES = ("install", "pre_build", "build", "post_build")
ENTERED = "[Container] Entering phase "
"""Begins the line of output that names the phase from here on, in capitals."""


class BadBuildspec(ValueError):
    """It cannot be run here; the text says why."""


@dataclass(frozen=True)
class Buildspec:
    """`variables`: the buildspec's own; `commands` by phase, in order."""

    variables: dict[str, str]
    commands: dict[str, tuple[str, ...]]

    def write(self, folder: Path) -> Path:
        """Write each command and the script that runs them all into `folder`; the script."""
        lines = ["export CODEBUILD_BUILD_SUCCEEDING=1"]
        for phase in PHASES:
            written = []
            for number, command in enumerate(self.commands.get(phase, ()), 1):
                file = folder / f"{phase}-{number}"
                file.write_text(command + "\n", encoding="utf-8")
                written.append(f". {shlex.quote(str(file))}")
            lines.append(f"echo {shlex.quote(ENTERED + phase.upper())}")
            if written:
                failed = (
                    "exit 1"
                    if phase in ("install", "pre_build")
                    else "CODEBUILD_BUILD_SUCCEEDING=0"
                )
                lines.append(f"{{ {' && '.join(written)}; }} || {failed}")
        lines.append('[ "$CODEBUILD_BUILD_SUCCEEDING" = 1 ]')
        script = folder / "buildspec.sh"
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return script


def read_buildspec(text: str) -> Buildspec:
    """The buildspec of a text that is YAML or JSON. Raises `BadBuildspec`."""
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadBuildspec(f"YAML_FILE_ERROR: {error}") from None
    if not isinstance(given, dict) or not isinstance(given.get("phases"), dict):
        raise BadBuildspec("YAML_FILE_ERROR: no phases")
    if str(given.get("version")) != "0.2":
        raise BadBuildspec(f"YAML_FILE_ERROR: version {given.get('version')} is not known here")
    variables = (given.get("env") or {}).get("variables") or {}
    return Buildspec(
        variables={str(name): str(value) for name, value in variables.items()},
        commands={
            phase: tuple(map(_command, (given["phases"].get(phase) or {}).get("commands") or ()))
            for phase in PHASES
        },
    )


def _command(given: Any) -> str:
    if not isinstance(given, str):
        raise BadBuildspec(f"YAML_FILE_ERROR: a command is no text: {given!r}")
    return given
