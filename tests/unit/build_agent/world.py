"""A small world for the worker: moto's SQS and DynamoDB, a topic that remembers, scripted parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from build_agent.host.identity import HostIdentity
from build_agent.host.parallel import Parallel, one_by_one
from build_agent.host.slots import Slots
from build_agent.host.stop import Stop
from build_agent.host.tasks import Spawn, at_once
from build_agent.means import Means
from build_agent.queue.inbox import Inbox
from build_agent.queue.lease import Keeper
from build_agent.telling.logs import Log
from build_agent.worker import Step, Worker, WorkerParts
from slipway.contracts.installation import ImageSettings, Installation, Limits, PipelineSettings
from slipway.contracts.messages import (
    BuildRequest,
    CloseNotice,
    DeploymentResult,
    FollowMessage,
    request_id_of,
)
from slipway.contracts.table import Table
from slipway.following.closing import Closer
from slipway.following.ending import Ending
from slipway.following.follower import Follower, FollowerParts
from slipway.following.record import Recorder
from tests.aws.answers import AwsFake
from tests.unit.build_agent.fakes import (
    URI,
    FakeContainers,
    FakeDisk,
    FakeImages,
    FakeServices,
    FakeSource,
    FakeTests,
)

START = 1_800_000_000.0


def make_pipeline(name: str = "web", **changes: Any) -> PipelineSettings:
    settings = PipelineSettings(
        name=name,
        repository="app",
        branch="main",
        git_url="http://127.0.0.1:4566/v1/repos/app",
        source_role_arn="arn:aws:iam::111111111111:role/slipway-source",
        tip_role_arn="arn:aws:iam::111111111111:role/slipway-tip",
        images=(ImageSettings(repository="app", repository_uri=URI),),
        cluster="prod",
        service=name,
    )
    return replace(settings, **changes)


def make_installation(**changes: Any) -> Installation:
    installation = Installation(
        name="slipway",
        region="us-east-1",
        dev_region="us-east-1",
        dev_account="111111111111",
        prod_account="222222222222",
        pipelines=(make_pipeline(), make_pipeline("api")),
        limits=Limits(),
    )
    return replace(installation, **changes)


def make_request(number: int = 1, **changes: Any) -> BuildRequest:
    """Request `number`: pushed that many seconds after the start."""
    values: dict[str, Any] = {
        "request_id": request_id_of(f"event-{number}", "refs/heads/main", ""),
        "pipeline": "web",
        "pushed_by": "arn:aws:iam::111111111111:user/ada",
        "pushed_at": START + number,
        "reason": "push",
    }
    return BuildRequest(**{**values, **changes})


class FakeClock:
    def __init__(self, now: float = START) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += seconds


class Topic(AwsFake, service="sns"):
    """Remembers what is published; `fail` raises instead."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.fail: Exception | None = None

    def publish(self, **request: Any) -> dict[str, Any]:
        if self.fail is not None:
            raise self.fail
        self.published.append(request)
        return {"MessageId": str(len(self.published))}

    @property
    def notices(self) -> list[CloseNotice]:
        return [CloseNotice.from_json(json.loads(p["Message"])["default"]) for p in self.published]

    @property
    def results(self) -> list[DeploymentResult]:
        return [n.result for n in self.notices if n.result is not None]


class Killed(BaseException):
    """The process is gone: nothing after it happens, cleaning up included."""


class Mortal:
    """A client of a worker that can be killed."""

    def __init__(self, inner: Any, is_dead: Callable[[], bool]) -> None:
        self._inner = inner
        self._is_dead = is_dead

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in ("exceptions", "meta") or not callable(found):
            return found

        def call(*arguments: Any, **members: Any) -> Any:
            if self._is_dead():
                raise Killed
            return found(*arguments, **members)

        return call


class World:
    """Queues and table of one installation, and workers on it."""

    def __init__(self, client: Any, installation: Installation) -> None:
        self.installation = installation
        self.clock = FakeClock()
        self.sqs = client("sqs", region_name="us-east-1")
        names = installation.names
        self.queue = self.sqs.create_queue(QueueName=names.build_queue)["QueueUrl"]
        self.dead = self.sqs.create_queue(QueueName=names.build_dead_letters)["QueueUrl"]
        self.dynamodb = client("dynamodb", region_name="us-east-1")
        create_table(self.dynamodb, names.table)
        self.table = Table(self.dynamodb, names.table)
        self.lives = 0
        self.dead_lives: set[int] = set()
        self.topic = Topic()
        self.source = FakeSource()
        self.disk = FakeDisk()
        self.images = FakeImages()
        self.tests = FakeTests()
        self.services = FakeServices()
        self.containers = FakeContainers()
        self.said: list[str] = []
        self.sent: list[tuple[FollowMessage, float]] = []

    def worker(
        self,
        host_id: str = "i-1",
        boot: str = "2027-01-15T08:00:00Z",
        *,
        parallel: Parallel = one_by_one,
        waits: bool = False,
        slots: int = 1,
        spawn: Spawn = at_once,
    ) -> Worker:
        host = HostIdentity(host_id, boot, "us-east-1", "p")
        stop, log = Stop(), Log()
        life = self.lives = self.lives + 1

        def is_dead() -> bool:
            return life in self.dead_lives

        sqs, topic = Mortal(self.sqs, is_dead), Mortal(self.topic, is_dead)
        table = Table(Mortal(self.dynamodb, is_dead), self.installation.names.table)
        inbox = Inbox(
            sqs, queue_url=self.queue, dead_letters_url=self.dead,
            visibility=self.installation.limits.visibility, parallel=parallel,
        )  # fmt: skip
        keeper = Keeper(
            inbox=inbox, table=table, host=host, installation=self.installation,
            clock=self.clock, log=log, stop=stop,
        )  # fmt: skip
        closer = Closer(topic, self.installation, host, self.clock)
        recorder = Recorder(
            table, installation=self.installation, host=host, closer=closer, clock=self.clock
        )
        ending = Ending(
            installation=self.installation, table=table, now=self.clock.now, closer=closer,
            registry=self.images, publish=lambda request, _builder: self.send(request),
            say=lambda _id, lines: self.said.extend(lines), dead_letter=inbox.dead_letter, log=log,
            containers=self.containers,
        )  # fmt: skip
        self.following = FollowerParts(
            name=f"host {host.name}", installation=self.installation, table=table,
            now=self.clock.now, means=self.services.means, take=self.services.take, ending=ending,
            send=lambda message, delay: self.sent.append((message, delay)), jitter=lambda: 1.0,
        )  # fmt: skip
        means = Means(
            source=self.source, images=self.images, services=self.services,
            tests=self.tests, disk=self.disk,
            recorder=recorder, keeper=keeper, clock=self.clock, parallel=parallel,
        )  # fmt: skip
        parts = WorkerParts(
            installation=self.installation, host=host, table=table, inbox=inbox,
            closer=closer, keeper=keeper, recorder=recorder, means=means, clock=self.clock,
            log=log, stop=stop, following=self.following, jitter=lambda: 1.0,
            slots=Slots(slots), spawn=spawn,
        )  # fmt: skip
        self.keeper = keeper
        return Worker(parts) if waits else NoWait(parts, self.follow)

    def kill(self) -> None:
        """End the newest worker as `kill -9` does, from wherever it is."""
        self.dead_lives.add(self.lives)
        raise Killed

    def redeliver(self, request: BuildRequest) -> None:
        """The lease of a dead worker ran out: its request comes again, its lock has expired."""
        self.clock.pass_by(self.installation.limits.visibility)
        self.send_body(request.to_json())

    def send(self, *requests: BuildRequest) -> None:
        """As starter and topic do: the want first, then the message."""
        for request in requests:
            self.table.wants.note(request, self.clock.now())
            self.send_body(request.to_json())

    def send_body(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def outcome(self, request: BuildRequest) -> str | None:
        found = self.table.requests.settled([request.request_id])
        if not found:
            return None
        settled = found[request.request_id]
        if settled.outcome != "handed_over":
            return settled.outcome
        row = self.table.deployments.get(settled.deployment_id or "")
        return row.status if row is not None else None

    def follow(self, *, after: float = 0.0) -> None:
        """The follower takes the steps of what was sent on the follow queue, `after` seconds."""
        self.clock.pass_by(after)
        due, self.sent = self.sent, []
        closer = Closer(self.topic, self.installation, None, self.clock)
        ending = replace(self.following.ending, table=self.table, closer=closer)
        parts = replace(self.following, table=self.table, name="the follower/1", ending=ending)
        for message, delay in due:
            try:
                held = Follower(parts).take_up(message)
                if held is not None:
                    held.go_on()
                    held.let_go()
            except Exception:  # noqa: BLE001 - SQS gives it again
                self.sent.append((message, delay))

    def queued(self, url: str | None = None) -> tuple[int, int]:
        """Visible and held messages."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.queue, AttributeNames=names)
        visible, held = (int(answer["Attributes"][name]) for name in names)
        return visible, held

    @property
    def row(self) -> Any:
        return self.table.pipelines.get("web")


class NoWait(Worker):
    """A worker whose receive does not wait: the clock here is not the queue's.

    `follow`: by the follower, what it lets go of.
    """

    def __init__(self, parts: WorkerParts, follow: Callable[[], None]) -> None:
        super().__init__(parts)
        self._follow = follow
        receive = parts.inbox.receive
        parts.inbox.receive = lambda wait: receive(0)  # type: ignore[method-assign]

    def step(self) -> Step:
        """One round, and what was handed over in it is followed as far as it goes now."""
        done = super().step()
        while self._rollouts and self._rollouts.next_look <= self._clock.now():
            self._rollouts.go_on(self._clock.now())
        self._follow()
        return done


def create_table(dynamodb: Any, name: str) -> None:
    dynamodb.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
