"""Does ECS count the new tasks as healthy? Proved from the tasks themselves, never guessed.

ECS API reference, DeploymentConfiguration, `minimumHealthyPercent`: a task counts once the health
checks of its essential containers pass; behind a load balancer once its target is healthy (both,
where it has both); with neither, 40 seconds after it is RUNNING.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.rollout.service import Deployment, Service

RUNNING_FOR = 40.0
"""Seconds in RUNNING after which a task without any health check counts."""
TOO_YOUNG = f"it counts once it has been RUNNING for {RUNNING_FOR:.0f} s"
RECHECK = 4.0
"""Seconds between two proofs while nothing says when the next one can differ."""
ID = 8
"""Characters of a task's id that are remembered."""

Ages = Mapping[str, tuple[str, ...]]
"""A moment (epoch seconds, as text) to the tasks that were first seen RUNNING then."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """Whether the tasks of a deployment are all healthy; `waits_for` says what is still missing.

    `known` False: it could not be asked for good (a permission, a balancer of another kind).
    """

    healthy: bool
    known: bool = True
    waits_for: str = ""


HEALTHY = Health(healthy=True)


@dataclass(frozen=True, kw_only=True)
class TasksSeen:
    """The RUNNING tasks of a deployment, as DescribeTasks has them.

    `checked`: its essential containers that have a health check (None: not known). `unfit`: task
    ARN to what its target is not healthy for, where a balancer was asked. `problem`: why that is
    not the whole truth.
    """

    tasks: tuple[Mapping[str, Any], ...] = ()
    checked: frozenset[str] | None = None
    unfit: Mapping[str, str] = field(default_factory=dict)
    problem: Health | None = None


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was proved of a deployment, from look to look.

    `checked`: see TasksSeen. `ages`: of its tasks, where nothing checks them. `up_since`: since
    when its counts say that they are up; `failed`: how many had failed then. `again_at`: until then
    `last` holds.
    """

    checked: frozenset[str] | None = None
    ages: Ages = field(default_factory=dict)
    up_since: float | None = None
    failed: int = 0
    last: Health | None = None
    again_at: float = 0.0

    def forgotten(self) -> Proof:
        """The tasks are not up: what comes next is proved anew."""
        return replace(self, up_since=None, last=None)

    def up(self, mine: Deployment, now: float) -> Proof:
        """The counts of `mine` say that its tasks are up; one that failed since begins it anew."""
        begins = self.up_since is None or mine.failed > self.failed
        up = replace(self, up_since=now, last=None) if begins else self
        return replace(up, failed=mine.failed)

    def is_due(self, now: float, *, fresh: bool) -> bool:
        """Whether the tasks must be asked for: the last proof is old, or must be `fresh`."""
        recent = self.last is not None and (self.last.healthy or now < self.again_at)
        return fresh or not recent


def prove(proof: Proof, service: Service, mine: Deployment, seen: TasksSeen, now: float) -> Proof:
    """What `seen` proves of the deployment `mine`, which is up."""
    proof = replace(proof, again_at=now + RECHECK, checked=seen.checked or proof.checked)
    if mine.desired == 0:
        return replace(proof, last=HEALTHY)
    proof = replace(proof, ages=_aged(proof.ages, seen.tasks, now))
    if seen.problem is not None:
        return replace(proof, last=seen.problem)
    checked = seen.checked or frozenset()
    if not seen.tasks and not checked and not service.load_balanced:
        return _by_counts(proof, now)
    missing = missing_checks(seen.tasks, checked)
    if service.load_balanced:
        missing |= {arn: why for arn, why in seen.unfit.items() if arn not in missing}
    elif not checked:
        young = _too_young(proof.ages, seen.tasks, now)
        missing |= dict.fromkeys(young, TOO_YOUNG)
        if young:
            left = RUNNING_FOR - min(young.values())
            proof = replace(proof, again_at=now + min(left, RUNNING_FOR))
    if checked or service.load_balanced:
        proof = replace(proof, ages={})
    return replace(proof, last=verdict(len(seen.tasks), mine.desired, missing))


def _by_counts(proof: Proof, now: float) -> Proof:
    """ECS counts tasks and lists none of them: the counts must hold as long, at every look."""
    age = now - (proof.up_since if proof.up_since is not None else now)
    if age >= RUNNING_FOR:
        return replace(proof, last=HEALTHY)
    waits = Health(healthy=False, waits_for=f"its tasks: {TOO_YOUNG}")
    return replace(proof, last=waits, again_at=now + RUNNING_FOR - age)


def _aged(ages: Ages, tasks: Iterable[Mapping[str, Any]], now: float) -> Ages:
    """`ages` of the tasks that are RUNNING now; others are forgotten: a task never runs twice."""
    known = {task: moment for moment, ids in ages.items() for task in ids}
    found: dict[str, tuple[str, ...]] = {}
    for task in tasks:
        if task.get("lastStatus") == "RUNNING":
            name = _id(task)
            moment = known.get(name, repr(now))
            found[moment] = (*found.get(moment, ()), name)
    return found


def _too_young(ages: Ages, tasks: Iterable[Mapping[str, Any]], now: float) -> dict[str, float]:
    """Task ARN to age, of those that have not been seen RUNNING for long enough."""
    since = {task: float(moment) for moment, ids in ages.items() for task in ids}
    found = {str(t["taskArn"]): now - since.get(_id(t), now) for t in tasks}
    return {arn: age for arn, age in found.items() if age < RUNNING_FOR}


def _id(task: Mapping[str, Any]) -> str:
    return str(task["taskArn"]).rpartition("/")[2][-ID:]


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
