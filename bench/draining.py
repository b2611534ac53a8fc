"""Draining a queue of pushes: seconds, AWS calls a message, builds, memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3

from bench.emulator import running_emulator
from bench.measure import plain_environment
from bench.report import Bound, Section
from tests.unit.agent.world import make_installation, make_request

ROOT = Path(__file__).resolve().parents[1]
CASES = ((1, 1), (100, 1), (100, 100), (10_000, 1), (10_000, 100))
LARGEST = (10_000, 1)
ALONE_AT_MOST = 1_000


def section() -> Section:
    made = Section(
        title="Draining queued pushes",
        about=(
            "The real worker on the emulator's SQS and DynamoDB, with 10 ms added to every call as"
            " AWS would need; git, docker and ECS answer at once. Beside it: receive one, delete"
            " one, as the original does, without any record of what was dropped; beyond"
            f" {ALONE_AT_MOST:,} messages that is measured on {ALONE_AT_MOST:,} and scaled."
        ),
        columns=(
            "messages", "pipelines", "how", "seconds", "AWS calls", "calls/message", "builds",
            "peak MB",
        ),
    )  # fmt: skip
    took: dict[tuple[int, int, str], dict[str, Any]] = {}
    for messages, pipelines in CASES:
        for mode in ("agent", "one-by-one"):
            cost = _scaled(messages, pipelines, mode)
            took[messages, pipelines, mode] = cost
            made.rows.append(
                (messages, pipelines, mode, cost["seconds"], cost["calls"],
                 cost["calls"] / messages, cost["builds"], cost["peak_mb"])
            )  # fmt: skip
    agent, alone = took[*LARGEST, "agent"], took[*LARGEST, "one-by-one"]
    made.bounds = [
        Bound("drain of 10,000: AWS calls a message", 0.25, agent["calls"] / LARGEST[0]),
        Bound("drain of 10,000: times faster than one by one", 20.0,
              alone["seconds"] / agent["seconds"], at_least=True),
        Bound("drain of 10,000: peak memory, MB", 100.0, agent["peak_mb"]),
    ]  # fmt: skip
    return made


def _scaled(messages: int, pipelines: int, mode: str) -> dict[str, Any]:
    """One by one every message costs the same; a thousand of them tell what more would take."""
    measured = messages if mode == "agent" else min(messages, ALONE_AT_MOST)
    cost = _drain(measured, pipelines, mode)
    times = messages / measured
    return {**cost, "seconds": cost["seconds"] * times, "calls": int(cost["calls"] * times)}


def _drain(messages: int, pipelines: int, mode: str) -> dict[str, Any]:
    queue = make_installation().names.build_queue
    with tempfile.TemporaryDirectory() as data, running_emulator(Path(data)) as endpoint:
        _fill(endpoint, queue, messages, pipelines)
        answer = subprocess.run(
            [sys.executable, "-m", "bench.contenders.drain", endpoint, queue, mode, str(pipelines)],
            cwd=ROOT,
            env=plain_environment(),
            check=True,
            capture_output=True,
            text=True,
        )
    cost: dict[str, Any] = json.loads(answer.stdout)
    return cost


def _fill(endpoint: str, queue: str, messages: int, pipelines: int) -> None:
    sqs = boto3.client(
        "sqs", region_name="us-east-1", endpoint_url=endpoint,
        aws_access_key_id="222222222222", aws_secret_access_key="bench",  # noqa: S106
    )  # fmt: skip
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    now = time.time()
    bodies = [
        make_request(
            number, pipeline=f"p{number % pipelines}", pushed_at=now - messages + number
        ).to_json()
        for number in range(messages)
    ]
    for start in range(0, messages, 10):
        ten = bodies[start : start + 10]
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(ten)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
