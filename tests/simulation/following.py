"""Who follows rollouts in the simulation: what a follower is made of, and the follow queue."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from build_agent.host.stop import Stop
from build_agent.telling.logs import Log
from lambdas.follower.handler import follow
from lambdas.follower.world import BUDGET
from lambdas.follower.world import World as FollowerWorld
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import BuildRequest, FollowMessage
from slipway.contracts.requesting import publish_request
from slipway.contracts.table import Table
from slipway.following.closing import Closer, Host
from slipway.following.ending import Ending
from slipway.following.follower import FollowerParts
from slipway.following.messages import follow_queue
from slipway.following.record import Recorder
from tests.simulation.aws import Caller, Message
from tests.simulation.clockwork import Killed
from tests.simulation.deploying import Images, Services
from tests.simulation.rollouts import Rollouts, take

if TYPE_CHECKING:
    from tests.simulation.world import World

VISIBILITY = 180.0
"""Seconds until a follow message comes again that no invocation has dealt with (`infra`)."""


def no_lines(_deployment_id: str, _lines: Iterable[str]) -> None:
    """Log streams are not what is simulated."""


def parts_of(
    world: World,
    caller: Caller,
    name: str,
    freeze: Callable[[float], None],
    *,
    host: Host | None = None,
    seen: Mapping[str, Any] | None = None,
) -> FollowerParts:
    """What one process follows rollouts with; `freeze` and `seen` as in `Rollouts`."""
    table = Table(caller.client("dynamodb", world.dynamodb), "t")
    sns, sqs = caller.client("sns", world.sns), caller.client("sqs", world.sqs)

    def publish(request: BuildRequest, builder: bool | None) -> None:
        publish_request(sns, world.installation.request_topic_arn, request, builder=builder)

    to_queue = follow_queue(sqs, world.installation.names)

    def send(message: FollowMessage | BuildRequest, delay: float) -> None:
        if isinstance(message, BuildRequest) or "chain" not in world.without:
            to_queue(message, delay)

    def dead_letter(body: str, _why: str) -> None:
        sqs.send_message(QueueUrl="dead letters", MessageBody=body)

    ending = Ending(
        installation=world.installation,
        table=table,
        now=world.clockwork.now,
        closer=Closer(sns, world.installation, host, world.clockwork),
        registry=Images(world),  # type: ignore[arg-type]
        publish=publish,
        say=no_lines,
        dead_letter=dead_letter,
        log=Log(),
    )
    return FollowerParts(
        name=name,
        installation=world.installation,
        table=table,
        now=world.clockwork.now,
        means=Rollouts(world, freeze, seen).means,
        send=send,
        ending=ending,
        jitter=world.dice.random,
        take=take,
    )


class Following:
    """The follow queue calls the follower with each message; ECS's events call it, too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count()

    def visible(self, at: float) -> None:
        """A message of the queue may be taken from `at` on."""
        self._world.clockwork.at(at + self._world.dice.uniform(0.05, 1), self._poll)

    def _poll(self) -> None:
        world, queue = self._world, self._world.follow_queue
        for message in list(queue.messages.values()):
            if message.visible_at > world.clockwork.time:
                continue
            if world.weather.happens("follow message lost", 0.1):
                world.say("a follow message is lost")
                world.queued.discard(json.loads(message.body).get("request_id", ""))
                del queue.messages[message.message_id]
                continue
            late = world.weather.happens("follow message late", 0.1)
            message.visible_at = world.clockwork.time + VISIBILITY
            if late:
                message.visible_at = world.clockwork.time + world.dice.uniform(10, 600)
                queue.wake(message.visible_at)
                continue
            queue.wake(message.visible_at)
            self._invoke(message)
            if world.weather.happens("received twice", 0.3):
                self._invoke(message)

    def _invoke(self, message: Message) -> None:
        messages = self._world.follow_queue.messages
        body = {"Records": [{"body": message.body}]}
        self._world.functions.invoke_from_queue(
            "follower",
            lambda caller: self.step(body, caller),
            lambda: messages.pop(message.message_id, None),
        )

    def event(self, service: str) -> None:
        """ECS tells of a deployment's end: perhaps late, twice, or never."""
        world = self._world
        if "ECS events" in world.without or world.weather.happens("ECS event lost", 0.3):
            return
        arn = f"arn:aws:ecs:us-east-1:222222222222:service/prod/{service}"
        event = {"source": "aws.ecs", "resources": [arn], "detail": {}}
        for _ in range(2 if world.weather.happens("ECS event twice", 0.2) else 1):
            late = world.weather.happens("ECS event late", 0.2)
            delay = world.dice.uniform(10, 900) if late else world.dice.uniform(0.1, 2)
            world.after(
                delay,
                lambda: world.functions.invoke("follower", lambda c: self.step(event, c)),
            )

    def step(self, event: dict[str, Any], caller: Caller) -> None:
        """One invocation of the real handler."""
        world = self._world

        def stand_still(seconds: float) -> None:
            world.clockwork.sleep(seconds)
            if caller.dead:
                raise Killed

        services = Services(world)
        name = f"the follower/{next(self._numbers)}"
        parts = parts_of(world, caller, name, stand_still, seen=services.seen)
        here = FollowerWorld(
            until=world.clockwork.now() + BUDGET,
            installation=world.installation,
            table=parts.table,
            parts=parts,
            recorder=Recorder(
                parts.table,
                installation=world.installation,
                host=None,
                closer=parts.ending.closer,
                clock=world.clockwork,
            ),
            registry=parts.ending.registry,
            running=lambda pipeline: services.running(pipeline, stop=Stop()),
            tip=lambda pipeline: self._tip(pipeline.name),
            touched=self._touched,
            publish=parts.ending.publish,
            again=parts.send,
        )
        follow(event, here)

    def _touched(self, pipeline: PipelineSettings, old: str, new: str) -> bool | None:
        if self._world.weather.happens("what runs is gone", 0.2):
            return None
        repository = self._world.repositories[pipeline.name]
        return repository.content(old) != repository.content(new)

    def _tip(self, name: str) -> str | None:
        """As the dev account answers."""
        repository = self._world.repositories[name]
        silent = self._world.no_dev or self._world.weather.happens("dev side is silent", 0.5)
        if silent or not repository.made:
            return None
        self._world.fetched[name][repository.tip] = len(repository.tips) - 1
        return repository.tip
