"""What a worker deploys with, in simulated time: git, docker with ECR, an ECS service, Slack.

Docker and ECS fail in both kinds: the commit is wrong (always, for that commit), or the world is.
ECS goes on by itself: a deployment that was begun ends whether or not anybody follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build_agent.image.images import Built, Made
from build_agent.source.known import Fetched, is_known
from lambdas.notifier.slack import Answer
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.messages import Commit
from slipway.following.service import Running
from tests.simulation.clockwork import Clockwork

LONG_BUILDS = 0.04
"""Share of the builds that take longer than a host may be silent."""
PROOFS = ("smoke", "task", "alarm")
"""What fails to prove a commit whose deployment is steady."""
ARN = "arn:aws:ecs:us-east-1:222222222222:task-definition/"


class Violation(BaseException):
    """What must never be, was. Not an Exception: the worker outlives those."""


@dataclass
class Repository:
    """One branch: its tips in order of their pushes, and what is wrong with a commit, if any.

    `moved_at`: when each tip was pushed. `made`: the branch is there; until its first push it may
    not be, whatever `tips` begins with. `contents`: what a commit lays out under the pipeline's
    paths; of one that is not here that is the commit itself.
    """

    tips: list[str] = field(default_factory=lambda: ["0" * 40])
    moved_at: list[float] = field(default_factory=lambda: [0.0])
    bad: dict[str, str] = field(default_factory=dict)
    made: bool = True
    contents: dict[str, str] = field(default_factory=dict)

    def content(self, commit: str) -> str:
        return self.contents.get(commit, commit)

    def move(self, commit: str, at: float) -> None:
        self.made = True
        self.tips.append(commit)
        self.moved_at.append(at)

    @property
    def tip(self) -> str:
        return self.tips[-1]


@dataclass
class Service:
    """An ECS service. `versions`: of each revision the index of the tip that it was made of.

    `proven`: the revision of the last deployment that completed, which the circuit breaker goes
    back to (ECS developer guide, deployment circuit breaker). `token`: the number of its last
    deployment; `begun`: each one's revision, and the rollout that asked for it; `goes_back`: the
    last one was stopped; `deregistered`: revisions that failed. `name`: the pipeline's, unless the
    pipeline has two services.
    """

    pipeline: str
    uri: str
    name: str = ""
    images: dict[int, str] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    primary: int = 1
    proven: int = 1
    steady: bool = True
    token: int = 0
    goes_back: bool = False
    changes: int = 0
    begun: dict[int, tuple[int, str]] = field(default_factory=dict)
    deregistered: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.name = self.name or self.pipeline
        self.images[1] = f"{self.uri}@{digest_of('0' * 40)}"
        self.versions[1] = 0

    def arn(self, revision: int) -> str:
        return f"{ARN}{self.name}:{revision}"

    @property
    def digest(self) -> str:
        return self.images[self.primary].partition("@")[2]

    @property
    def commit(self) -> str:
        return self.commit_of(self.primary)

    def commit_of(self, revision: int) -> str:
        return self.images[revision].rpartition(":")[2][:40]


def digest_of(commit: str) -> str:
    return f"sha256:{commit}{'0' * 24}"


class Source:
    """git, for one agent. The world notes the version of the branch at which a commit was met.

    A push that is known needs no fetch, by the real rule; a newer commit has an older one in its
    history.
    """

    def __init__(self, world: Any) -> None:
        self._world = world
        self._fetched: dict[str, Fetched] = {}

    def fetch(
        self, pipeline: Any, commit: str | None, *, stop: Any, sink: Any, pushed: Any = None
    ) -> Commit:
        world = self._world
        world.not_paused(pipeline.name)
        began = world.clockwork.time
        world.clockwork.sleep(world.dice.uniform(1, 10))
        stop.check()
        last = self._fetched.get(pipeline.name)
        if commit is None and pushed and is_known(pushed, last, lambda old, new: old <= new):
            return last.commit
        if world.clockwork.time < world.git_is_back_at or world.weather.happens("fetch fails", 0.1):
            raise WorldFailed("git did not answer")
        repository = world.repositories[pipeline.name]
        found = commit or repository.tip
        if repository.bad.get(found) == "fetch":
            raise DeploymentFailed("git refuses an object", stage="fetch", commit_id=found)
        world.fetched[pipeline.name][found] = len(repository.tips) - 1
        brought = Commit(id=found, author="Ada", subject="Change")
        if commit is None:
            self._fetched[pipeline.name] = Fetched(brought, began)
        return brought

    @contextmanager
    def tree(self, pipeline: Any, commit: str, *, stop: Any) -> Iterator[Path]:
        yield Path("tree")

    def submodules(self, *_arguments: Any, **_more: Any) -> list[Any]:
        return []

    def commits_between(self, *_arguments: Any, **_more: Any) -> tuple[tuple[Commit, ...], int]:
        return (), 1

    def touched(self, pipeline: Any, old: str, new: str, *, stop: Any, sink: Any) -> bool | None:
        world = self._world
        world.clockwork.sleep(world.dice.uniform(0, 2))
        stop.check()
        if world.weather.happens("what runs is gone", 0.2):
            return None
        repository = world.repositories[pipeline.name]
        return bool(repository.content(old) != repository.content(new))


class Images:
    """docker on one agent, ECR for all. `dies`: what a build does to a builder that kills it."""

    def __init__(self, world: Any, dies: Callable[[], None] | None = None) -> None:
        self._world = world
        self._dies = dies

    def keep_layers(self, *_arguments: Any, stop: Any, sink: Any) -> None:
        """Nothing travels."""

    def keep(self, image: Any, digest: str, pipeline: str, *, sink: Any) -> None:
        self._world.kept[pipeline] = digest

    def digest(self, image: Any, tag: str) -> str | None:
        """As `Registry.digest`."""
        return self.find(image, tag)

    def find(self, image: Any, tag: str) -> str | None:
        found: str | None = self._world.ecr.get((image.repository, tag))
        return found

    def once(self, image: Any, tag: str, make: Callable[[], Made], *, stop: Any, sink: Any) -> str:
        return self.find(image, tag) or make().digest

    def build(
        self, pipeline: Any, image: Any, commit: Commit, tree: Path, *, tag: str, fresh: bool,
        stop: Any, sink: Any,
    ) -> Built:  # fmt: skip
        world = self._world
        if (image.repository, tag) in world.ecr and not fresh:
            raise Violation(f"commit {commit.id[:6]} is built though its image is in ECR")
        world.builds += 1
        long = world.dice.random() < world.long_builds
        for _ in range(world.dice.randint(20, 40) if long else world.dice.randint(1, 4)):
            world.clockwork.sleep(world.dice.uniform(10, 60))
            stop.check()
            sink("#1 building")
        if world.weather.happens("build fails", 0.1):
            raise WorldFailed("docker: no space left on device")
        bad = world.repositories[pipeline.name].bad.get(commit.id)
        if bad == "kill" and self._dies is not None:
            self._dies()
        if bad in ("build", "kill"):
            raise DeploymentFailed("exit code 1", stage="build", log_tail=("oops",))
        return Built("sha256:" + commit.id, "amd64", {"commit": commit.id})

    def same_as_running(self, *_arguments: Any, **_more: Any) -> bool:
        return False

    def push(self, image: Any, built: Built, *, commit: str, tag: str, stop: Any, sink: Any) -> str:
        world = self._world
        world.clockwork.sleep(world.dice.uniform(2, 20))
        stop.check()
        if world.weather.happens("push fails", 0.1):
            raise WorldFailed("ECR did not answer")
        world.ecr[(image.repository, tag)] = digest_of(commit)
        return digest_of(commit)


class Services:
    """What ECS's services run, for one agent; `seen`: what it saw last, by service."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.seen: dict[str, Running] = {}

    def running(self, pipeline: Any, *, stop: Any) -> Running:
        stop.check()
        if self._world.weather.happens("ECS fails", 0.1):
            raise WorldFailed("ECS did not answer")
        if not pipeline.service:
            return self._registered(pipeline)
        service = self._world.services[pipeline.service]
        self.seen[service.name] = Running(
            task_definition=service.arn(service.primary),
            steady=service.steady,
            images={"app": service.images[service.primary]},
        )
        return self.seen[service.name]

    def _registered(self, pipeline: Any) -> Running:
        there = self._world.families[pipeline.name]
        number = there.newest(pipeline.family)
        image = there.images[pipeline.family][number]
        name = f"{ARN}{pipeline.family}:{number}"
        return Running(task_definition=name, steady=True, images={"app": image})


def standing_still(world: Any, freeze: Callable[[float], None]) -> Callable[[], None]:
    """A process that may stand still here: before its call is signed, and after."""

    def stand_still() -> None:
        if world.weather.happens("held up", 0.15):
            freeze(world.dice.choice((5.0, 100.0, 290.0, 320.0, 500.0, 800.0)))
            world.clockwork.sleep(0.0)

    return stand_still


class Disk:
    def make_room(self, source: str, *, least: int, stop: Any, sink: Any) -> None:
        return None

    @contextmanager
    def watched(self, sink: Any) -> Iterator[Any]:
        yield sink


@dataclass
class Slack:
    """The channel: how often each notice was posted. `about`: the notice that is on its way."""

    clockwork: Clockwork
    weather: Any
    posted: dict[str, int] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)
    about: str = ""

    def post(self, url: str, payload: Any) -> Answer:
        if self.weather.happens("Slack answers 500", 0.3):
            return Answer(status=500)
        if self.weather.happens("Slack answers 429", 0.3):
            return Answer(status=429, retry_after=30.0)
        if self.weather.happens("Slack is silent", 0.1):
            raise WorldFailed("Slack did not answer")
        self.posted[self.about] = self.posted.get(self.about, 0) + 1
        if self.weather.happens("Slack's answer is lost", 0.1):
            self.excused.add(self.about)
            raise WorldFailed("Slack did not answer")
        return Answer(status=200)
