"""The host's units: as systemd takes them, and as people are told of them."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from build_agent.host.systemd import SAY_EVERY
from infra.hosts.build_hosts import BOOTSTRAP
from slipway.cli.doctor.installation_checks import LOOK_AT_HOST
from tests.skipping import cannot_run


def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    """`systemd-analyze verify` in a root with the programs that the units name."""
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    programs = re.compile(r"^Exec\w*=(?:[-@:+!]*)(/\S+)|^  (/\S+)", re.MULTILINE)
    names = sorted(p.name for p in BOOTSTRAP.iterdir() if p.suffix in (".service", ".timer"))
    for name in ("sysinit.target", "basic.target", "shutdown.target", "network-online.target"):
        (units / name).write_text("[Unit]\n")
    (units / "docker.service").write_text("[Service]\nExecStart=/usr/bin/dnf\n")
    for name in names:
        text = (BOOTSTRAP / name).read_text(encoding="utf-8")
        (units / name).write_text(text, encoding="utf-8")
        for program in (a or b for a, b in programs.findall(text)):
            path = tmp_path / program.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)
    if not shutil.which("systemd-analyze"):
        cannot_run("systemd is not installed")
    result = subprocess.run(
        ["systemd-analyze", "verify", f"--root={tmp_path}", "--man=no", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in result.stderr.splitlines() if "slipway" in line]
    assert ours == []
    assert len(names) == 5


def test_the_agent_s_unit_restarts_it_watches_it_and_saves_it_from_a_full_memory() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(BOOTSTRAP / "slipway-agent.service")
    service = unit["Service"]
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"  # it is never given up
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert float(service["WatchdogSec"]) > 2 * SAY_EVERY
    assert int(service["OOMScoreAdjust"]) < -500
    assert service["OOMPolicy"] == "continue"
    # AND a stop gives it the time to give its requests back
    assert (service["KillMode"], service["KillSignal"]) == ("mixed", "SIGTERM")
    assert float(service["TimeoutStopSec"]) >= 30


def test_what_people_are_told_to_look_at_is_a_unit_or_a_log_of_a_host() -> None:
    # GIVEN what `doctor` and the operating page tell
    page = Path(BOOTSTRAP, "..", "..", "docs", "operating.md").read_text(encoding="utf-8")
    told = LOOK_AT_HOST + page[page.index("### On a host") : page.index("### Alarms")]
    # THEN each unit is one of ours, or the one that packages are installed in
    packages = re.search(r"--unit=([\w-]+)", (BOOTSTRAP / "packages.sh").read_text())
    assert packages is not None
    units = {p.stem for p in BOOTSTRAP.glob("slipway-*.service")} | {packages[1]}
    named = set(re.findall(r"\bslipway-(?:boot|agent|updates|packages)[\w-]*", told))
    assert named <= units
    assert {"slipway-boot", "slipway-agent"} <= named
    # AND each log is where a unit writes, and is shipped
    logs = set(re.findall(r"/var/log/slipway/\w+\.log", told))
    written = {
        line.partition("append:")[2]
        for path in BOOTSTRAP.glob("*.service")
        for line in path.read_text().splitlines()
        if "append:" in line and not line.startswith("#")
    }
    shipped = json.loads((BOOTSTRAP / "cloudwatch-agent.json").read_text())
    collected = shipped["logs"]["logs_collected"]["files"]["collect_list"]
    assert logs == written == {entry["file_path"] for entry in collected}


@pytest.mark.parametrize("path", sorted(BOOTSTRAP.glob("*.service")), ids=lambda p: p.name)
def test_a_unit_with_a_log_requires_what_makes_its_folder(path: Path) -> None:
    """systemd opens the file before it makes a LogsDirectory= (its issue 27591)."""
    text = path.read_text()
    for log in re.findall(r"^Standard\w+=append:/var/log/slipway/(\w+)\.log$", text, re.MULTILINE):
        for setting in ("Requires", "After"):
            assert re.search(rf"^{setting}=.*\bslipway-log@{log}\.service", text, re.MULTILINE)
