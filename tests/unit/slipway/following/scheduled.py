"""A deployment of one service and its companions: a rule, a schedule and a definition alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.contracts.deployed_to import DefinitionSettings, ScheduledTaskSettings
from slipway.contracts.installation import Installation, PipelineSettings
from slipway.following.companions import companion_parts, companion_plans, scheduled_of
from slipway.following.handing import ToRollOut
from slipway.following.state import Part, StageBegun
from slipway.rollout import RolloutPlan, Timeouts
from slipway.rollout.api import Api
from slipway.rollout.means import Means
from tests.scripted_ecs import IMAGE, PREFIX, ScriptedEcs
from tests.scripted_scheduled import ScriptedScheduled
from tests.unit.slipway.following import three_ways
from tests.unit.slipway.following.three_ways import (
    COMMIT,
    DIGEST,
    INSTALLATION,
    PIPELINE,
    Chain,
)
from tests.unit.slipway.rollout.stepwise import Killed, World, _live

TIMES = Timeouts(healthy=60, drain=60, rollback=60, task=30)
TASKS = (
    ScheduledTaskSettings(kind="rule", name="nightly", family="batch"),
    ScheduledTaskSettings(kind="schedule", name="mails", family="web", place="shop"),
)
SCHEDULED = replace(
    PIPELINE, scheduled_tasks=TASKS, task_definitions=(DefinitionSettings(family="shell"),)
)
NAMES = ("web", "nightly", "mails", "shell")
IMAGES = {"batch": {"job": f"{IMAGE}:v8"}, "shell": {"job": f"{IMAGE}:v8"}}
SETS = ("PutTargets", "UpdateSchedule")


def arn(name: str) -> str:
    return f"{PREFIX}:task-definition/{name}"


def targets(names: str = "batch:5") -> ScriptedScheduled:
    """A rule of two targets, and a schedule, each with much beside the task definition."""
    ecs = {
        "TaskDefinitionArn": arn(names),
        "TaskCount": 2,
        "LaunchType": "FARGATE",
        "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["subnet-1"]}},
    }
    rule = [
        {"Id": "note", "Arn": "arn:aws:sns:us-east-1:222222222222:told"},
        {
            "Id": "task",
            "Arn": f"{PREFIX}:cluster/prod",
            "RoleArn": "arn:aws:iam::222222222222:role/events",
            "Input": '{"containerOverrides": [{"name": "job", "command": ["nightly"]}]}',
            "EcsParameters": ecs,
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:222222222222:dead"},
        },
    ]
    schedule = {
        "Name": "mails",
        "GroupName": "shop",
        "State": "DISABLED",
        "ScheduleExpression": "rate(1 hour)",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
        "Target": {
            "Arn": f"{PREFIX}:cluster/prod",
            "RoleArn": "arn:aws:iam::222222222222:role/scheduler",
            "Input": '{"containerOverrides": []}',
            "EcsParameters": {**ecs, "TaskDefinitionArn": arn("web:7")},
        },
    }
    return ScriptedScheduled(
        rules={("default", "nightly"): rule}, schedules={("shop", "mails"): schedule}
    )


def ecs_of(behaviour: Any) -> ScriptedEcs:
    scripted = ScriptedEcs(behaviour=behaviour)
    for family in ("batch", "shell"):
        job = {"name": "job", "image": f"{IMAGE}:v7", "essential": True, "memory": 64}
        scripted.add_definition({"family": family, "containerDefinitions": [job]})
    return scripted


@dataclass
class Scheduled(Chain):
    """The chain. `after`: called after each change of a target or a definition that was made."""

    there: ScriptedScheduled = field(default_factory=targets)
    pipeline: PipelineSettings = SCHEDULED
    together: bool = False
    after: Callable[[Scheduled, str], None] = lambda _chain, _operation: None

    @classmethod
    def of(cls, behaviour: Any, **members: Any) -> Scheduled:
        plan = RolloutPlan(
            cluster="prod", service="web", timeouts=TIMES, image=f"{IMAGE}:v8",
            discard_failed=True, named_by=scheduled_of(SCHEDULED),
        )  # fmt: skip
        return cls(World(plan, ecs_of(behaviour)), **members)

    def __post_init__(self) -> None:
        handle = self.world.ecs.handle
        self.world.ecs.handle = lambda name, asked: self._told(name, handle(name, asked))
        super().__post_init__()
        self.there.handle = self._watched_there(self.there.handle)  # type: ignore[method-assign]

    def _told(self, operation: str, answer: Any) -> Any:
        if operation in ("RegisterTaskDefinition", "UpdateService"):
            self.after(self, operation)
        return answer

    @property
    def installation(self) -> Installation:
        return replace(INSTALLATION, pipelines=(self.pipeline,))

    def to_roll_out(self) -> ToRollOut:
        return ToRollOut(
            plans=(self.world.plan, *companion_plans(self.pipeline, IMAGES)),
            parts=(
                Part(cluster="prod", service="web", ran=self.world.ecs.service["taskDefinition"]),
                *companion_parts(self.pipeline),
            ),
            together=self.together or None,
            commit=COMMIT, image_digest=DIGEST, images={"app": DIGEST}, tip_seen=COMMIT.id,
            stages=(StageBegun(stage="push", at=self.now),),
        )  # fmt: skip

    @property
    def live(self) -> tuple[str, ...]:
        """What the service runs, what the targets name, and the newest revision of the family."""
        rule = self.there.rules.get(("default", "nightly"))
        return (
            _live(self.world),
            self.there.names("rule", "default", "nightly", 1) if rule else "",
            self.there.names("schedule", "shop", "mails"),
            newest(self.world.ecs, "shell"),
        )

    def set(self) -> list[str]:
        """The targets that were set, in order."""
        return [name for name, _ in self.there.calls if name in SETS]

    def _means(self, plan: Any, guard: Callable[[], None], on_progress: Any) -> Means:
        means = super()._means(plan, guard, on_progress)
        for name in ("events", "scheduler"):
            means._scheduling[name] = Api(
                self.there.client(name), means.clock, guard=guard, patience=means.patience,
                changes=means.changes,
            )  # fmt: skip
        return means

    def _watched_there(self, handle: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
        def handled(operation: str, asked: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            if number == self.kill_at and not self.answered:
                raise Killed
            before = repr((self.there.rules, self.there.schedules))
            try:
                answer = handle(operation, asked)
            finally:
                if operation in SETS:
                    changed = repr((self.there.rules, self.there.schedules)) != before
                    self.changes.append(three_ways.Change(number, operation, asked, changed))
            if operation in SETS:
                self.after(self, operation)
            if number == self.kill_at:
                raise Killed
            return answer

        return handled


def newest(ecs: ScriptedEcs, family: str) -> str:
    """family:revision of the newest ACTIVE one."""
    there = [a for a, d in ecs.definitions.items() if f"/{family}:" in a]
    active = [a for a in there if ecs.definitions[a]["status"] == "ACTIVE"]
    return max(active, key=lambda a: int(a.rpartition(":")[2])).rpartition("/")[2]
