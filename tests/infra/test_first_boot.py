"""A host's first boot and its second, in a root of its own: the user data at its real paths.

The release is the real one, with its vendored dependencies. What a container cannot have is played:
AWS, the package manager, systemd. Amazon Linux itself is not shown.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.hosts.assets import stage
from infra.hosts.build_hosts import user_data
from slipway.configuration import load
from slipway.configuration.resolve import resolve
from slipway.contracts.names import Names
from tests.infra.templates import EXAMPLE
from tests.skipping import cannot_run

REGION = "eu-central-1"
AWS = """#!/bin/bash
[[ $AWS_DEFAULT_REGION == eu-central-1 ]] || exit 9
case "$1 $2" in
  "ssm get-parameter") [[ $4 == /slipway/agent ]] && cat /cloud/parameter ;;
  "s3 cp") cp "/cloud/$(basename "$4")" "$5" ;;
esac
"""
NOTES = """#!/bin/bash
echo "$(basename "$0") $*" >> /cloud/done
"""
SYSTEMCTL = """#!/bin/bash
case "$*" in
  *is-enabled*) grep -qx "${@: -1}" /cloud/enabled ;;
  enable*) echo "${@: -1}" >> /cloud/enabled ;&
  *) echo "systemctl $*" >> /cloud/done ;;
esac
"""
HAS_ALL = "#!/bin/bash\n"
# The machine's programs read-only, /usr/local and all else the root's own.
ENTER = """
set -euo pipefail
root=$1; shift
for folder in /usr /dev /proc "$PYTHON_HOME"; do
  mkdir -p "$root$folder"
  mount --rbind "$folder" "$root$folder"
done
mount -o remount,ro,bind "$root/usr"
mount --bind "$root/local" "$root/usr/local"
exec chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$@"
"""


@dataclass(frozen=True)
class Root:
    """A host's file system."""

    path: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["unshare", "--mount", "bash", "-c", ENTER, "enter", str(self.path), *command],
            env={**os.environ, "PYTHON_HOME": sys.base_prefix},
            capture_output=True,
            text=True,
            check=False,
        )

    def boots(self) -> subprocess.CompletedProcess[str]:
        """What systemd would do for slipway-boot.service, as the unit says it."""
        unit = (self.path / "etc/systemd/system/slipway-boot.service").read_text()
        settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
        environment = (self.path / settings["EnvironmentFile"].lstrip("/")).read_text().split()
        return self.run(*environment, *shlex.split(settings["ExecStart"]))

    def files(self) -> dict[str, str]:
        """What is there, but for what was asked of systemd."""
        own = ("etc", "opt", "local", "var")
        return {
            str(path.relative_to(self.path)): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in own
            for path in sorted((self.path / folder).rglob("*"))
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
        }

    def done(self) -> list[str]:
        log = self.path / "cloud" / "done"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A bare host whose cloud has a release."""
    path = tmp_path_factory.mktemp("host")
    staged = stage(resolve(load(EXAMPLE)), tmp_path_factory.mktemp("assets"), vendored=True)
    for folder in ("etc/systemd/system", "opt", "run", "var/log", "local/bin", "cloud", "tmp"):
        (path / folder).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (path / name).symlink_to(Path("/", name).readlink())
    python = f'#!/bin/bash\nexec "{Path(sys.base_prefix, "bin", "python3")}" "$@"\n'
    programs = {"aws": AWS, "rpm": HAS_ALL, "python3": python, "python3.13": python}
    programs |= dict.fromkeys(("dnf", "systemd-run", "amazon-cloudwatch-agent-ctl"), NOTES)
    programs["systemctl"] = SYSTEMCTL
    for name, text in programs.items():
        program = path / "local" / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    release = {"bucket": "b", "key": f"{staged.agent_sha256}.tar", "sha256": staged.agent_sha256}
    (path / "cloud" / "parameter").write_text(json.dumps(release))
    (path / "cloud" / release["key"]).write_bytes(staged.agent.read_bytes())
    (path / "cloud" / "user_data").write_text(user_data(Names("slipway"), REGION))
    host = Root(path)
    if host.run("true").returncode != 0:
        cannot_run("needs root, and the right to mount")
    return host


def test_the_user_data_makes_a_host_whose_boot_starts_the_real_agent(root: Root) -> None:
    # WHEN a bare host runs its user data
    first = root.run("bash", "/cloud/user_data")
    assert first.returncode == 0, first.stderr
    # THEN the boot unit is there, enabled, and started without waiting for it
    assert root.done() == [
        "systemctl daemon-reload",
        "systemctl enable slipway-boot.service",
        "systemctl start --no-block slipway-boot.service",
    ]
    # WHEN the unit runs
    boot = root.boots()
    assert boot.returncode == 0, boot.stderr
    # THEN the agent of the parameter is current, and started last
    assert (root.path / "opt/slipway/current").is_symlink()
    assert root.done()[-2:] == [
        f"systemctl {verb} slipway-agent.service" for verb in ("stop", "start")
    ]
    # AND its unit's own command runs, with nothing but what it brought
    unit = (root.path / "etc/systemd/system/slipway-agent.service").read_text().splitlines()
    settings = [line.partition("=")[2] for line in unit if line.startswith("Environment=")]
    (command,) = [line.partition("=")[2] for line in unit if line.startswith("ExecStart=")]
    program, *arguments = shlex.split(command)
    help_text = root.run(*settings, Path(program).name, *arguments, "--help")
    assert help_text.returncode == 0, help_text.stderr
    assert "--work-dir" in help_text.stdout


def test_both_again_change_nothing(root: Root) -> None:
    before = root.files()
    assert any(name.startswith("opt/slipway/releases") for name in before)
    # WHEN user data and boot run once more
    for result in (root.run("bash", "/cloud/user_data"), root.boots()):
        assert result.returncode == 0, result.stderr
    # THEN every file is what it was, nothing is installed again, no agent that runs is stopped
    assert root.files() == before
    assert [line for line in root.done() if "is-active" not in line] == [
        f"systemctl start {unit}"
        for unit in ("docker.service", "slipway-updates.timer", "slipway-agent.service")
    ]
