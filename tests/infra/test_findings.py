"""cdk-nag and cfn-lint have nothing to say that is not answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from slipway.configuration import CONTEXT_KEY
from tests.infra.templates import CODE_BUILD, EXAMPLE, FULL, LOCAL, OVERFLOW, Stacks
from tests.places import ROOT

WITHOUT_ANSWERS = "import infra.queues; infra.queues.accept = lambda *_: None"


def run_app(
    folder: Path, context: Mapping[str, object], first: str = "pass"
) -> subprocess.CompletedProcess[str]:
    """`app.py` as the CDK CLI runs it, after the statement `first`."""
    environment = {
        **os.environ,
        "CDK_OUTDIR": str(folder),
        "CDK_CONTEXT_JSON": json.dumps(context),
    }
    code = f"{first}; import app, sys; sys.exit(app.main())"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("path", [FULL, OVERFLOW, CODE_BUILD], ids=lambda path: path.stem)
def test_cdk_nag_finds_nothing_that_is_not_explained(path: Path, tmp_path: Path) -> None:
    """The local run's configuration meets cdk-nag at every `slipway local up`."""
    result = run_app(tmp_path, {"configuration": str(path)})
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_finding_without_an_answer_fails_the_synth(tmp_path: Path) -> None:
    result = run_app(tmp_path, {"configuration": str(LOCAL)}, first=WITHOUT_ANSWERS)
    assert result.returncode != 0
    assert "AwsSolutions-SQS3" in result.stdout + result.stderr


def test_a_wrong_configuration_is_told_by_path_without_a_traceback(tmp_path: Path) -> None:
    context = json.loads(EXAMPLE.read_text())["context"]
    context[CONTEXT_KEY]["dev"]["account"] = "12"
    result = run_app(tmp_path, context)
    assert result.returncode == 2
    assert 'configuration: dev.account: "12": must be an account number' in result.stderr
    assert "Traceback" not in result.stderr


def test_cfn_lint_is_silent(
    full: Stacks, example: Stacks, overflow: Stacks, code_build: Stacks, tmp_path: Path
) -> None:
    files = []
    for number, stacks in enumerate((full, example, overflow, code_build)):
        for side in ("dev", "prod"):
            file = tmp_path / f"{number}-{side}.template.json"
            file.write_text(json.dumps(getattr(stacks, side)))
            files.append(str(file))
    linter = Path(sys.executable).with_name("cfn-lint")
    result = subprocess.run(
        [str(linter), *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
