"""Reads and sets the target of a scheduled task: an EventBridge rule's, or a schedule's.

Both services replace the whole of it: PutTargets the target, UpdateSchedule the schedule ("if you
do not set an optional field in your request, that field will be set to its system-default value",
its API reference). So a target is what would set it again, every member, and only what it names is
changed in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.contracts.errors import WorldFailed, WrongUse
from slipway.rollout.actions import SetTarget
from slipway.rollout.api import Api, Refused
from slipway.rollout.looks import TargetSeen
from slipway.rollout.means import Means
from slipway.rollout.plan import Scheduled, short
from slipway.rollout.service import read_service
from slipway.rollout.state import RolloutState
from slipway.rollout.taskdef import Described, describe, request_of

READ_ONLY = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")
"""What GetSchedule answers beside the members that UpdateSchedule takes."""
NOT_FOUND = "ResourceNotFoundException"


class Lacking(WorldFailed):
    """There is no such rule, schedule or target, or it is none that runs the family."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """`request`: what would set the target again as it is, with all that belongs to it."""

    kind: str
    request: Mapping[str, Any]

    @property
    def names(self) -> str:
        """The task definition's ARN; one without a revision runs the family's newest."""
        return str(_of_ecs(self.request, self.kind)["TaskDefinitionArn"])

    @property
    def role(self) -> str | None:
        """With which EventBridge starts the task."""
        whole = self.request["Targets"][0] if self.kind == "rule" else self.request["Target"]
        role: str | None = whole.get("RoleArn")
        return role

    @property
    def checksum(self) -> str:
        """Of everything but the task definition that it names."""
        text = json.dumps(_naming(self.request, self.kind, ""), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def naming(self, task_definition: str, *, undated: bool = False) -> dict[str, Any]:
        """What sets it to another task definition, with nothing else changed.

        `undated`: without the schedule's start date.
        """
        request = _naming(self.request, self.kind, task_definition)
        if undated:
            request.pop("StartDate", None)
        return request


def _of_ecs(request: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    target = request["Targets"][0] if kind == "rule" else request["Target"]
    parameters: Mapping[str, Any] = target["EcsParameters"]
    return parameters


def _naming(request: Mapping[str, Any], kind: str, task_definition: str) -> dict[str, Any]:
    ecs = {**_of_ecs(request, kind), "TaskDefinitionArn": task_definition}
    if kind == "rule":
        (target,) = request["Targets"]
        return {**request, "Targets": [{**target, "EcsParameters": ecs}]}
    return {**request, "Target": {**request["Target"], "EcsParameters": ecs}}


def family_of(task_definition: str) -> str:
    """The family of a task definition's ARN, with or without a revision."""
    return short(task_definition).partition(":")[0]


def read_target(means: Means, scheduled: Scheduled) -> Target:
    """The scheduled task's target as it is; Lacking where there is none of its family."""
    try:
        found = _of_rule(means, scheduled) if scheduled.kind == "rule" else _of(means, scheduled)
    except Refused as error:
        if error.code != NOT_FOUND:
            raise
        raise Lacking(f"{_named(scheduled)} is not there") from error
    if family_of(found.names) != scheduled.family:
        names = f"runs {short(found.names)}, not the family {scheduled.family}"
        raise Lacking(f"{_named(scheduled)} {names}")
    return found


def _of_rule(means: Means, scheduled: Scheduled) -> Target:
    place = {"Rule": scheduled.name}
    if scheduled.place is not None:
        place["EventBusName"] = scheduled.place
    there = [
        target
        for target in rule_targets(means.scheduling("events"), place)
        if target.get("EcsParameters") and scheduled.target in (None, target["Id"])
    ]
    if scheduled.target is None and len(there) > 1:
        there = [t for t in there if _family_in(t) == scheduled.family]
    if not there:
        of = "" if scheduled.target is None else f" {scheduled.target!r}"
        raise Lacking(f"{_named(scheduled)} has no target{of} that runs an ECS task")
    if len(there) > 1:
        ids = ", ".join(str(target["Id"]) for target in there)
        raise Lacking(f"{_named(scheduled)} has several targets of its family ({ids}): name one")
    return Target(kind="rule", request={**place, "Targets": there})


def _family_in(target: Mapping[str, Any]) -> str:
    return family_of(str(target["EcsParameters"]["TaskDefinitionArn"]))


def rule_targets(events: Api, place: Mapping[str, str]) -> list[dict[str, Any]]:
    """All targets of a rule, page by page."""
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = events.read("list_targets_by_rule", **place, **token)
        found += page.get("Targets") or []
        if not page.get("NextToken"):
            return found
        token = {"NextToken": page["NextToken"]}


def _of(means: Means, scheduled: Scheduled) -> Target:
    place = {"Name": scheduled.name}
    if scheduled.place is not None:
        place["GroupName"] = scheduled.place
    answer = means.scheduling("scheduler").read("get_schedule", **place)
    request = {name: value for name, value in answer.items() if name not in READ_ONLY}
    if not (request.get("Target") or {}).get("EcsParameters"):
        raise Lacking(f"{_named(scheduled)} runs no ECS task")
    return Target(kind="schedule", request=request)


def _named(scheduled: Scheduled) -> str:
    where = {"rule": "event bus", "schedule": "group"}[scheduled.kind]
    place = "" if scheduled.place is None else f" of {where} {scheduled.place}"
    return f"{scheduled.kind} {scheduled.name}{place}"


def put(means: Means, change: SetTarget) -> dict[str, Any]:
    """Set the target, if it is still as it was read: else Lacking, and the step looks again.

    PutTargets answers well also where it has not set it: that is Refused.
    """
    api, now = means.scheduling(change.service), read_target(means, change.scheduled)
    if (now.names, now.checksum) != (change.names, change.seen):
        raise Lacking(f"{_named(change.scheduled)} is being changed by somebody else")
    answer = api.change(change.operation, **change.request)
    failed = answer.get("FailedEntries") or []
    if answer.get("FailedEntryCount") or failed:
        api.changes.taken.remove(change.operation)
        entry = failed[0] if failed else {}
        code = str(entry.get("ErrorCode") or "Unknown")
        text = str(entry.get("ErrorMessage") or "the target was not set")
        raise Refused(f"events:PutTargets: {text} ({code})", code=code)
    return answer


def named_by(means: Means, scheduled: Iterable[Scheduled]) -> frozenset[str]:
    """The task definitions that these scheduled tasks name; one that is not there names none."""
    names: set[str] = set()
    for one in scheduled:
        try:
            names.add(read_target(means, one).names)
        except Lacking:
            continue
    return frozenset(names)


def seen(means: Means, state: RolloutState) -> TargetSeen:
    """What a step of a scheduled task, or of a definition alone, looks at."""
    plan, target, lacks = state.plan, None, ""
    if plan.scheduled is not None:
        try:
            target = read_target(means, plan.scheduled)
        except Lacking as error:
            lacks = str(error)
    if state.step in ("aim_put", "aim_back", "aim_cancel"):
        return TargetSeen(target=target, lacks=lacks)
    if not state.registers:
        wanted = None if state.step == "sight" else _wanted(means, state)
        return TargetSeen(target=target, lacks=lacks, wanted=wanted)
    newest = describe(means.ecs, family(state))
    base = means.definition(state.base) if state.base is not None else newest
    return TargetSeen(
        target=target,
        lacks=lacks,
        base=_again(means, state, base),
        base_arn=base.arn,
        newest=_again(means, state, newest),
        newest_arn=newest.arn,
    )


def family(state: RolloutState) -> str:
    """The family of a scheduled task, or of a definition alone."""
    scheduled = state.plan.scheduled
    return str(state.plan.family) if scheduled is None else scheduled.family


def _wanted(means: Means, state: RolloutState) -> str:
    """The revision that is there already: what the plan names, or what the service runs."""
    scheduled, target = state.plan.scheduled, state.plan.target
    if target is not None:
        return means.definition(target).arn or target
    if scheduled is None or scheduled.service is None:
        raise WrongUse("a scheduled task has no revision to go to")
    service = read_service(means.ecs, scheduled.cluster, scheduled.service)
    return service.primary.task_definition if service.primary else service.task_definition


def _again(means: Means, state: RolloutState, described: Described) -> dict[str, Any]:
    return request_of(described, means.model, tags=state.plan.copy_tags)
