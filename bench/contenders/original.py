"""The original pipeline's build script, step by step, as its own description tells it.

Its AWS CLI calls, git and docker are run as it runs them, on the local run's repository, queue and
registry; only its sleep of 300 s is left out. Seconds by step.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers import environment as peers_of
from local.started import Ledger

if TYPE_CHECKING:
    from bench.pushing import LocalRun


class _Steps:
    """Runs commands in one environment, and keeps how long each named step took."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.seconds: dict[str, float] = {}

    def run(self, step: str, *commands: list[str], cwd: Path | None = None) -> str:
        began, output = time.perf_counter(), ""
        for command in commands:
            done = subprocess.run(
                command, env=self._environment, cwd=cwd, capture_output=True, text=True, check=False
            )
            output = done.stdout
        self.seconds[step] = time.perf_counter() - began
        return output


def original_steps(run: LocalRun, pipeline: str) -> dict[str, float]:
    """Seconds of each step after the original's sleep, its clone and its docker cache warm."""
    state = run.state.pipelines[pipeline]
    ledger = Ledger.load(run.workplace)
    docker = (ledger.started.docker_client if ledger else None) or "docker"
    aws = str(peers_of(run.workplace.directory.parent) / "aws")
    steps = _Steps(
        {
            **{k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ},
            "AWS_ENDPOINT_URL": run.state.endpoint_url,
            "AWS_ACCESS_KEY_ID": run.state.prod_account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": run.state.region,
            "DOCKER_HOST": (ledger.started.docker_host if ledger else None) or "",
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(run.workplace.directory / "original-docker"),
        }
    )
    clone = run.workplace.directory / "original"
    steps.run("clone", ["git", "clone", "-q", "-b", state.branch, "--", state.git_url, str(clone)])
    steps.seconds.clear()

    name = run.installation.names.build_queue
    steps.run("queue URL", [aws, "sqs", "get-queue-url", "--queue-name", name])
    count = [aws, "sqs", "get-queue-attributes", "--queue-url", run.state.queue_url,
             "--attribute-names", "ApproximateNumberOfMessages"]  # fmt: skip
    receive = [aws, "sqs", "receive-message", "--queue-url", run.state.queue_url]
    steps.run("drain one message", count, receive, receive, count)
    steps.run("git pull", ["git", "checkout", "-q", state.branch], ["git", "pull", "-q"], cwd=clone)
    registry = run.state.endpoint_url.removeprefix("http://")
    image = f"{registry}/{state.ecr_repository}"
    tag = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    steps.run(
        "docker build",
        [docker, "build", "-q", "--build-arg", "environment=production", "--build-arg",
         f"commit={tag}", "-t", f"{image}:original-{tag}", "."],
        cwd=clone,
    )  # fmt: skip
    password = steps.run("login", [aws, "ecr", "get-login-password"]).strip()
    subprocess.run(
        [docker, "login", "-u", "AWS", "--password-stdin", registry],
        input=password, text=True, env=steps._environment, capture_output=True, check=False,
    )  # fmt: skip
    steps.run("images in ECR", [aws, "ecr", "list-images", "--repository-name",
                                state.ecr_repository])  # fmt: skip
    steps.run("docker push", [docker, "push", "-q", f"{image}:original-{tag}"])
    deploy = Path(__file__).with_name("aws_cli_sequence.py")
    steps.run(
        "ecs-deploy's calls, and looking every 10 s",
        [sys.executable, str(deploy), aws, state.cluster, state.service,
         f"{image}:original-{tag}", "10"],
    )  # fmt: skip
    return steps.seconds
