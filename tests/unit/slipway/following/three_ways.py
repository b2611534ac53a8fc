"""One rollout three ways: by the command, by an awake agent, by the follower alone.

The two that follow go from a hand-over on, on the table in memory: what they remember is what the
deployment's row says. The world is the one in which the library's own scenarios are told.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from slipway.contracts.installation import ImageSettings, Installation, Limits, PipelineSettings
from slipway.contracts.messages import BuildRequest, Commit, DeploymentResult, FollowMessage
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.locks import Lock
from slipway.following.ending import Ending
from slipway.following.follower import Follower, FollowerParts, Held
from slipway.following.handing import ToRollOut, hand_over
from slipway.following.state import StageBegun
from slipway.rollout.means import Means
from tests.simulation.dynamodb import FakeDynamoDB
from tests.unit.slipway.rollout.stepwise import CHANGES, Killed, World, _shape

DEPLOYMENT = "web-20270115080000-abcdef"
IMAGE = ImageSettings(repository="app", repository_uri="127.0.0.1:4566/app")
PIPELINE = PipelineSettings(
    name="web", repository="app", branch="main", git_url="http://127.0.0.1/app",
    source_role_arn="arn:aws:iam::111111111111:role/source",
    tip_role_arn="arn:aws:iam::111111111111:role/tip", images=(IMAGE,), cluster="prod",
    service="web",
)  # fmt: skip
INSTALLATION = Installation(
    name="slipway", region="us-east-1", dev_region="us-east-1", dev_account="111111111111",
    prod_account="222222222222", pipelines=(PIPELINE,), limits=Limits(lock_ttl=2),
)  # fmt: skip
REQUEST = BuildRequest(
    request_id="1" * 32, pipeline="web", pushed_by="ada", pushed_at=1.0, reason="push"
)
COMMIT = Commit(id="a" * 40, subject="Change")
DIGEST = "sha256:" + "4" * 64


class Silent:
    """A log that nobody reads, and a shelf for what is told."""

    def __init__(self) -> None:
        self.told: list[DeploymentResult] = []
        self.kept: list[str] = []
        self.published: list[BuildRequest] = []
        self.dead: list[str] = []
        self.lines: list[str] = []

    def info(self, message: str, **fields: Any) -> None: ...
    def warning(self, message: str, **fields: Any) -> None: ...

    def deployment(self, result: DeploymentResult) -> None:
        self.told.append(result)

    def keep(self, image: Any, digest: str, pipeline: str, *, sink: Any) -> None:
        self.kept.append(digest)

    def say(self, _deployment_id: str, lines: Iterable[str]) -> None:
        self.lines.extend(lines)


@dataclass
class Change:
    """A call that may change AWS, and whether it has."""

    number: int
    operation: str
    parameters: dict[str, Any]
    changed: bool


@dataclass
class Chain:
    """A deployment whose rollout is followed. `kill_at`: the call in which its process dies.

    `since`: the commits that its notice will tell of.
    """

    world: World
    kill_at: int | None = None
    answered: bool = False
    table: Table = field(default_factory=lambda: Table(FakeDynamoDB(), "t"))
    said: Silent = field(default_factory=Silent)
    queue: list[tuple[float, FollowMessage]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    calls: int = 0
    names: Any = field(default_factory=itertools.count)
    since: tuple[Commit, ...] = ()

    def __post_init__(self) -> None:
        for fake in self.world.fakes:
            fake.handle = self._watched(fake.handle)

    @property
    def now(self) -> float:
        return float(self.world.ecs.clock.now())

    @property
    def row(self) -> DeploymentRow:
        found = self.table.deployments.get(DEPLOYMENT)
        assert found is not None
        return found

    @property
    def installation(self) -> Installation:
        return INSTALLATION

    @property
    def result(self) -> DeploymentResult:
        found = self.row.result
        assert found is not None
        return found

    def parts(self) -> FollowerParts:
        """A process of its own: nothing is remembered."""
        said: Any = self.said
        ending = Ending(
            installation=self.installation, table=self.table, now=self.world.ecs.clock.now,
            closer=said,
            registry=said, publish=lambda request, _builder: said.published.append(request),
            say=said.say, dead_letter=lambda body, _why: said.dead.append(body), log=said,
        )  # fmt: skip
        return FollowerParts(
            name=f"process/{next(self.names)}", installation=self.installation, table=self.table,
            now=self.world.ecs.clock.now, means=self._means, send=self._send, ending=ending,
            jitter=lambda: 1.0,
        )  # fmt: skip

    def hand_over(self) -> Held:
        """As an agent does, once the image is pushed."""
        lock = self.table.locks.take("web", "i-1/boot", self.now, ttl=330)
        assert isinstance(lock, Lock)
        row = DeploymentRow(
            deployment_id=DEPLOYMENT, pipeline="web", request_id=REQUEST.request_id, reason="push",
            started_at=self.now,
        )  # fmt: skip
        self.table.deployments.start(row, kept=1e6)
        self.table.wants.note(REQUEST, self.now)
        return hand_over(self.parts(), row, REQUEST, self.to_roll_out(), lock, settles=1)

    def to_roll_out(self) -> ToRollOut:
        """What is handed over."""
        return ToRollOut(
            plans=(self.world.plan,), commit=COMMIT, image_digest=DIGEST, images={"app": DIGEST},
            tip_seen=COMMIT.id, warning="the branch has moved",
            stages=(StageBegun(stage="push", at=self.now),), commits_since=self.since,
        )  # fmt: skip

    def by_agent(self) -> DeploymentRow:
        """The agent that handed it over stays awake until the end."""
        held = self.hand_over()
        while not held.is_over:
            held.go_on()
            while not held.is_over and held.next_look > self.now:
                held.keep()
                self.world.ecs.clock.sleep(min(1.0, held.next_look - self.now))
        return self.row

    def by_follower(self, *, doubled: bool = False, every: float = 5.0) -> DeploymentRow:
        """The agent is gone at once; a process of its own takes each step.

        `doubled`: each message comes twice, and an event besides.
        """
        self.hand_over().let_go()
        self.follow_queue(doubled=doubled, every=every)
        return self.row

    def follow_queue(self, *, doubled: bool = False, every: float = 5.0) -> None:
        """The messages of the follow queue, each in a process of its own, until there is none."""
        for _ in range(2000):
            if not self.queue:
                break
            self.queue.sort(key=lambda entry: entry[0])
            due, message = self.queue.pop(0)
            if self.row.ended_at is None:  # what comes later finds nothing to do, at any time
                self.world.ecs.clock.sleep(max(0.0, due - self.now))
            messages = [message, message, FollowMessage(deployment_id=DEPLOYMENT)]
            for one in messages if doubled else messages[:1]:
                self._invoked(one, due, every)

    def _invoked(self, message: FollowMessage, due: float, every: float) -> None:
        try:
            held = Follower(self.parts()).take_up(message)
            if held is None:
                return
            held.go_on()
            held.let_go(at=held.look_within(every))
        except Killed:
            self.queue.append((max(due, self.now) + 1.0, message))  # SQS gives it again

    def _send(self, message: FollowMessage, delay: float) -> None:
        self.queue.append((self.now + max(0.0, delay), message))

    def _means(self, plan: Any, guard: Callable[[], None], on_progress: Any) -> Means:
        means = self.world.process(on_progress)
        means.ecs._guard = guard
        means._guard = guard
        return means

    def _watched(self, handle: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
        def handled(operation: str, parameters: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            before = _shape(self.world) if operation in CHANGES else None
            if number == self.kill_at and not self.answered:
                raise Killed
            try:
                answer = handle(operation, parameters)
            finally:
                if operation in CHANGES:
                    changed = _shape(self.world) != before
                    self.changes.append(Change(number, operation, parameters, changed))
            if number == self.kill_at:
                raise Killed
            return answer

        return handled

    def made(self) -> list[str]:
        """The changes that changed something, in order."""
        return [change.operation for change in self.changes if change.changed]

    def made_with(self) -> list[Any]:
        """The same with their parameters, but for the rollout's own id."""
        return [
            (change.operation, without_id(change.parameters))
            for change in self.changes
            if change.changed
        ]


def without_id(parameters: dict[str, Any]) -> dict[str, Any]:
    """A change's parameters without what is another one for each rollout."""
    own = ("clientToken", "description", "startedBy")
    return {name: value for name, value in parameters.items() if name not in own}
