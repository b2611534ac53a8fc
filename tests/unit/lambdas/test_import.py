"""What a cold start costs: at import a handler reads nothing of ours and needs no heavy wheel.

boto3 is among the heavy ones: botocore's own session makes the same clients.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HANDLERS = ["trigger", "starter", "stopper", "follower", "reconciler"]
HEAVY = {"pydantic", "requests", "aws_xray_sdk", "click", "rich", "boto3"}
NOT_WANTED = {
    "trigger": HEAVY | {"slipway.contracts.table"},
    "follower": HEAVY | {"slipway.rollout.schedules", "slipway.rollout.scheduled"},
}
"""The trigger only publishes: it needs no table. What only some rollouts need comes with them."""


@pytest.mark.parametrize("name", HANDLERS)
def test_importing_a_handler_reads_no_variable_and_no_heavy_module(name):
    # GIVEN an environment without any variable of ours, and no settings file
    code = (
        f"import sys; from lambdas.{name}.handler import handler; assert callable(handler);"
        f"heavy = {NOT_WANTED.get(name, HEAVY)} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLIPWAY", "AWS_"))}
    # WHEN it is imported, THEN it succeeds and brings in none of them
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
