"""Scheduled tasks in simulated time: a rule with a family of its own, and a schedule that runs the
service's. The steps are the real ones (`slipway/rollout/schedules.py`); what they look at and
change is here, with faults and lost answers.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.contracts.errors import WorldFailed
from slipway.rollout.actions import Change, Deregister, Register, SetTarget, Tell
from slipway.rollout.api import Changes
from slipway.rollout.discarding import discard
from slipway.rollout.looks import Answer, Deregistered, Look, Revisions, TargetSeen
from slipway.rollout.plan import RolloutPlan, Scheduled
from slipway.rollout.scheduled import Target, family
from slipway.rollout.schedules import STEPS
from slipway.rollout.state import Advanced, RolloutState
from tests.simulation.deploying import ARN, Violation, digest_of


@dataclass
class Families:
    """What a pipeline's companions are. `images`: by family, its revisions with their images;
    `targets`: by kind and name, what would set the target again.
    """

    pipeline: str
    uri: str
    images: dict[str, dict[int, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    targets: dict[tuple[str, str], Target] = field(default_factory=dict)
    edits: int = 0
    edited_at: float = 0.0

    def __post_init__(self) -> None:
        first = f"{self.uri}@{digest_of('0' * 40)}"
        for name in (f"{self.pipeline}-job", f"{self.pipeline}-shell"):
            self.images[name] = {1: first}
        self._put("rule", f"{self.pipeline}-nightly", f"{ARN}{self.pipeline}-job:1")
        self._put("schedule", f"{self.pipeline}-mails", f"{ARN}{self.pipeline}:1")

    def _put(self, kind: str, name: str, names: str) -> None:
        ecs = {"TaskDefinitionArn": names, "TaskCount": 1}
        target = {"Id": "t", "Arn": "cluster", "Input": "{}", "EcsParameters": ecs}
        request = (
            {"Targets": [target]} if kind == "rule" else {"State": "ENABLED", "Target": target}
        )
        self.targets[kind, name] = Target(kind=kind, request={"Name": name, **request})

    def newest(self, name: str) -> int:
        return max(n for n in self.images[name] if f"{ARN}{name}:{n}" not in self.gone)

    def edit(self, now: float) -> None:
        """Somebody changes what the rule's task is asked to do."""
        self.edits, self.edited_at = self.edits + 1, now
        key = "rule", f"{self.pipeline}-nightly"
        request = copy.deepcopy(dict(self.targets[key].request))
        request["Targets"][0]["Input"] = str(self.edits)
        self.targets[key] = Target(kind="rule", request=request)

    def request(self, name: str, number: int) -> dict[str, Any]:
        image = self.images[name][number]
        return {"family": name, "containerDefinitions": [{"name": "app", "image": image}]}

    def digest(self, world: Any, names: str) -> str:
        """Of the image that a task definition's ARN (or family:revision) has."""
        name, _, number = names.rpartition("/")[2].partition(":")
        own = self.images.get(name) or world.services[name].images
        return own[int(number)].partition("@")[2]


class CompanionMeans:
    """Of the rollout of one companion, in one process."""

    def __init__(self, rollouts: Any, plan: RolloutPlan, held: Any, carry: Any) -> None:
        self.world, self.plan, self.changes = rollouts.world, plan, Changes()
        self.families: Families = self.world.families[held.row.pipeline]
        self._read_at = 0.0
        self._carry, self.tell = carry, carry.on_progress

    def look(self, state: RolloutState) -> Look:
        if self.world.weather.happens("ECS fails", 0.05):
            raise WorldFailed("EventBridge did not answer")
        there = self.families
        if state.step == "discard":
            gone = state.after in there.gone
            used = frozenset(target.names for target in there.targets.values())
            return Revisions(service=None, active=() if gone else (str(state.after),), used=used)
        one = self.plan.scheduled
        target = there.targets[one.kind, one.name] if one is not None else None
        if not state.registers:
            return TargetSeen(target=target, wanted=self._wanted(one))
        name = family(state)
        newest = there.newest(name)
        number = newest if state.base is None else int(state.base.rpartition(":")[2])
        return TargetSeen(
            target=target,
            base=there.request(name, number),
            base_arn=f"{ARN}{name}:{number}",
            newest=there.request(name, newest),
            newest_arn=f"{ARN}{name}:{newest}",
        )

    def _wanted(self, one: Scheduled | None) -> str:
        if self.plan.target is not None:
            return ARN + self.plan.target
        service = self.world.services[one.service if one is not None else ""]
        return str(service.arn(service.primary))

    def carry_out(self, state: RolloutState, change: Change) -> Look:
        if isinstance(change, SetTarget):
            now = self.families.targets[change.scheduled.kind, change.scheduled.name]
            if (now.names, now.checksum) != (change.names, change.seen):
                raise WorldFailed("the target is being changed")
            self._read_at = self.world.clockwork.time
        answer: Look = self._carry(self, state, change, self._make)
        return answer

    def _make(self, state: RolloutState, change: Change) -> Look:
        there = self.families
        if isinstance(change, Register):
            name = str(change.request["family"])
            number = max(there.images[name]) + 1
            there.images[name][number] = change.request["containerDefinitions"][0]["image"]
            definition = {"taskDefinitionArn": f"{ARN}{name}:{number}"}
            return Answer(value={"taskDefinition": definition})
        if isinstance(change, Deregister):
            named = {target.names for target in there.targets.values()}
            if named & {*change.revisions}:
                raise Violation(f"{change.revisions[0]} is deregistered, and a target names it")
            there.gone |= {*change.revisions}
            return Deregistered(asked=change.revisions, revisions=change.revisions)
        return self._set(state, change)

    def _set(self, state: RolloutState, change: Change) -> Answer:
        one = self.plan.scheduled
        if one is None or not isinstance(change, SetTarget):
            raise Violation(f"{change.operation} of what is no scheduled task")
        there, key = self.families, (one.kind, one.name)
        new = Target(kind=one.kind, request=change.request)
        is_lost = new.checksum != there.targets[key].checksum
        if is_lost and there.edited_at < self._read_at:
            raise Violation(f"{one.name} loses what somebody has changed of it")
        if new.names in there.gone:
            raise Violation(f"{one.name} is set to a revision that is deregistered")
        services = self.world.services
        mine = [s for s in services.values() if s.pipeline == there.pipeline]
        if state.step == "aim_put" and not all(service.steady for service in mine):
            raise Violation(f"{one.name} is set while a service is not steady")
        there.targets[key] = new
        return Answer(value={})


def take(step: Advanced, means: CompanionMeans) -> Advanced | None:
    """As `slipway.rollout.roll_out.take`, by the real steps."""
    for action in step.actions:
        if isinstance(action, Tell):
            means.tell(action.progress)
    state = step.state
    if state.result is not None:
        return None
    seen: Look | None = None
    for action in step.actions:
        if isinstance(action, Change):
            seen = means.carry_out(state, action)
    seen = means.look(state) if seen is None else seen
    taken = [name for name in means.changes.taken if name != Deregister.operation]
    state = replace(state, taken=tuple(taken))
    function: Any = discard if state.step == "discard" else STEPS[state.step]
    following: Advanced = function(state, seen, means.world.clockwork.time)
    return following
