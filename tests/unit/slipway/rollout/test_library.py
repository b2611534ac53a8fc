"""The page about the library: its examples run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.places import ROOT
from tests.scripted_ecs import ScriptedEcs, becomes_healthy, serve
from tests.unit.slipway.cli.deploy.real import RealClock

PAGE = ROOT / "docs" / "rollout-library.md"


def test_the_examples_of_the_page_run() -> None:
    # GIVEN the page's code, in order, and a service behind a port
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S))
    scripted = ScriptedEcs(clock=RealClock(), behaviour=becomes_healthy(0.0))
    scripted.service["desiredCount"] = 0
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": str(ROOT),
    }

    # WHEN a reader runs it
    with serve(scripted) as url:
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "AWS_ENDPOINT_URL": url},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    # THEN it deploys the image, goes back, and deploys another one step by step
    assert ended.returncode == 0, ended.stderr
    ran = [f"succeeded web:{revision} runs" for revision in (8, 7, 9)]
    assert ended.stdout.splitlines() == ran
    assert scripted.live == "web:9"
    assert len(scripted.made("UpdateService")) == 3


def test_every_file_that_the_page_names_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"`(\w+\.py)`", text):
        assert (ROOT / "slipway" / "rollout" / name).is_file(), name
