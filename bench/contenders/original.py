"""The original pipeline's build script, step by step, as its own description tells it.

Its AWS CLI calls, git and docker are run as it runs them, on the local run's repository, queue and
registry; only its sleep of 300 s is left out. Slipway's pipeline is paused meanwhile.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers import environment as peers_of
from local.started import Ledger

if TYPE_CHECKING:
    from bench.local_run import LocalRun

COMMITS = 3
PULL, BUILD, PUSH = "git pull", "docker build", "docker push"


@dataclass(frozen=True)
class Original:
    """Seconds of each step after the original's sleep; git's and docker's are medians."""

    seconds: dict[str, float]

    @property
    def whole(self) -> float:
        return sum(self.seconds.values())

    @property
    def themselves(self) -> float:
        """What git and docker alone need for a commit."""
        return sum(self.seconds[step] for step in (PULL, BUILD, PUSH))


class _Steps:
    """Runs commands in one environment, and keeps how long each named step took."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def run(
        self, step: str, *commands: list[str], cwd: Path | None = None, text: str | None = None
    ) -> str:
        """The last command's output. RuntimeError if one fails: a step that fails is soon done."""
        began, output = time.perf_counter(), ""
        for command in commands:
            done = subprocess.run(
                command, env=self._environment, cwd=cwd, input=text, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"the original's {step!r} failed: {done.stderr[-500:]}")
            output = done.stdout
        self.seconds[step].append(time.perf_counter() - began)
        return output


def original_steps(run: LocalRun, work: Path) -> Original:
    """Its steps for one push, its clone and its docker cache warm; git and docker several times."""
    state = run.pipeline
    ledger = Ledger.load(run.workplace)
    docker = (ledger.started.docker_client if ledger else None) or "docker"
    program = str(peers_of(work) / "aws")
    aws = [program, "--endpoint-url", run.state.endpoint_url]  # its SQS ignores the variable
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
    registry = run.state.endpoint_url.removeprefix("http://")
    repository = f"{registry}/{state.ecr_repository}"
    queue, name = run.state.queue_url, run.installation.names.build_queue
    clone = run.workplace.directory / "original"
    shutil.rmtree(clone, ignore_errors=True)
    run.pause()
    steps.run("clone", ["git", "clone", "-q", "-b", state.branch, "--", state.git_url, str(clone)])
    steps.run("the command's own first start", [program, "--version"])
    steps.seconds.clear()

    steps.run("queue URL", [*aws, "sqs", "get-queue-url", "--queue-name", name])
    count = [*aws, "sqs", "get-queue-attributes", "--queue-url", queue, "--attribute-names",
             "ApproximateNumberOfMessages"]  # fmt: skip
    receive = [*aws, "sqs", "receive-message", "--queue-url", queue, "--wait-time-seconds", "0"]
    steps.run("drain one message", count, receive, receive, count)
    password = steps.run("login", [*aws, "ecr", "get-login-password"]).strip()
    steps.run("docker login", [docker, "login", "-u", "AWS", "--password-stdin", registry],
              text=password)  # fmt: skip
    for number in range(COMMITS):
        run.push()
        steps.run(PULL, ["git", "checkout", "-q", state.branch], ["git", "pull", "-q"], cwd=clone)
        image = f"{repository}:original-{number}"
        steps.run(
            BUILD,
            [docker, "build", "-q", "--build-arg", "environment=production", "--build-arg",
             f"commit={number}", "-t", image, "."],
            cwd=clone,
        )  # fmt: skip
        steps.run(PUSH, [docker, "push", "-q", image])
    steps.run("images in ECR", [*aws, "ecr", "list-images", "--repository-name",
                                state.ecr_repository])  # fmt: skip
    deploy = Path(__file__).with_name("aws_cli_sequence.py")
    steps.run(
        "ecs-deploy's calls, and looking every 10 s",
        [sys.executable, str(deploy), program, state.cluster, state.service, image, "10"],
    )  # fmt: skip
    return Original({name: statistics.median(times) for name, times in steps.seconds.items()})
