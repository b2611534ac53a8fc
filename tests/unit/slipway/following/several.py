"""Deployments of two services: each in a scripted ECS of its own, with one clock for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.contracts.deployed_to import ServiceSettings
from slipway.contracts.installation import Installation
from slipway.following.handing import ToRollOut
from slipway.following.parts import FollowerParts
from slipway.following.state import Part, StageBegun
from slipway.rollout import OneOffTask, RolloutPlan, Timeouts
from slipway.rollout.means import Means
from slipway.rollout.roll_out import take
from slipway.rollout.state import Advanced
from tests.scripted_ecs import IMAGE, ScriptedEcs
from tests.unit.slipway.following import three_ways
from tests.unit.slipway.following.three_ways import (
    COMMIT,
    DIGEST,
    INSTALLATION,
    PIPELINE,
    Chain,
)
from tests.unit.slipway.rollout.stepwise import CHANGES, Killed, World, _live, _shape

NAMES = ("web", "worker")
SERVICES = tuple(ServiceSettings(cluster="prod", service=name) for name in NAMES)
SEVERAL = replace(PIPELINE, services=SERVICES)
TIMES = Timeouts(healthy=60, drain=60, rollback=60, task=30)
CLUSTERS = ("prod", "worker/prod")
"""By its plan's cluster each service is found; the scripted ECS looks at its last part."""


def two(
    web: ScriptedEcs, worker: ScriptedEcs, *, task: OneOffTask | None = None, **members: Any
) -> list[World]:
    """Both are given a new image; the first one's revision runs the `task` before."""
    worker.clock = web.clock
    plans = [
        RolloutPlan(
            cluster=cluster, service="web", timeouts=TIMES, task=task if number == 0 else None,
            **({"image": f"{IMAGE}:v8", "discard_failed": True} | members),
        )
        for number, cluster in enumerate(CLUSTERS)
    ]  # fmt: skip
    return [World(plan, scripted) for plan, scripted in zip(plans, (web, worker), strict=True)]


@dataclass
class Pair(Chain):
    """A chain of two services. `worlds`: theirs; `after`: called after each change that was made,
    with its number; `moving`: the services to which a rollout was on its way at the hand-over.
    """

    worlds: list[World] = field(default_factory=list)
    together: bool = False
    moving: tuple[str, ...] = ()
    after: Callable[[Pair, int], None] = lambda _pair, _number: None

    @classmethod
    def of(cls, worlds: list[World], **members: Any) -> Pair:
        return cls(worlds[0], worlds=worlds, **members)

    def __post_init__(self) -> None:
        """Clients of one service are one in these tests: each call goes to whose step it is in."""
        self.stepping = self.worlds[0]
        handles = [self._watched_in(world, world.ecs.handle) for world in self.worlds]

        def handle(operation: str, parameters: Any) -> Any:
            return handles[self.worlds.index(self.stepping)](operation, parameters)

        for world in self.worlds:
            world.ecs.handle = handle
            if world.codedeploy is not None:
                world.codedeploy.handle = self._watched_in(world, world.codedeploy.handle)

    def _take(self, step: Advanced, means: Any) -> Advanced | None:
        self.stepping = self.worlds[CLUSTERS.index(str(step.state.plan.cluster))]
        return take(step, means)

    @property
    def installation(self) -> Installation:
        return replace(INSTALLATION, pipelines=(SEVERAL,))

    def parts(self) -> FollowerParts:
        return replace(super().parts(), take=self._take)

    def to_roll_out(self) -> ToRollOut:
        return ToRollOut(
            plans=tuple(world.plan for world in self.worlds),
            parts=tuple(
                Part(
                    cluster="prod", service=name, ran=world.ecs.service["taskDefinition"],
                    moves=name in self.moving or None,
                )
                for name, world in zip(NAMES, self.worlds, strict=True)
            ),
            together=self.together or None,
            commit=COMMIT, image_digest=DIGEST, images={"app": DIGEST}, tip_seen=COMMIT.id,
            stages=(StageBegun(stage="push", at=self.now),),
        )  # fmt: skip

    @property
    def live(self) -> list[str]:
        """What ECS has each service run."""
        return [_live(world) for world in self.worlds]

    def told(self) -> dict[str, Any]:
        """How it ended, what is said of each service, and what each runs."""
        result, services = self.result, self.result.services or ()
        lock = self.table.locks.get("web")
        assert (lock.holder, lock.untold) == ("", None)
        assert [one.service for one in services] == list(NAMES)
        return {
            "status": result.status,
            "runs": [one.runs for one in services],
            "now": [one.now for one in services],
            "live": self.live,
            "mixed": self.table.pipelines.get("web").mixed,
            "made": [(change.operation, change.parameters.get("taskDefinition"))
                     for change in self.changes if change.changed],
        }  # fmt: skip

    def _means(self, plan: Any, guard: Callable[[], None], on_progress: Any) -> Means:
        world = self.worlds[CLUSTERS.index(plan.cluster)]
        means = world.process(on_progress)
        means.ecs._guard = guard
        means._guard = guard
        return means

    def _watched_in(
        self, world: World, handle: Callable[[str, Any], Any]
    ) -> Callable[[str, Any], Any]:
        def handled(operation: str, parameters: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            before = _shape(world) if operation in CHANGES else None
            if number == self.kill_at and not self.answered:
                raise Killed
            try:
                answer = handle(operation, parameters)
            finally:
                if operation in CHANGES:
                    changed = _shape(world) != before
                    self.changes.append(three_ways.Change(number, operation, parameters, changed))
            self.after(self, len([c for c in self.changes if c.changed]))
            if number == self.kill_at:
                raise Killed
            return answer

        return handled
