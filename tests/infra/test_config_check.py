"""`slipway config check` tells the faults of a file; the pages are the model's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from slipway.cli.verbs.config import command
from slipway.configuration import load
from slipway.configuration.reference import TARGET, document
from slipway.contracts.errors import InvalidConfiguration
from tests.infra.templates import LOCAL, UNPREPARED
from tests.infra.test_configuration import changed
from tests.places import ROOT


def test_the_command_says_all_faults_and_exits_2(tmp_path: Path) -> None:
    # GIVEN a file with a fault
    file = tmp_path / "configuration.json"
    file.write_text(json.dumps(changed("dev.account", "12")))
    # WHEN it is checked, for a tool
    result = CliRunner().invoke(command, ["check", "--json", str(file)])
    # THEN the fault is there, and the exit code is that of wrong use
    assert result.exit_code == 2
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["path"] == "dev.account"
    assert "12 digits" in problem["problem"]


def test_the_command_accepts_what_is_right_and_a_local_run_of_placeholders() -> None:
    for path in (UNPREPARED, LOCAL):
        result = CliRunner().invoke(command, ["check", str(path)])
        assert result.exit_code == 0
        assert "is valid" in result.stdout


def test_what_is_left_of_the_example_is_told_with_the_commands_that_help(tmp_path: Path) -> None:
    # GIVEN the example as it is, and with an image of zeros
    file = tmp_path / "configuration.json"
    file.write_text(json.dumps(changed("buildHost.ami", "ami-00000000000000000")))
    result = CliRunner().invoke(command, ["check", "--json", str(file)])
    # THEN a synth would take it, and nobody could deploy it
    assert result.exit_code == 2
    faults = {fault["path"]: fault["problem"] for fault in json.loads(result.stdout)["problems"]}
    assert set(faults) == {"dev.account", "prod.account", "buildHost.ami"}
    assert "aws sts get-caller-identity" in faults["prod.account"]
    for command_line in (
        "`slipway prepare`",
        "aws ssm get-parameter --region eu-central-1",
        "--name /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64`",
    ):
        assert command_line in faults["buildHost.ami"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not JSON"), ('{"app": "x"}', "is missing"), (None, "cannot read")],
)
def test_a_file_that_is_none_is_told(content: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "cdk.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidConfiguration, match=said):
        load(file)


def test_checking_needs_no_cdk() -> None:
    modules = "slipway.cli.verbs.config, slipway.configuration.resolve"
    code = f"import sys, {modules}; sys.exit('aws_cdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_document_is_the_model_s() -> None:
    """`python -m slipway.configuration.reference` writes docs/configuration.md anew."""
    assert TARGET == ROOT / "docs" / "configuration.md"
    assert TARGET.read_text(encoding="utf-8") == document()
