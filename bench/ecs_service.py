"""The tests' scripted ECS, behind a port and under the real clock, for every contender alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.scripted_ecs import Behaviour, ScriptedEcs, serve

ALWAYS_ANSWERED = {"volumes": [], "placementConstraints": []}
ALWAYS_IN_A_CONTAINER = {
    "environment": [],
    "secrets": [],
    "portMappings": [],
    "mountPoints": [],
    "volumesFrom": [],
}
"""Members that AWS answers even when they are empty, and that fabfuel's ecs-deploy relies on."""


class RealClock:
    """Seconds that pass by themselves."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@contextmanager
def scripted_service(behaviour: Behaviour, *, tasks: int) -> Iterator[tuple[ScriptedEcs, str]]:
    """A fresh service of so many desired tasks, and its endpoint URL."""
    ecs = ScriptedEcs(clock=RealClock(), behaviour=behaviour)
    ecs.service |= {"desiredCount": tasks, "runningCount": tasks}
    for definition in ecs.definitions.values():
        definition.update(ALWAYS_ANSWERED)
        for container in definition["containerDefinitions"]:
            container.update(ALWAYS_IN_A_CONTAINER)
    with serve(ecs) as url:
        yield ecs, url
