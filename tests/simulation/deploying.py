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

from build_agent.image.images import Built
from build_agent.service import Running
from lambdas.notifier.slack import Answer
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.messages import Commit
from slipway.rollout import Progress, RolloutPlan, RolloutResult
from slipway.rollout.fence import SIGNATURE_LIFE, Fence
from tests.simulation.clockwork import Clockwork

LONG_BUILDS = 0.04
"""Share of the builds that take longer than a host may be silent."""
ARN = "arn:aws:ecs:us-east-1:222222222222:task-definition/"


class Violation(BaseException):
    """What must never be, was. Not an Exception: the worker outlives those."""


@dataclass
class Repository:
    """One branch: its tips in order of their pushes, and what is wrong with a commit, if any.

    `moved_at`: when each tip was pushed. `made`: the branch is there; until its first push it may
    not be, whatever `tips` begins with.
    """

    tips: list[str] = field(default_factory=lambda: ["0" * 40])
    moved_at: list[float] = field(default_factory=lambda: [0.0])
    bad: dict[str, str] = field(default_factory=dict)
    made: bool = True

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
    back to (ECS developer guide, deployment circuit breaker).
    """

    pipeline: str
    uri: str
    images: dict[int, str] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    primary: int = 1
    proven: int = 1
    steady: bool = True
    token: int = 0
    updates: int = 0

    def __post_init__(self) -> None:
        self.images[1] = f"{self.uri}@{digest_of('0' * 40)}"
        self.versions[1] = 0

    def arn(self, revision: int) -> str:
        return f"{ARN}{self.pipeline}:{revision}"

    @property
    def digest(self) -> str:
        return self.images[self.primary].partition("@")[2]

    @property
    def commit(self) -> str:
        return self.images[self.primary].rpartition(":")[2][:40]


def digest_of(commit: str) -> str:
    return f"sha256:{commit}{'0' * 24}"


class Source:
    """git, for one agent. It notes which version of the branch it last fetched."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.version: dict[str, int] = {}

    def fetch(self, pipeline: Any, commit: str | None, *, stop: Any, sink: Any) -> Commit:
        world = self._world
        world.not_paused(pipeline.name)
        world.clockwork.sleep(world.dice.uniform(1, 10))
        stop.check()
        if world.clockwork.time < world.git_is_back_at or world.weather.happens("fetch fails", 0.1):
            raise WorldFailed("git did not answer")
        repository = world.repositories[pipeline.name]
        found = commit or repository.tip
        if repository.bad.get(found) == "fetch":
            raise DeploymentFailed("git refuses an object", stage="fetch", commit_id=found)
        self.version[pipeline.name] = len(repository.tips) - 1
        return Commit(id=found, author="Ada", subject="Change")

    @contextmanager
    def tree(self, pipeline: Any, commit: str, *, stop: Any) -> Iterator[Path]:
        yield Path("tree")

    def commits_between(self, *_arguments: Any, **_more: Any) -> tuple[tuple[Commit, ...], int]:
        return (), 1


class Images:
    """docker on one agent, ECR for all."""

    def __init__(self, world: Any) -> None:
        self._world = world

    def keep(self, image: Any, digest: str, pipeline: str, *, sink: Any) -> None:
        self._world.kept[pipeline] = digest

    def find(self, image: Any, tag: str) -> str | None:
        found: str | None = self._world.ecr.get((image.repository, tag))
        return found

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
        if world.repositories[pipeline.name].bad.get(commit.id) == "build":
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
    """ECS, for one agent (`holder`): every change is held against the pipeline's lock.

    The process may stand still (`freeze`) before its call is signed, and after. What comes with a
    signature that is too old is refused, as AWS does.
    """

    def __init__(
        self, world: Any, source: Source, holder: str, freeze: Callable[[float], None]
    ) -> None:
        self._world = world
        self._source = source
        self._holder = holder
        self._freeze = freeze
        self._fence = Fence(world.clockwork.now)
        self._seen: dict[str, Running] = {}

    def running(self, pipeline: Any, *, stop: Any) -> Running:
        stop.check()
        if self._world.weather.happens("ECS fails", 0.1):
            raise WorldFailed("ECS did not answer")
        service = self._world.services[pipeline.name]
        self._seen[pipeline.name] = Running(
            task_definition=service.arn(service.primary),
            steady=service.steady,
            images={"app": service.images[service.primary]},
        )
        return self._seen[pipeline.name]

    def roll_out(
        self, plan: RolloutPlan, *, stop: Any, guard: Any, on_progress: Any
    ) -> RolloutResult:
        service: Service = self._world.services[plan.service]
        before = service.primary
        look = self._fence.noted(guard)
        if plan.target is not None:
            target = int(plan.target.rpartition(":")[2])
        else:
            look()
            target = self._register(service, plan)
            on_progress(_progress("register", service, target))
        on_progress(_progress("update", service, target))
        if target != service.primary:
            look()
            self._update(service, target, named=plan.target is not None)
        elif service.steady:
            return _result("unchanged", service, before, target)
        return self._follow(service, before, target, stop, on_progress)

    def _register(self, service: Service, plan: RolloutPlan) -> int:
        target = max(service.images) + 1
        service.images[target] = plan.images["app"]
        service.versions[target] = self._source.version[service.pipeline]
        return target

    def _update(self, service: Service, target: int, *, named: bool) -> None:
        world = self._world
        self._send()
        if world.weather.happens("ECS fails", 0.1):
            raise WorldFailed("ECS throttles")
        lock = world.table.locks.get(service.pipeline)
        if lock.holder != self._holder or not lock.taken(world.clockwork.time):
            raise Violation(f"{self._holder} changes {service.pipeline} without its lock")
        newest = max(service.versions[r] for r in world.updated[service.pipeline])
        allowed = named and (service.pipeline, target) in world.rollbacks
        if service.versions[target] < newest and not allowed:
            raise Violation(f"push {service.versions[target]} replaces push {newest}")
        seen = self._seen.get(service.pipeline)
        same = seen is not None and seen.images["app"] == service.images[target]
        if same and seen.steady and not named:
            raise Violation("a digest that was seen to run, steady, is rolled out")
        self._begin(service, target)
        if world.weather.happens("ECS fails", 0.05):
            raise WorldFailed("ECS took the update, its answer was lost")

    def _send(self) -> None:
        """The call is signed, and comes to ECS after a while."""
        world = self._world
        self._stand_still()
        signed_at = world.clockwork.time
        self._fence.check(signed_at)
        self._stand_still()
        if world.weather.happens("ECS is slow", 0.2):
            world.clockwork.sleep(world.dice.uniform(0.5, 6))
        if world.clockwork.time - signed_at > SIGNATURE_LIFE:
            raise WorldFailed("ECS: the signature has expired")

    def _stand_still(self) -> None:
        if self._world.weather.happens("held up", 0.15):
            self._freeze(self._world.dice.choice((5.0, 100.0, 290.0, 320.0, 500.0, 800.0)))
            self._world.clockwork.sleep(0.0)

    def _begin(self, service: Service, target: int) -> None:
        world = self._world
        service.updates += 1
        service.token += 1
        token = service.token
        service.primary, service.steady = target, False
        world.updated[service.pipeline].add(target)
        commit = service.images[target].rpartition(":")[2][:40]
        bad = world.repositories[service.pipeline].bad.get(commit) == "rollout"

        def end() -> None:
            if service.token == token:
                service.proven = service.proven if bad else target
                service.primary, service.steady = service.proven, True

        world.clockwork.after(world.dice.uniform(20, 120), end)

    def _follow(
        self, service: Service, before: int, target: int, stop: Any, on_progress: Any
    ) -> RolloutResult:
        world, token = self._world, service.token
        while not service.steady:
            world.clockwork.sleep(world.dice.uniform(5, 30))
            stop.check()
            if world.weather.happens("ECS fails", 0.03):
                raise WorldFailed("ECS did not answer")
            on_progress(_progress("wait", service, target))
        if service.token != token:
            return _result("superseded", service, before, target)
        outcome = "succeeded" if service.primary == target else "rolled_back"
        seen = _result(outcome, service, before, target)
        self._stand_still()
        return seen


def _progress(step: Any, service: Service, target: int) -> Progress:
    return Progress(step=step, elapsed=0.0, task_definition=service.arn(target))


def _result(outcome: Any, service: Service, before: int, target: int) -> RolloutResult:
    return RolloutResult(
        outcome=outcome,
        cause=outcome,
        before=service.arn(before),
        after=service.arn(target),
        running=service.arn(service.primary),
        restored=True if outcome == "rolled_back" else None,
    )


class Disk:
    def make_room(self, source: str, *, least: int, stop: Any, sink: Any) -> None:
        return None

    def check_not_full(self) -> None:
        return None


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
