"""What a newcomer opens first says what is true: make's help, the hooks, the changelog."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.version import Version

from tests.places import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
OF_MAKE = {"MAKELEVEL", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES"}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run as a newcomer does: without the level and the flags of a make that runs these tests."""
    own = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)


def test_make_help_names_every_target() -> None:
    targets = {
        name for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M) for name in line.split()
    }
    told = dict(line.split(maxsplit=1) for line in run("make", "help").stdout.splitlines())
    assert set(told) == targets
    # AND whatever stands before a colon and is no file is such a target
    rules = set(re.findall(r"^([a-z0-9-]+):(?!=)", MAKEFILE, re.M))
    assert rules == targets


def test_one_test_is_run_by_its_name() -> None:
    asked = run("make", "-n", "-o", "setup", "test-one", "FILE=tests/unit/test_front_door.py::x")
    assert asked.stdout.splitlines()[-1] == ".venv/bin/pytest 'tests/unit/test_front_door.py::x'"
    refused = run("make", "-o", "setup", "test-one", "FILE=")
    assert refused.returncode == 2
    assert "make test-one: name the file" in refused.stderr


def test_the_hooks_are_hooks_of_tools_that_are_pinned() -> None:
    file = ROOT / ".pre-commit-config.yaml"
    valid = run(str(Path(sys.executable).parent / "pre-commit"), "validate-config", str(file))
    assert valid.returncode == 0, valid.stdout
    pinned = (ROOT / "requirements-dev.txt").read_text()
    for repository in yaml.safe_load(file.read_text())["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
            assert f"\n{tool}==" in pinned


def test_the_changelog_s_newest_release_is_this_one() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[([0-9.]+)\] - (unreleased|\d{4}-\d\d-\d\d)$", text, re.M)
    assert releases[0][0] == VERSION
    versions = [Version(name) for name, _ in releases]
    assert versions == sorted(versions, reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= kinds


def test_the_version_stands_in_one_place() -> None:
    listed = run("git", "grep", "-lwF", f'"{VERSION}"', "--", "*.py", "*.toml", "*.cfg").stdout
    assert listed.splitlines() == ["pyproject.toml"]
