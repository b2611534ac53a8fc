"""A small world for the worker: moto's SQS and DynamoDB, a topic that remembers, scripted parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from build_agent.host.identity import HostIdentity
from build_agent.host.parallel import Parallel, one_by_one
from build_agent.host.stop import Stop
from build_agent.image.images import Built
from build_agent.means import Means
from build_agent.queue.inbox import Inbox
from build_agent.queue.lease import Keeper
from build_agent.service import Running
from build_agent.telling.close import Closer
from build_agent.telling.logs import Log
from build_agent.telling.record import Recorder
from build_agent.worker import Worker, WorkerParts
from slipway.contracts.errors import WorldFailed
from slipway.contracts.installation import ImageSettings, Installation, Limits, PipelineSettings
from slipway.contracts.messages import (
    BuildRequest,
    CloseNotice,
    Commit,
    DeploymentResult,
    request_id_of,
)
from slipway.contracts.table import Table
from slipway.rollout import Progress, RolloutPlan, RolloutResult
from tests.aws.answers import AwsFake

START = 1_800_000_000.0
URI = "127.0.0.1:4566/app"
A, B, C = "a" * 40, "b" * 40, "c" * 40


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


@dataclass
class FakeSource:
    """A branch; `on_fetch` may move it, or raise."""

    tip: str = A
    known: set[str] = field(default_factory=lambda: {A, B, C})
    fetched: list[str | None] = field(default_factory=list)
    on_fetch: Callable[[], None] = lambda: None

    def fetch(self, pipeline: Any, commit: str | None, *, stop: Stop, sink: Any) -> Commit:
        stop.check()
        self.fetched.append(commit)
        found = commit or self.tip
        self.on_fetch()
        return Commit(id=found, author="Ada", subject=f"Change {found[:4]}")

    @contextmanager
    def tree(self, pipeline: Any, commit: str, *, stop: Stop) -> Iterator[Path]:
        yield Path("/tree") / commit

    def commits_between(
        self, pipeline: Any, old: str, new: str, *, limit: int, stop: Stop
    ) -> tuple[tuple[Commit, ...], int | None]:
        return (Commit(id=new),), 1


@dataclass
class FakeImages:
    """ECR as tag to digest; `on_build` and `on_push` may raise."""

    ecr: dict[str, str] = field(default_factory=dict)
    built: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    same: bool = False
    architecture: str = "amd64"
    on_build: Callable[[], None] = lambda: None
    on_push: Callable[[], None] = lambda: None
    kept: dict[str, str] = field(default_factory=dict)

    def keep(self, image: ImageSettings, digest: str, pipeline: str, *, sink: Any) -> None:
        self.kept[pipeline] = digest

    def find(self, image: ImageSettings, tag: str) -> str | None:
        return self.ecr.get(tag)

    def build(
        self, pipeline: Any, image: Any, commit: Commit, tree: Path, *, tag: str, fresh: bool,
        stop: Stop, sink: Any,
    ) -> Built:  # fmt: skip
        stop.check()
        self.built.append(commit.id)
        sink("#1 building")
        self.on_build()
        return Built("sha256:" + commit.id, self.architecture, {"commit": commit.id})

    def same_as_running(self, image: Any, built: Built, digest: str, *, stop: Stop) -> bool:
        return self.same

    def push(
        self, image: Any, built: Built, *, commit: str, tag: str, stop: Stop, sink: Any
    ) -> str:
        self.on_push()
        self.pushed.append(commit)
        self.ecr[tag] = digest_of(tag)
        return self.ecr[tag]


def digest_of(tag: str) -> str:
    return "sha256:" + tag.removeprefix("build-") * 2


def definition(revision: int) -> str:
    return f"arn:aws:ecs:us-east-1:222222222222:task-definition/web:{revision}"


@dataclass
class FakeServices:
    """A service; a rollout registers a revision and updates at once. `script` ends it otherwise."""

    revision: int = 1
    newest: int = 1
    steady: bool = True
    images: dict[int, dict[str, str]] = field(
        default_factory=lambda: {1: {"app": f"{URI}@sha256:{'0' * 64}"}}
    )
    plans: list[RolloutPlan] = field(default_factory=list)
    script: Callable[[RolloutResult], RolloutResult] = lambda result: result
    on_step: Callable[[str], None] = lambda _step: None
    architecture: str | None = None

    def running(self, pipeline: Any, *, stop: Stop) -> Running:
        return Running(
            task_definition=definition(self.revision),
            steady=self.steady,
            images=self.images[self.revision],
            architecture=self.architecture,
        )

    def roll_out(
        self, plan: RolloutPlan, *, stop: Stop, guard: Any, on_progress: Any
    ) -> RolloutResult:
        self.plans.append(plan)
        before = definition(self.revision)
        if plan.target == before:
            self.steady = True
            return self.script(result_of("unchanged", before, before))
        if plan.target is not None:
            target = int(plan.target.rpartition(":")[2])
        else:
            guard()
            self.newest += 1
            target = self.newest
            self.images[target] = {**self.images[self.revision], **plan.images}
            self._tell(on_progress, "register", target)
        self._tell(on_progress, "update", target)
        guard()
        self.revision = target
        self._tell(on_progress, "wait", target)
        return self.script(result_of("succeeded", before, definition(target)))

    def _tell(self, on_progress: Any, step: Any, target: int) -> None:
        on_progress(Progress(step=step, elapsed=0.0, task_definition=definition(target)))
        self.on_step(step)


def result_of(outcome: Any, before: str, after: str, **members: Any) -> RolloutResult:
    values = {"cause": outcome, "before": before, "after": after, "running": after, **members}
    return RolloutResult(outcome=outcome, **values)


class FakeDisk:
    """`free`: bytes; `asked`: what each call asked for."""

    def __init__(self) -> None:
        self.free = 10 << 30
        self.asked: list[int] = []

    def make_room(self, source: str, *, least: int, stop: Stop, sink: Any) -> None:
        self.asked.append(least)
        if self.free < least:
            raise WorldFailed("the disk is full")

    def check_not_full(self) -> None:
        if self.free == 0:
            raise WorldFailed("the disk is full")


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
        self.services = FakeServices()

    def worker(
        self,
        host_id: str = "i-1",
        boot: str = "2027-01-15T08:00:00Z",
        *,
        parallel: Parallel = one_by_one,
        waits: bool = False,
    ) -> Worker:
        host = HostIdentity(host_id, boot, "us-east-1")
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
            inbox=inbox, table=table, host=host, limits=self.installation.limits,
            clock=self.clock, log=log, stop=stop,
        )  # fmt: skip
        closer = Closer(topic, self.installation, host, self.clock)
        recorder = Recorder(
            table, installation=self.installation, host=host, closer=closer, clock=self.clock
        )
        means = Means(
            source=self.source, images=self.images, services=self.services, disk=self.disk,
            recorder=recorder, keeper=keeper, clock=self.clock, parallel=parallel,
        )  # fmt: skip
        parts = WorkerParts(
            installation=self.installation, host=host, table=table, inbox=inbox,
            closer=closer, keeper=keeper, recorder=recorder, means=means, clock=self.clock,
            log=log, stop=stop, jitter=lambda: 1.0,
        )  # fmt: skip
        self.keeper = keeper
        return Worker(parts) if waits else NoWait(parts)

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
        return found[request.request_id].outcome if found else None

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
    """A worker whose receive does not wait: the clock here is not the queue's."""

    def __init__(self, parts: WorkerParts) -> None:
        super().__init__(parts)
        receive = parts.inbox.receive
        parts.inbox.receive = lambda wait: receive(0)  # type: ignore[method-assign]


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
