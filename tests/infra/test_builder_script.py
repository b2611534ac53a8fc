"""A builder's script, run for real in a folder, with a fake AWS; and as CodeBuild runs it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.builders.buildspec import PLACE, SCRIPT, buildspec
from slipway.configuration.builders import IMAGES
from tests.infra.test_bootstrap import AWS, _archive

AGENT = """
import json, os, pathlib, sys
if sys.argv[1] == "run":
    print(json.dumps({"words": sys.argv[1:], "path": sys.path, "cwd": os.getcwd(),
        "settings": os.environ["SLIPWAY_INSTALLATION"]}))
    sys.exit(int(os.environ.get("ENDS", "0")))
"""


@dataclass
class Build:
    """A build's file system below `root`, and the cloud that it asks."""

    root: Path

    def release(self, sha256: str | None = None) -> str:
        """Publish an agent; its hash, or the wrong one that is claimed."""
        archive = _archive(AGENT)
        digest = sha256 or hashlib.sha256(archive).hexdigest()
        (self.root / "cloud" / f"{digest}.tar").write_bytes(archive)
        parameter = {"bucket": "assets", "key": f"agent/{digest}.tar", "sha256": digest}
        (self.root / "cloud" / "parameter").write_text(json.dumps(parameter))
        return digest

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The script, or another command, with the variables that a build has."""
        environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "CLOUD": str(self.root / "cloud"),
            "SLIPWAY_HOME": str(self.root / "opt"),
            "SLIPWAY_AGENT_PARAMETER": "/slipway/agent",
            "SLIPWAY_PIPELINE": "shop",
            "SLIPWAY_GENERATION": "7",
            **more,
        }
        return subprocess.run(
            command or ("bash", str(SCRIPT)),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def build(tmp_path: Path) -> Build:
    for folder in ("bin", "cloud"):
        (tmp_path / folder).mkdir()
    (tmp_path / "bin" / "aws").write_text(AWS)
    (tmp_path / "bin" / "aws").chmod(0o755)
    return Build(tmp_path)


def test_the_agent_that_the_parameter_names_runs_for_the_pipeline(build: Build) -> None:
    build.release()
    result = build.run()
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    work, release = str(build.root / "opt/work"), str(build.root / "opt/release")
    words = ["run", "--pipeline", "shop", "--generation", "7", "--until-done", "--work-dir", work]
    assert said["words"] == words
    # AND with what it brings with it, its own settings, and in its own folder
    assert f"{release}/vendor" in said["path"]
    assert said["settings"] == f"{release}/installation.json"
    assert said["cwd"] == work


def test_an_agent_of_another_hash_is_not_run(build: Build) -> None:
    build.release(sha256="0" * 64)
    result = build.run()
    assert (result.returncode, result.stdout) == (1, "")
    assert "could not be had whole" in result.stderr


@pytest.mark.parametrize("parameter", ["", "{}", '{"sha256": "x", "bucket": "b", "key": "k"}'])
def test_a_parameter_that_says_nothing_ends_the_build(build: Build, parameter: str) -> None:
    (build.root / "cloud" / "parameter").write_text(parameter)
    assert build.run().returncode != 0


@pytest.mark.parametrize("missing", ["SLIPWAY_PIPELINE", "SLIPWAY_GENERATION"])
def test_a_build_without_its_variables_ends(build: Build, missing: str) -> None:
    build.release()
    result = build.run("env", "-u", missing, "bash", str(SCRIPT))
    assert result.returncode != 0
    assert missing in result.stderr


def test_the_commands_of_the_buildspec_do_the_same(build: Build) -> None:
    """CodeBuild runs each in its shell; the agent's exit code is the build's."""
    build.release()
    write, run = json.loads(buildspec(IMAGES["x86_64"]))["phases"]["build"]["commands"]
    place = build.root / "script.sh"
    both = "\n".join((write, run)).replace(PLACE, str(place))
    assert build.run("bash", "-c", both).returncode == 0
    assert place.read_text() == SCRIPT.read_text(encoding="utf-8")
    assert build.run("bash", "-c", "rm -rf $SLIPWAY_HOME\n" + both, ENDS="3").returncode == 3
