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
from tests.unit.build_agent.world import make_installation, make_request

ROOT = Path(__file__).resolve().parents[1]
AGENT, ALONE = "agent", "one-by-one"
CASES = (
    (1, 1, AGENT),
    (1, 1, ALONE),
    (100, 1, AGENT),
    (100, 100, AGENT),
    (100, 1, ALONE),
    (10_000, 1, AGENT),
    (10_000, 100, AGENT),
    (10_000, 1, ALONE),
)
"""Messages, pipelines, how; to one by one it is all the same whose the messages are."""
LARGEST = (10_000, 1)
ALONE_AT_MOST = 500


def section() -> Section:
    """Queues of 1, 100 and 10,000 messages, drained by the worker and one by one."""
    made = Section(
        title="Draining queued pushes",
        about=(
            "The real worker on the emulator's SQS and DynamoDB, with 10 ms added to every call as"
            " AWS would need. Git, docker and ECS answer at once. Beside it stands receive one,"
            " delete one, as the shell script before Slipway did, which keeps no record of what it"
            f" drops. Above {ALONE_AT_MOST:,} messages that is measured on {ALONE_AT_MOST:,} of"
            " them and scaled."
        ),
        columns=(
            "messages", "pipelines", "how", "seconds", "CPU s", "AWS calls", "calls/message",
            "builds", "peak MB",
        ),
    )  # fmt: skip
    took: dict[tuple[int, int, str], dict[str, Any]] = {}
    for messages, pipelines, mode in CASES:
        cost = took[messages, pipelines, mode] = _scaled(messages, pipelines, mode)
        made.rows.append(
            (messages, pipelines, mode, cost["seconds"], cost["cpu"], cost["calls"],
             cost["calls"] / messages, cost["builds"], cost["peak_mb"])
        )  # fmt: skip
    one, agent, alone = took[1, 1, AGENT], took[*LARGEST, AGENT], took[*LARGEST, ALONE]
    made.remarks.append(
        f"Of the {agent['calls']:,} calls for {LARGEST[0]:,} messages of one pipeline"
        f" {one['calls']} are one deployment's own, as for one message. A hundred pipelines are a"
        " hundred deployments, whose calls are counted as well."
    )
    made.bounds = [
        Bound("drain of 10,000: AWS calls a message", 0.25, agent["calls"] / LARGEST[0]),
        Bound(
            "drain of 10,000: times faster than one by one", 20.0,
            alone["seconds"] / agent["seconds"], at_least=True,
            why_not=(
                f"{agent['cpu']:.1f} of the agent's {agent['seconds']:.1f} s are its own CPU time"
                f" ({agent['cpu'] / agent['calls'] * 1e3:.1f} ms a call to check, sign and read ten"
                " messages), most of the rest the emulator's on the same cores. The 10 ms a call,"
                f" ten at once, are {agent['calls'] * 0.001:.1f} s"
            ),
        ),
        Bound("drain of 10,000: peak memory, MB", 100.0, agent["peak_mb"]),
        Bound("drain of 10,000: MB more than for one message", 10.0,
              agent["peak_mb"] - one["peak_mb"]),
    ]  # fmt: skip
    return made


def _scaled(messages: int, pipelines: int, mode: str) -> dict[str, Any]:
    """What it takes; one by one only some are drained."""
    measured = messages if mode == AGENT else min(messages, ALONE_AT_MOST)
    cost = _drain(messages, measured, pipelines, mode)
    times = messages / measured
    scaled = {name: cost[name] * times for name in ("seconds", "cpu")}
    return {**cost, **scaled, "calls": int(cost["calls"] * times)}


def _drain(filled: int, drained: int, pipelines: int, mode: str) -> dict[str, Any]:
    queue = make_installation().names.build_queue
    arguments = [queue, mode, str(pipelines), str(drained)]
    with tempfile.TemporaryDirectory() as data, running_emulator(Path(data)) as endpoint:
        _fill(endpoint, queue, filled, pipelines)
        answer = subprocess.run(
            [sys.executable, "-m", "bench.contenders.drain", endpoint, *arguments],
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
