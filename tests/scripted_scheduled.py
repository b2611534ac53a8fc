"""EventBridge's rules and EventBridge Scheduler's schedules, by script, behind botocore's models.

What is asked and answered has the form of botocore's models. As AWS does, PutTargets replaces a
whole target and UpdateSchedule a whole schedule: what is left out is gone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.aws.answers import answered
from tests.aws.wire import REGION, Fault, Json, client_of

PAGE = 2
"""Targets that one answer lists."""


@dataclass
class ScriptedScheduled:
    """`rules`: targets by bus and rule; `schedules`: by group and name, as UpdateSchedule takes
    them. `faults`: operation to error, always. `entry`: what PutTargets answers instead of setting.
    `takes_start`: whether a start date is taken again. `is_checked`: by the models.
    """

    rules: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    schedules: dict[tuple[str, str], Json] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    entry: Json | None = None
    takes_start: bool = True
    is_checked: bool = True
    calls: list[tuple[str, Json]] = field(default_factory=list)

    def client(self, name: str) -> Any:
        """A client of `events` or of `scheduler`."""
        return _Client(name, self.handle, is_checked=self.is_checked)

    def handle(self, operation: str, asked: Json) -> Json:
        self.calls.append((operation, copy.deepcopy(asked)))
        if operation in self.faults:
            raise self.faults[operation]
        answer: Json = getattr(self, f"_on_{operation}")(asked)
        return copy.deepcopy(answer)

    def names(self, kind: str, place: str, name: str, number: int = 0) -> str:
        """What a target names now: family:revision."""
        target = self.rules[place, name][number] if kind == "rule" else (
            self.schedules[place, name]["Target"]
        )  # fmt: skip
        return str(target["EcsParameters"]["TaskDefinitionArn"].rpartition("/")[2])

    def _on_ListTargetsByRule(self, asked: Json) -> Json:
        there = self._rule(asked)
        start = int(asked.get("NextToken", 0))
        more = {"NextToken": str(start + PAGE)} if len(there) > start + PAGE else {}
        return {"Targets": there[start : start + PAGE], **more}

    def _on_PutTargets(self, asked: Json) -> Json:
        there = self._rule(asked)
        if self.entry is not None:
            return {"FailedEntryCount": 1, "FailedEntries": [self.entry]}
        for target in asked["Targets"]:
            ids = [one["Id"] for one in there]
            there[ids.index(target["Id"])] = copy.deepcopy(target)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def _on_GetSchedule(self, asked: Json) -> Json:
        place, name = asked.get("GroupName", "default"), asked["Name"]
        arn = f"arn:aws:scheduler:{REGION}:222222222222:schedule/{place}/{name}"
        return {**self._schedule(asked), "Arn": arn}

    def _on_UpdateSchedule(self, asked: Json) -> Json:
        self._schedule(asked)
        if "StartDate" in asked and not self.takes_start:
            why = "The StartDate you specify cannot be earlier than 5 minutes ago."
            raise Fault("ValidationException", why)
        key = asked.get("GroupName", "default"), asked["Name"]
        self.schedules[key] = copy.deepcopy(asked)
        return {"ScheduleArn": f"arn:aws:scheduler:{REGION}:222222222222:schedule/{'/'.join(key)}"}

    def _rule(self, asked: Json) -> list[Json]:
        key = asked.get("EventBusName", "default"), asked["Rule"]
        if key not in self.rules:
            raise Fault("ResourceNotFoundException", f"Rule {key[1]} does not exist.")
        return self.rules[key]

    def _schedule(self, asked: Json) -> Json:
        key = asked.get("GroupName", "default"), asked["Name"]
        if key not in self.schedules:
            raise Fault("ResourceNotFoundException", f"Schedule {key[1]} does not exist.", 404)
        return self.schedules[key]


class _Client:
    """As botocore's, with each call checked against its model."""

    def __init__(self, name: str, handle: Callable[[str, Json], Json], *, is_checked: bool) -> None:
        self._name, self._handle, self._is_checked = name, handle, is_checked
        self.meta = client_of(name, handle).meta

    def __getattr__(self, method: str) -> Callable[..., Json]:
        operation = self.meta.method_to_api_mapping[method]

        def call(**asked: Any) -> Json:
            if not self._is_checked:
                return self._handle(operation, asked)
            answer: Json = answered(
                self._name, operation, asked, lambda: self._handle(operation, asked)
            )
            return {**answer, "ResponseMetadata": {}}

        return call
