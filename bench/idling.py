"""The agent while it idles: its calls in a simulated hour; its memory and CPU for real."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

import boto3
import psutil
from moto import mock_aws

from bench.local_run import LocalRun
from bench.measure import peak_mb
from bench.report import Section
from build_agent.queue.inbox import Message
from build_agent.worker import LOOK_EVERY, Worker
from local.state import read_state
from slipway.cost.prices import OF_AWS
from tests.unit.build_agent.world import World, make_installation

HOUR = 3_600.0
DOLLARS = {"ReceiveMessage": 0.4e-6, "Publish": 0.5e-6, "UpdateItem": 0.625e-6, "GetItem": 0.125e-6}
"""$ a call, us-east-1: SQS, SNS, DynamoDB on demand."""


WATCHED = 30.0
"""Seconds that the real agent is watched."""


def process_section(run: LocalRun) -> Section:
    """The agent of a host that is held awake in `run`, after its deployments."""
    pid = read_state(run.workplace).hosts[0].agent_pid
    assert pid is not None  # noqa: S101 - its host is held awake
    time.sleep(2 * run.installation.limits.idle_period)
    process = psutil.Process(pid)
    before = _cpu_seconds(process)
    time.sleep(WATCHED)
    cpu = _cpu_seconds(process) - before
    return Section(
        title="The agent's process while it idles",
        about=(
            f"In the local run, after its deployments: its host is held awake, it has said that it"
            f" idles and looks every second. CPU over {WATCHED:.0f} s."
        ),
        columns=("", ""),
        rows=[
            ("resident memory, MB", process.memory_info().rss / (1 << 20)),
            ("most it ever was, MB", peak_mb(pid)),
            ("CPU, % of a core", 100.0 * cpu / WATCHED),
        ],
    )


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def section() -> Section:
    """What an agent that has nothing to do asks of AWS in an hour."""
    calls = _calls_of_an_hour()
    made = Section(
        title="The agent while it idles",
        about=(
            "Production's limits, nothing to do, no stop: the worker's real steps and the keeper's"
            " real beats over one hour of a clock that jumps. Once it has said that it is idle it"
            " looks every second, because its stop may come at any time; it comes within seconds,"
            " so this is what a held host costs."
        ),
        columns=("call", "an hour", "$ a month, awake all the time"),
    )
    for name, count in sorted(calls.items(), key=lambda item: -item[1]):
        made.rows.append((name, count, count * 730 * DOLLARS.get(name, 0.5e-6)))
    made.rows.append(("in all", sum(calls.values()), ""))
    made.remarks.append(
        f"A custom metric costs ${OF_AWS.metric_month:.2f} a month whether the agent idles or not."
    )
    return made


@mock_aws
def _calls_of_an_hour() -> Counter[str]:
    logging.getLogger("slipway").setLevel(logging.ERROR)
    calls: Counter[str] = Counter()

    def client(service: str, **options: Any) -> Any:
        made = boto3.client(
            service, aws_access_key_id="bench", aws_secret_access_key="bench", **options  # noqa: S106
        )  # fmt: skip
        made.meta.events.register(
            f"before-call.{service}", lambda model, **_ignored: calls.update([model.name])
        )
        return made

    installation = make_installation()
    world = World(client, installation)
    worker = world.worker()
    worker.step()
    calls.clear()
    published = len(world.topic.published)
    ends = world.clock.now() + HOUR
    beat_at = world.clock.now() + installation.limits.heartbeat
    _let_time_pass(worker, world)
    while world.clock.now() < ends:
        worker.step()
        while beat_at <= world.clock.now():
            world.keeper.beat()
            beat_at += installation.limits.heartbeat
    calls["Publish"] += len(world.topic.published) - published
    return calls


def _let_time_pass(worker: Worker, world: World) -> None:
    """A receive takes as long as it may wait, or as long as the worker pauses where it may not."""
    receive = worker._inbox.receive

    def patient(wait: float) -> list[Message]:
        world.clock.pass_by(wait or LOOK_EVERY)
        return receive(wait)

    worker._inbox.receive = patient  # type: ignore[method-assign]
