"""Drains a build queue, as the agent does or one message at a time, and prints what it took.

Arguments: ENDPOINT QUEUE MODE PIPELINES MESSAGES, MODE being `agent` (which drains all) or
`one-by-one`. Prints JSON: seconds, CPU seconds, AWS calls, builds, peak resident memory in MB. The
agent is the real one but for source, images and service, which answer at once; no image is in ECR.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import boto3
from botocore.config import Config

from bench.measure import peak_mb
from build_agent.assemble import THREADS
from build_agent.host.parallel import Threads
from tests.unit.build_agent.world import World, make_installation, make_pipeline

LATENCY = 0.01
"""Seconds added to every call: about what AWS needs to answer within a region."""


class Calls:
    """Clients that count what they send, and wait for AWS as one would in AWS."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self.count = 0

    def client(self, service: str, **_ignored: Any) -> Any:
        config = Config(max_pool_connections=20)
        made = boto3.client(
            service, region_name="us-east-1", endpoint_url=self._endpoint, config=config
        )
        made.meta.events.register(f"before-send.{service}", self._counted)
        return made

    def _counted(self, **_ignored: Any) -> None:
        self.count += 1
        time.sleep(LATENCY)


class WallClock:
    """The machine's clock, for a worker that is measured."""

    def now(self) -> float:
        return time.time()


def by_agent(calls: Calls, pipelines: int) -> int:
    """Work until nothing is left; the number of builds."""
    names = [f"p{number}" for number in range(pipelines)]
    installation = make_installation(pipelines=tuple(make_pipeline(name) for name in names))
    world = World(calls.client, installation)
    world.clock = WallClock()  # type: ignore[assignment]
    world.images.find = lambda _image, _tag: None  # type: ignore[method-assign]
    worker = world.worker(parallel=Threads(THREADS))
    calls.count = 0
    while worker.step() == "worked":
        pass
    return len(world.images.built)


def one_by_one(calls: Calls, queue: str, count: int) -> int:
    """Receive one, delete one, as the original does; it builds once for all of them."""
    sqs = calls.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    calls.count = 0
    for _ in range(count):
        messages = sqs.receive_message(QueueUrl=url)["Messages"]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
    return 1


def main(endpoint: str, queue: str, mode: str, pipelines: int, count: int) -> None:
    """Drain the queue in one of the ways and print what it took, as JSON."""
    calls = Calls(endpoint)
    started, cpu = time.perf_counter(), time.process_time()
    builds = by_agent(calls, pipelines) if mode == "agent" else one_by_one(calls, queue, count)
    answer = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "calls": calls.count,
        "builds": builds,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
