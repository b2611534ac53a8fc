"""Does ECS count the new tasks as healthy? Proved from the tasks themselves, never guessed.

ECS API reference, DeploymentConfiguration, `minimumHealthyPercent`: a task counts once the health
checks of its essential containers pass; behind a load balancer once its target is healthy (both,
where it has both); with neither, 40 seconds after it is RUNNING.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.rollout.api import NO_ANSWER, Api, Denied
from slipway.rollout.plan import Factory
from slipway.rollout.service import Deployment, Service
from slipway.rollout.targets import NotAsked, Targets
from slipway.rollout.taskdef import describe
from slipway.rollout.tasks import listed_tasks

RUNNING_FOR = 40.0
"""Seconds in RUNNING after which a task without any health check counts."""
TOO_YOUNG = f"it counts once it has been RUNNING for {RUNNING_FOR:.0f} s"
RECHECK = 4.0
"""Seconds between two proofs while nothing says when the next one can differ."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the tasks of a deployment are all healthy; `waits_for` says what is still missing.

    `known` False: it could not be asked for good (a permission, a balancer of another kind).
    """

    healthy: bool
    known: bool = True
    waits_for: str = ""


HEALTHY = Health(healthy=True)


class Prover:
    """Proves the health of one deployment, by its `id` and `task_definition`, look after look.

    Asked only while the service's counts say that its tasks are up; what it saw before that is
    forgotten. `balancing` makes a client of Elastic Load Balancing v2.
    """

    def __init__(
        self, api: Api, identifier: str, task_definition: str, balancing: Factory | None
    ) -> None:
        self._api = api
        self._id = identifier
        self._task_definition = task_definition
        self._make_balancing = balancing
        self._balancing: Api | None = None
        self._checked: frozenset[str] | None = None
        self._seen: dict[str, float] = {}
        self._up_since: float | None = None
        self._failed = 0
        self._last: Health | None = None
        self._again_at = 0.0

    def forget(self) -> None:
        """The tasks are not up: what comes next is proved anew."""
        self._up_since, self._last = None, None

    def prove(self, service: Service, *, fresh: bool = False) -> Health:
        """The health of the deployment's tasks now; a recent answer serves unless it is `fresh`."""
        now = self._api.clock.now()
        mine = service.deployment(self._id)
        if mine is None:
            return Health(healthy=False, waits_for="ECS does not list it")
        if self._up_since is None or mine.failed > self._failed:
            self._up_since, self._last = now, None
        self._failed = mine.failed
        if self._last is not None and not fresh and (self._last.healthy or now < self._again_at):
            return self._last
        self._again_at = now + RECHECK
        self._last = self._ask(service, mine, now)
        return self._last

    def _ask(self, service: Service, mine: Deployment, now: float) -> Health:
        if mine.desired == 0:
            return HEALTHY
        try:
            return self._of_tasks(service, mine, now)
        except Denied as error:
            return Health(healthy=False, known=False, waits_for=f"{error.action} is denied")
        except NotAsked as error:
            return Health(healthy=False, known=False, waits_for=str(error))
        except NO_ANSWER as error:
            return Health(healthy=False, waits_for=str(error))

    def _of_tasks(self, service: Service, mine: Deployment, now: float) -> Health:
        tasks = [t for t in listed_tasks(self._api, service, "RUNNING") if self._is_ours(t)]
        self._seen = {
            str(t["taskArn"]): self._seen.get(str(t["taskArn"]), now)
            for t in tasks
            if t.get("lastStatus") == "RUNNING"
        }
        checked = self._checked_containers()
        if not tasks and not checked and not service.load_balanced:
            return self._by_counts(now)
        missing = missing_checks(tasks, checked)
        if service.load_balanced:
            balanced = [t for t in tasks if str(t["taskArn"]) not in missing]
            missing |= self._targets(service).missing(balanced)
        elif not checked:
            missing |= self._too_young(tasks, now)
        return verdict(len(tasks), mine.desired, missing)

    def _is_ours(self, task: Mapping[str, Any]) -> bool:
        """ECS writes the deployment's id into `startedBy` of each task that it starts for it."""
        started_by = task.get("startedBy") or ""
        if started_by.startswith("ecs-svc/"):
            return bool(started_by == self._id)
        return bool(task.get("taskDefinitionArn") == self._task_definition)

    def _checked_containers(self) -> frozenset[str]:
        """The essential containers that have a health check in their definition."""
        if self._checked is None:
            containers = describe(self._api, self._task_definition).containers
            self._checked = frozenset(
                str(c["name"])
                for c in containers
                if c.get("essential", True) and (c.get("healthCheck") or {}).get("command")
            )
        return self._checked

    def _too_young(self, tasks: Iterable[Mapping[str, Any]], now: float) -> dict[str, str]:
        """The tasks that have not been seen RUNNING for long enough. A task never runs twice."""
        ages = {str(t["taskArn"]): now - self._seen.get(str(t["taskArn"]), now) for t in tasks}
        young = {arn: age for arn, age in ages.items() if age < RUNNING_FOR}
        if young:
            self._again_at = now + min(RUNNING_FOR - min(young.values()), RUNNING_FOR)
        return dict.fromkeys(young, TOO_YOUNG)

    def _by_counts(self, now: float) -> Health:
        """ECS counts tasks and lists none of them: the counts must hold as long, at every look."""
        age = now - (self._up_since if self._up_since is not None else now)
        if age >= RUNNING_FOR:
            return HEALTHY
        self._again_at = now + RUNNING_FOR - age
        return Health(healthy=False, waits_for=f"its tasks: {TOO_YOUNG}")

    def _targets(self, service: Service) -> Targets:
        if self._balancing is None:
            if self._make_balancing is None:
                raise NotAsked("the balancer is not asked which tasks are healthy")
            try:
                client = self._make_balancing()
            except Exception as error:  # whatever botocore has against it
                raise NotAsked(f"the balancer cannot be asked ({error})") from error
            self._balancing = Api(client, self._api.clock)
        return Targets(self._api, self._balancing, service.raw)


def missing_checks(tasks: Iterable[Mapping[str, Any]], checked: frozenset[str]) -> dict[str, str]:
    """Task ARN to why it does not count yet: not RUNNING, or a health check that has not passed."""
    missing: dict[str, str] = {}
    for task in tasks:
        arn = str(task["taskArn"])
        if task.get("lastStatus") != "RUNNING":
            missing[arn] = f"it is {task.get('lastStatus') or 'in no known state'}"
            continue
        states = {c.get("name"): c.get("healthStatus") for c in task.get("containers") or []}
        for name in sorted(checked):
            state = states.get(name) or task.get("healthStatus") or "UNKNOWN"
            if state != "HEALTHY":
                missing.setdefault(arn, f"the health check of container {name} is {state}")
    return missing


def verdict(listed: int, desired: int, missing: Mapping[str, str]) -> Health:
    """Healthy where as many tasks as desired lack nothing."""
    good = listed - len(missing)
    if good >= desired:
        return HEALTHY
    if not missing:
        return Health(healthy=False, waits_for=f"ECS lists {listed} of {desired} tasks")
    arn, why = next(iter(missing.items()))
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    return Health(healthy=False, waits_for=f"task {arn.rpartition('/')[2]}: {why}{more}")
