"""Source, images, services and disk of a scripted deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from build_agent.host.stop import Stop
from build_agent.image.images import Built, Made
from build_agent.image.tested import Tested
from build_agent.source.known import Fetched, is_known
from build_agent.source.submodules import Submodule
from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import ImageSettings
from slipway.contracts.messages import Commit
from slipway.following.service import Running
from slipway.rollout import Progress, RolloutPlan, RolloutResult
from slipway.rollout.api import Changes
from slipway.rollout.state import Advanced, RolloutState, on

URI = "127.0.0.1:4566/app"
A, B, C = "a" * 40, "b" * 40, "c" * 40


@dataclass
class FakeSource:
    """A branch; `on_fetch` may move it, or raise. What is known is not fetched, by the real rule:
    here every commit has all others in its history, and all was seen before its fetch.
    """

    tip: str = A
    known: set[str] = field(default_factory=lambda: {A, B, C})
    fetched: list[str | None] = field(default_factory=list)
    pushed: list[Any] = field(default_factory=list)
    last: Fetched | None = None
    on_fetch: Callable[[], None] = lambda: None
    laid_out: Path | None = None
    lacks: list[Submodule] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)
    """By commit, what stands under the pipeline's paths; of one that is not here nothing is known.
    """
    compared: list[tuple[str, str]] = field(default_factory=list)

    def fetch(
        self, pipeline: Any, commit: str | None, *, stop: Stop, sink: Any, pushed: Any = None
    ) -> Commit:
        stop.check()
        self.pushed.append(pushed)
        if commit is None and pushed and is_known(pushed, self.last, lambda _old, _new: True):
            return self.last.commit
        self.fetched.append(commit)
        found = commit or self.tip
        self.on_fetch()
        brought = Commit(id=found, author="Ada", subject=f"Change {found[:4]}")
        if commit is None:
            self.last = Fetched(brought, float("inf"))
        return brought

    @contextmanager
    def tree(self, pipeline: Any, commit: str, *, stop: Stop) -> Iterator[Path]:
        yield self.laid_out or Path("/tree") / commit

    def submodules(self, pipeline: Any, commit: str, *, stop: Stop) -> list[Submodule]:
        return self.lacks

    def commits_between(
        self, pipeline: Any, old: str, new: str, *, limit: int, stop: Stop
    ) -> tuple[tuple[Commit, ...], int | None]:
        return (Commit(id=new),), 1

    def touched(self, pipeline: Any, old: str, new: str, *, stop: Stop, sink: Any) -> bool | None:
        stop.check()
        self.compared.append((old, new))
        if old not in self.contents or new not in self.contents:
            return None
        return self.contents[old] != self.contents[new]


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

    def keep_layers(self, *_arguments: Any, stop: Any, sink: Any) -> None:
        """Nothing travels."""

    def keep(self, image: ImageSettings, digest: str, pipeline: str, *, sink: Any) -> None:
        self.kept[pipeline] = digest

    def find(self, image: ImageSettings, tag: str) -> str | None:
        return self.ecr.get(tag)

    def once(self, image: Any, tag: str, make: Callable[[], Made], *, stop: Any, sink: Any) -> str:
        return self.find(image, tag) or make().digest

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
        sink("The push refers to repository [registry.example/app]")
        self.on_push()
        self.pushed.append(commit)
        self.ecr[tag] = digest_of(tag)
        return self.ecr[tag]


@dataclass
class FakeTests:
    """Tests that come to `outcome`; `on_run` may raise."""

    outcome: Tested = field(default_factory=Tested)
    ran: list[str] = field(default_factory=list)
    on_run: Callable[[], None] = lambda: None

    def run(self, image: ImageSettings, stage: Built, *, stop: Stop, sink: Any) -> Tested:
        stop.check()
        self.ran.append(image.repository)
        sink("tests run")
        self.on_run()
        return self.outcome


def digest_of(tag: str) -> str:
    return "sha256:" + tag.removeprefix("build-") * 2


def definition(revision: int) -> str:
    return f"arn:aws:ecs:us-east-1:222222222222:task-definition/web:{revision}"


@dataclass
class FakeContainers:
    """What stopped containers said; `asked`: of which task definitions."""

    said: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def of_stopped(self, pipeline: Any, task_definition: str) -> tuple[str, ...]:
        self.asked.append(task_definition)
        return self.said


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
    registered: dict[str, str] = field(default_factory=dict)
    under_way: str = ""

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

    def means(self, plan: RolloutPlan, guard: Any, on_progress: Any) -> Any:
        """What `take` is given as its means."""
        return SimpleNamespace(
            plan=plan, guard=guard, on_progress=on_progress, changes=Changes(taken=[], unsure=[])
        )

    def take(self, step: Advanced, means: Any) -> Advanced | None:
        """First what the service is to be given, then the whole rollout as one step.

        What was registered for a state is registered once.
        """
        if step.state.result is not None:
            return None
        plan = step.state.plan
        if step.state.told != "update" and plan.target != definition(self.revision):
            return on(self._to_update(step.state))
        registered = self.registered.get(step.state.id)
        if registered is not None:
            plan = replace(plan, target=registered, images={})
        self.under_way = step.state.id
        result = self.roll_out(plan, stop=Stop(), guard=means.guard, on_progress=means.on_progress)
        if result.outcome == "unchanged" and registered is not None:
            result = replace(result, outcome="succeeded")
        return on(replace(step.state, step="over", result=result))

    def _to_update(self, state: RolloutState) -> RolloutState:
        return replace(
            state,
            step="update",
            told="update",
            before=definition(self.revision),
            after=state.plan.target or definition(self.newest + 1),
        )

    def _tell(self, on_progress: Any, step: Any, target: int) -> None:
        if step == "register":
            self.registered[self.under_way] = definition(target)
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

    @contextmanager
    def watched(self, sink: Any) -> Iterator[Any]:
        try:
            yield sink
        except DeploymentFailed:
            if self.free == 0:
                raise WorldFailed("the disk is full") from None
            raise
