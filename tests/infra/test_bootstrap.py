"""A host's boot script, run for real in a folder, with a fake AWS and a fake systemd."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.hosts.build_hosts import BOOTSTRAP, user_data
from slipway.contracts.names import Names

AGENT = "slipway-agent.service"
STOP, START = f"systemctl stop {AGENT}", f"systemctl start {AGENT}"
AWS = """#!/bin/bash
case "$1 $2" in
  "ssm get-parameter") cat "$CLOUD/parameter" ;;
  "s3 cp") cp "$CLOUD/$(basename "$4")" "$5" ;;
esac
"""


SAYS_WHAT_IT_DOES = """#!/bin/bash
echo "$(basename "$0") $*" >> "$CLOUD/done"
"""


SYSTEMCTL = """#!/bin/bash
case "$*" in
  *is-enabled*) grep -qx "${@: -1}" "$CLOUD/enabled" ;;
  enable*) echo "${@: -1}" >> "$CLOUD/enabled" ;&
  *) echo "systemctl $*" >> "$CLOUD/done" ;;&
  "start slipway-agent.service")
    ! grep -q DOES_NOT_COME_UP "$SLIPWAY_HOME/current/build_agent/__main__.py" ;;
esac
"""


# What it would run in a unit of its own, without the options that come first.
SYSTEMD_RUN = """#!/bin/bash
echo "systemd-run" >> "$CLOUD/done"
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""


RPM = """#!/bin/bash
[[ -e "$CLOUD/installed-$3" ]]
"""


DNF = """#!/bin/bash
echo "dnf $*" >> "$CLOUD/done"
for package in "${@:4}"; do touch "$CLOUD/installed-$package"; done
"""


@dataclass
class Host:
    """A host's file system below `root`, and the cloud that it asks."""

    root: Path

    @property
    def cloud(self) -> Path:
        return self.root / "cloud"

    def release(self, text: str, *, program: str = "", sha256: str | None = None) -> str:
        """Publish an agent that prints `text`; its hash, or the wrong one that is claimed."""
        archive = _archive(f"print({text!r})\n{program}")
        digest = sha256 or hashlib.sha256(archive).hexdigest()
        (self.cloud / f"{digest}.tar").write_bytes(archive)
        parameter = {"bucket": "assets", "key": f"agent/{digest}.tar", "sha256": digest}
        (self.cloud / "parameter").write_text(json.dumps(parameter))
        return digest

    def boot(self) -> subprocess.CompletedProcess[str]:
        """As after power on: what lives in memory is gone."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir()
        return self.script("boot.sh")

    def script(self, name: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one of the bootstrap's scripts as the host would."""
        environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "CLOUD": str(self.cloud),
            "SLIPWAY_AGENT_PARAMETER": "/slipway/agent",
            "SLIPWAY_HOME": str(self.root / "opt"),
            "SLIPWAY_UNIT_DIR": str(self.root / "units"),
            "SLIPWAY_ETC": str(self.root / "etc"),
            "SLIPWAY_RUN": str(self.root / "run"),
            **more,
        }
        return subprocess.run(
            ["bash", str(BOOTSTRAP / name), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def current(self) -> str | None:
        """The release that the agent's unit runs."""
        return self._release_of("current")

    @property
    def good(self) -> str | None:
        """The release that came up last."""
        return self._release_of("good")

    def _release_of(self, name: str) -> str | None:
        link = self.root / "opt" / name
        return link.resolve().name if link.exists() else None

    @property
    def done(self) -> list[str]:
        """What was asked of systemd and the package manager since the last look."""
        log = self.cloud / "done"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


def _archive(program: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, "build_agent/__init__.py", b"")
        _add(tar, "build_agent/__main__.py", program.encode())
        for path in BOOTSTRAP.iterdir():
            _add(tar, f"build_agent/bootstrap/{path.name}", path.read_bytes())
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "cloud").mkdir()
    programs = {"aws": AWS, "rpm": RPM, "dnf": DNF}
    programs |= {"systemctl": SYSTEMCTL, "systemd-run": SYSTEMD_RUN}
    programs["amazon-cloudwatch-agent-ctl"] = SAYS_WHAT_IT_DOES
    programs["python3.13"] = f'#!/bin/bash\nexec "{sys.executable}" "$@"\n'
    for name, program in programs.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(program)
        path.chmod(0o755)
    return Host(tmp_path)


def test_the_first_boot_installs_everything_and_starts_the_agent(host: Host) -> None:
    # GIVEN a bare host and a published agent
    release = host.release("one")
    # WHEN it boots
    result = host.boot()
    # THEN the agent is there, with packages, docker's settings and units, and is started last
    assert result.returncode == 0, result.stderr
    assert host.current == release
    done = host.done
    assert done[0] == "systemd-run"  # dnf in a unit of its own, which a stop waits for
    assert done[1].startswith("dnf install -y")
    assert all(p in done[1] for p in ("docker", "git", "python3.13", "amazon-cloudwatch-agent"))
    assert done[-1] == START
    assert f"systemctl enable {AGENT}" not in done  # the next boot knows its release first
    assert (host.root / "units" / "slipway-agent.service").exists()
    assert json.loads((host.root / "etc" / "docker" / "daemon.json").read_text())
    logs = json.loads((host.root / "etc" / "slipway" / "cloudwatch-agent.json").read_text())
    (group,) = {
        f["log_group_name"] for f in logs["logs"]["logs_collected"]["files"]["collect_list"]
    }
    assert group == Names("slipway").build_log_group


def test_a_second_boot_changes_nothing(host: Host) -> None:
    host.release("one")
    host.boot()
    before = {p: p.stat().st_mtime_ns for p in (host.root / "opt" / "releases").rglob("*")}
    assert host.done
    # WHEN it boots again, with nothing new
    assert host.boot().returncode == 0
    # THEN nothing is installed again, docker is not restarted, the release is as it was
    done = host.done
    assert not [line for line in done if line.startswith(("dnf", "systemd-run"))]
    assert "systemctl restart docker.service" not in done
    assert "systemctl daemon-reload" not in done
    assert {p: p.stat().st_mtime_ns for p in (host.root / "opt" / "releases").rglob("*")} == before


def test_the_next_boot_takes_what_was_published_meanwhile(host: Host) -> None:
    host.release("one")
    host.boot()
    newer = host.release("two")
    assert host.boot().returncode == 0
    assert host.current == newer


def test_the_agent_is_started_once_a_boot_and_stopped_only_for_another_release(host: Host) -> None:
    def agent_was() -> list[str]:
        return [line for line in host.done if line in (STOP, START)]

    # WHEN a host boots, THEN its agent is started once, by the boot alone
    host.release("one")
    host.boot()
    assert agent_was() == [STOP, START]  # (the stop of one that does not run)
    # WHEN the boot unit runs once more while the agent works
    assert host.script("boot.sh").returncode == 0
    # THEN it goes on: starting what runs does nothing
    assert agent_was() == [START]
    # WHEN it runs once more and there is another release, THEN the agent changes over
    host.release("two")
    assert host.script("boot.sh").returncode == 0
    assert agent_was() == [STOP, START]


@pytest.mark.parametrize(
    "fault", ["wrong hash", "broken agent", "does not come up", "no archive", "no parameter"]
)
def test_the_last_good_agent_runs_when_the_new_one_cannot(host: Host, fault: str) -> None:
    # GIVEN a host with a good agent
    good = host.release("one")
    host.boot()
    # WHEN what comes next is not right
    if fault == "wrong hash":
        host.release("two", sha256="0" * 64)
    elif fault == "broken agent":
        host.release("two", program="raise ImportError('broken')")
    elif fault == "does not come up":
        host.release("two", program="# DOES_NOT_COME_UP")
    elif fault == "no archive":
        (host.cloud / f"{host.release('two')}.tar").unlink()
    else:
        (host.cloud / "parameter").unlink()
    host.done  # noqa: B018 - forgets the first boot
    result = host.boot()
    # THEN the good one runs, and the boot says so
    assert result.returncode == 0
    assert host.current == host.good == good
    assert "the last good one runs" in result.stderr
    assert host.done[-1] == START
    assert not list((host.root / "opt" / "releases").glob(".incoming.*"))


def test_a_release_that_was_cut_while_it_came_up_is_not_the_good_one(host: Host) -> None:
    good = host.release("one")
    host.boot()
    # GIVEN a release that does not come up, and a host whose power went before that was known
    bad = host.release("two", program="# DOES_NOT_COME_UP")
    host.boot()
    (host.root / "opt" / "current").unlink()
    (host.root / "opt" / "current").symlink_to(host.root / "opt" / "releases" / bad)
    # WHEN it boots again, THEN it still knows what to go back to
    assert host.boot().returncode == 0
    assert host.current == good


def test_a_first_release_that_does_not_come_up_fails_the_boot_which_is_tried_again(
    host: Host,
) -> None:
    host.release("one", program="# DOES_NOT_COME_UP")
    result = host.boot()
    assert result.returncode == 1
    assert "there is no agent that starts" in result.stderr
    assert host.good is None
    # WHEN there is one that does, THEN the next try takes it
    better = host.release("two")
    assert host.script("boot.sh").returncode == 0
    assert host.good == better


def test_a_host_that_never_had_an_agent_says_so(host: Host) -> None:
    (host.cloud / "parameter").write_text("not json")
    result = host.boot()
    assert result.returncode == 1
    assert "there is no agent that starts" in result.stderr
    assert host.current is None


def test_old_releases_go_and_the_newest_three_stay(host: Host) -> None:
    releases = []
    for number in range(5):
        releases.append(host.release(f"number {number}"))
        host.boot()
    kept = {p.name for p in (host.root / "opt" / "releases").iterdir()}
    assert len(kept) == 3
    assert host.current == releases[-1]
    assert host.current in kept


def test_user_data_is_constant_whole_and_within_ec2_s_limit() -> None:
    """A change of it stops and starts the hosts: let it be a decision, with this hash."""
    script = user_data(Names("slipway"), "eu-central-1")
    assert not re.findall(r"@[a-z_.-]+@", script)
    assert len(script.encode()) < 16_384
    assert hashlib.sha256(script.encode()).hexdigest()[:16] == "42d7ac187f859713"


@pytest.mark.parametrize("name", sorted(p.name for p in BOOTSTRAP.glob("*.sh")))
def test_scripts_are_shellcheck_clean(name: str) -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    result = subprocess.run(
        [str(checker), str(BOOTSTRAP / name)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_updates_wait_until_the_agent_has_nothing_to_do(host: Host) -> None:
    # GIVEN an agent that says twice that it is at work, and then that it is idle
    (host.root / "bin" / "systemctl").write_text(
        '#!/bin/bash\necho "$*" >> "$CLOUD/done"\n'
        '[[ $(wc -l < "$CLOUD/done") -gt 2 ]] && echo idle || echo "at work"\n'
    )
    # WHEN updates are due
    result = host.script("await_idle.sh", SLIPWAY_LOOK_EVERY="0.01")
    # THEN they begin at the third look, at what the agent's own unit says
    assert result.returncode == 0, result.stderr
    assert host.done == ["show --property=StatusText --value slipway-agent.service"] * 3
