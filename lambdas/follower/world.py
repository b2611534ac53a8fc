"""What the follower works with: AWS's clients, made once and only when first needed."""

from __future__ import annotations

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.shared.clients import client, client_as, installation
from lambdas.shared.observability import logger
from slipway.contracts.installation import Installation, PipelineSettings
from slipway.contracts.messages import BuildRequest
from slipway.contracts.requesting import dead_letter, publish_request
from slipway.contracts.table import Table
from slipway.following.closing import Closer
from slipway.following.containers import ContainersOutput
from slipway.following.differences import touched_by
from slipway.following.ending import Ending, Publish
from slipway.following.follower import Follower, FollowerParts
from slipway.following.means import RolloutClients, visits
from slipway.following.messages import follow_queue
from slipway.following.record import Recorder
from slipway.following.registry import Registry
from slipway.following.service import Running, running_now
from slipway.rollout.clock import StepClock
from slipway.rollout.fence import Fence

BUDGET = 6.0
"""Seconds after which an invocation takes no further step of any rollout."""
_ONCE = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1})
"""For what a rollout calls: it counts its own tries."""
LINE_CHARACTERS = 8192
LONGEST_AWAITED = 120.0
"""Seconds: less than the time for which the follow queue hides a message that is worked on."""


class InvocationClock(StepClock):
    """The time in a function that stands still between its invocations. A step never sleeps."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class Said:
    """Where the parts that agent and follower share say what they do."""

    def info(self, message: str, **fields: Any) -> None:
        logger.info(message, extra=fields)

    def warning(self, message: str, **fields: Any) -> None:
        logger.warning(message, extra=fields)


@dataclass(frozen=True, kw_only=True)
class World:
    """What a handler acts on; a test or a simulation puts its own in its place.

    `tip`: the commit that a pipeline's branch is at, None where the dev account does not answer.
    `touched`: whether the pipeline's paths differ between two commits, None where that is not said.
    `again(request, delay)` lets a request come again on the follow queue, after so many seconds.
    `until`: when this invocation takes no further step, seconds since the epoch.
    """

    until: float
    installation: Installation
    table: Table
    parts: FollowerParts
    recorder: Recorder
    registry: Registry
    running: Callable[[PipelineSettings], Running]
    tip: Callable[[PipelineSettings], str | None]
    touched: Callable[[PipelineSettings, str, str], bool | None]
    publish: Publish
    again: Callable[[BuildRequest, float], None]

    @property
    def follower(self) -> Follower:
        """Takes the steps of rollouts."""
        return Follower(self.parts)

    def come_again(self, request: BuildRequest, delay: float, *, surely: bool = False) -> None:
        """Let a request that waits come again: by one message, however often it was delivered.

        Else each delivery would bring another, and they would multiply. Who dies before it is sent
        was at a message that the queue brings back: by then none is awaited, and another is sent.
        `surely`: what failed may have been the sending of the one that is awaited.
        """
        now = self.parts.now()
        until = now + min(delay / 2, LONGEST_AWAITED) * (1 - self.parts.jitter() / 10)
        if self.table.wants.await_next(request, now, until, due=now + delay) or surely:
            self.again(request, delay)


def world(invocation: str) -> World:
    """Everything that the follower needs; `invocation` tells its claims from another one's."""
    settings = installation()
    table = Table(client("dynamodb"), settings.names.table)
    closer = Closer(client("sns"), settings, None, InvocationClock())
    registry = Registry(lambda: client("ecr", _ONCE), settings.names)
    send = follow_queue(client("sqs"), settings.names)
    return World(
        until=time.time() + BUDGET,
        installation=settings,
        table=table,
        recorder=Recorder(
            table, installation=settings, host=None, closer=closer, clock=InvocationClock()
        ),
        registry=registry,
        running=lambda pipeline: running_now(
            client("ecs", _ONCE), pipeline, InvocationClock(), patience=0.0
        ),
        tip=_tip,
        touched=_touched,
        publish=_publish,
        again=send,
        parts=FollowerParts(
            name=f"the follower/{invocation}",
            installation=settings,
            table=table,
            now=time.time,
            means=_rollouts().means,
            send=send,
            ending=_ending(settings, table, closer, registry),
            jitter=random.random,
        ),
    )


@functools.cache
def _rollouts() -> RolloutClients:
    fence = Fence(time.time)
    return RolloutClients(
        ecs=fence.around(client("ecs", _ONCE)),
        fence=fence,
        clock=InvocationClock(),
        patience=0.0,
        ecr=lambda: client("ecr", _ONCE),
        codedeploy=lambda: fence.around(client("codedeploy", _ONCE)),
        balancing=lambda: client("elbv2", _ONCE),
        events=lambda: fence.around(client("events", _ONCE)),
        scheduler=lambda: fence.around(client("scheduler", _ONCE)),
        cloudwatch=lambda: client("cloudwatch", _ONCE),
        visit=visits(installation()),
    )


def _ending(settings: Installation, table: Table, closer: Closer, registry: Registry) -> Ending:
    return Ending(
        installation=settings,
        table=table,
        now=time.time,
        closer=closer,
        registry=registry,
        publish=_publish,
        say=_say,
        dead_letter=_dead_letter,
        log=Said(),
        containers=ContainersOutput(
            client("ecs", _ONCE), lambda: client("logs"), region=settings.region
        ),
    )


def _tip(pipeline: PipelineSettings) -> str | None:
    try:
        found = _code_commit(pipeline).get_branch(
            repositoryName=pipeline.repository, branchName=pipeline.branch
        )
    except (ClientError, BotoCoreError) as error:
        logger.warning("the branch's tip is not known", extra={"error": str(error)})
        return None
    return str(found["branch"]["commitId"])


def _touched(pipeline: PipelineSettings, old: str, new: str) -> bool | None:
    def say(what: str) -> None:
        logger.warning("the commits are not compared", extra={"error": what})

    try:
        dev = _code_commit(pipeline)
    except (ClientError, BotoCoreError) as error:
        say(str(error))
        return None
    return touched_by(dev, pipeline, old, new, say)


def _code_commit(pipeline: PipelineSettings) -> Any:
    """CodeCommit's client as the pipeline's `tip` role, assumed afresh."""
    answer = client("sts").assume_role(
        RoleArn=pipeline.tip_role_arn, RoleSessionName="slipway-follower", DurationSeconds=900
    )
    return client_as(answer["Credentials"], "codecommit", installation().dev_region)


def _publish(request: BuildRequest, builder: bool | None) -> None:
    publish_request(client("sns"), installation().request_topic_arn, request, builder=builder)


def _say(deployment_id: str, lines: Iterable[str]) -> None:
    """Add to the deployment's log stream; what cannot be added never fails a deployment."""
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line[:LINE_CHARACTERS] or " "} for line in lines]
    if not events:
        return
    logs, place = (
        client("logs"),
        {
            "logGroupName": installation().names.build_log_group,
            "logStreamName": deployment_id,
        },
    )
    try:
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(**place)
        logs.put_log_events(**place, logEvents=events)
    except (ClientError, BotoCoreError) as error:
        logger.warning("a rollout's lines were not kept", extra={"error": str(error)})


def _dead_letter(body: str, why: str) -> None:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=installation().names.build_dead_letters)["QueueUrl"]
    dead_letter(sqs, url, body, why)
