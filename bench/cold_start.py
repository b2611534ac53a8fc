"""Cold start of each Lambda, beside a handler of ten lines that makes the same boto3 clients."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.measure import plain_environment
from bench.report import Bound, Section
from tests.unit.build_agent.world import make_installation

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = {
    "trigger": ("sns",),
    "starter": ("sns", "dynamodb", "ec2", "sqs"),
    "stopper": ("sns", "dynamodb", "ec2", "sqs"),
    "follower": ("sns", "dynamodb", "ecs", "sqs"),
    "reconciler": ("sns", "dynamodb", "ec2", "sqs"),
    "notifier": ("dynamodb", "ssm", "sqs"),
}
"""The clients that each function makes before its first call."""


def section(*, rounds: int = 9) -> Section:
    """Each handler with its clients beside ten lines that make the same clients."""
    made = Section(
        title="Cold start of the Lambdas",
        about=(
            "Import of the handler and the making of its clients, in a fresh interpreter (x86_64,"
            " with .pyc files), beside `import boto3` and the same clients with nothing else: no"
            " logger, no metrics. Seconds and peak MB, medians. What AWS adds (its runtime, the"
            " download of the code) is not shown here."
        ),
        columns=("function", "import s", "clients s", "total s", "ten lines s", "ratio", "peak MB"),
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = function_environment(Path(folder))
        for function, clients in CLIENTS.items():
            ours, plain = _in_turns(function, clients, environment, rounds)
            total, ten = ours["import"] + ours["clients"], plain["import"] + plain["clients"]
            made.rows.append(
                (function, ours["import"], ours["clients"], total, ten, total / ten,
                 ours["peak_mb"])
            )  # fmt: skip
            made.bounds.append(Bound(f"cold start: {function} / ten lines", 1.3, total / ten))
    return made


def function_environment(folder: Path) -> dict[str, str]:
    """What a function finds in its environment; its settings are written to `folder`."""
    settings = folder / "installation.json"
    settings.write_text(make_installation().to_json(), encoding="utf-8")
    return plain_environment(
        SLIPWAY_INSTALLATION=str(settings),
        SLIPWAY_HOSTS="i-1",
        SLIPWAY_BUILD_QUEUE_URL="https://sqs.us-east-1.amazonaws.com/222222222222/slipway-build",
    )


def agent_start(*, rounds: int = 3) -> dict[str, float]:
    """Seconds of the agent's import and of making its clients, medians; `peak_mb`."""
    return _median([_start(["agent"], plain_environment()) for _ in range(rounds)])


def _in_turns(
    function: str, clients: Sequence[str], environment: dict[str, str], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    ours, plain = [], []
    for turn in range(rounds + 1):
        one = _start([function], environment)
        other = _start(["ten-lines", *clients], environment)
        if turn:
            ours.append(one)
            plain.append(other)
    return _median(ours), _median(plain)


def _start(arguments: Sequence[str], environment: dict[str, str]) -> dict[str, float]:
    answer = subprocess.run(
        [sys.executable, "-m", "bench.contenders.cold", *arguments],
        cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    cost: dict[str, float] = json.loads(answer.stdout)
    return cost


def _median(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}
