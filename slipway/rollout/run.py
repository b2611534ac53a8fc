"""One rollout under way: its plan, its means, and what it has to tell."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from slipway.rollout.api import Api
from slipway.rollout.judge import Look
from slipway.rollout.plan import (
    Clock,
    Factory,
    Guard,
    OnProgress,
    Outcome,
    Progress,
    RolloutPlan,
    RolloutResult,
    Step,
    short,
)
from slipway.rollout.unfinished import Begun


@dataclass
class Run:
    """One rollout under way: its plan, its means, and what it has to tell.

    `before`, `after`: task definitions; `back_to`: the one that it is being rolled back to;
    `deployment`: its id; `group`: CodeDeploy, and its group that makes it.
    """

    plan: RolloutPlan
    api: Api
    clock: Clock
    guard: Guard | None
    ecr: Factory | None
    codedeploy: Factory | None
    balancing: Factory | None
    on_progress: OnProgress
    begun: float
    changes: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    before: str | None = None
    after: str | None = None
    deployment: str | None = None
    back_to: str | None = None
    group: tuple[Api, Any] | None = None
    _step: Step | None = None
    _step_begun: float = 0.0

    @property
    def begun_changes(self) -> Begun:
        """What was begun in AWS until now."""
        return Begun(
            changes=self.api.changes,
            before=self.before,
            after=self.after,
            deployment=self.deployment,
            back_to=self.back_to,
        )

    @property
    def has_begun(self) -> bool:
        """Whether AWS was changed, or a deployment that goes on there is followed."""
        return self.api.changes.any or self.deployment is not None

    def api_of(self, client: Any) -> Api:
        """Another service's, under the same guard and with the same account of changes."""
        return Api(
            client,
            self.clock,
            guard=self.guard,
            patience=self.plan.timeouts.patience,
            changes=self.api.changes,
        )

    @property
    def model(self) -> Any:
        return self.api.client.meta.service_model

    def step(self, step: Step, *, note: str = "", task_definition: str | None = None) -> None:
        """A new step begins: its time is counted, and it is told."""
        self._count_time()
        self._step, self._step_begun = step, self.clock.now()
        self.tell(Progress(step=step, elapsed=0.0, note=note, task_definition=task_definition))

    def warn(self, warning: str | None) -> None:
        if warning is not None:
            self.warnings.append(warning)

    def tell(self, progress: Progress) -> None:
        revision = short(progress.task_definition) if progress.task_definition else None
        elapsed = self.clock.now() - self.begun
        self.on_progress(replace(progress, elapsed=elapsed, revision=revision))

    def look_teller(self, task_definition: str, identifier: str, step: Step = "wait") -> Any:
        """What tells each look at the deployment `identifier`."""

        def tell(look: Look, healthy: bool, waits: str) -> None:
            progress = progress_of(look, task_definition, identifier, healthy=healthy, step=step)
            self.tell(replace(progress, waits=waits))

        return tell

    def result(self, outcome: Outcome, cause: str, **members: Any) -> RolloutResult:
        """The result with everything that was noted on the way."""
        self._count_time()
        return RolloutResult(
            outcome=outcome,
            cause=cause,
            changes=self.changes,
            warnings=tuple(self.warnings),
            skipped=tuple(self.skipped),
            timings=dict(self.timings),
            **members,
        )

    def _count_time(self) -> None:
        if self._step is not None:
            spent = self.clock.now() - self._step_begun
            self.timings[self._step] = self.timings.get(self._step, 0.0) + spent
            self._step = None


def progress_of(
    look: Look, task_definition: str, identifier: str, *, healthy: bool, step: Step = "wait"
) -> Progress:
    """What a look says to somebody who waits."""
    mine = look.service.deployment(identifier)
    counts: dict[str, Any] = {}
    if mine is not None:
        counts = {
            "desired": mine.desired,
            "running": mine.running,
            "pending": mine.pending,
            "failed": mine.failed,
        }
    others_left = len(look.service.deployments) > 1
    waiting: Step = "drain" if healthy and others_left and step == "wait" else step
    return Progress(
        step=waiting,
        elapsed=0.0,
        task_definition=task_definition,
        stage=look.ours.stage if look.ours else None,
        **counts,
    )
