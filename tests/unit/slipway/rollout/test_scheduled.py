"""A scheduled task's target goes through whole; only the task definition that it names changes."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.rollout.actions import PutTarget, UpdateSchedule
from slipway.rollout.beginning import begin
from slipway.rollout.clock import SystemClock
from slipway.rollout.means import Means
from slipway.rollout.plan import RolloutPlan, Scheduled
from slipway.rollout.roll_out import see_through
from slipway.rollout.scheduled import READ_ONLY, Lacking, Target, named_by, put, read_target
from tests import scripted_ecs as ecs
from tests.scripted_ecs import ScriptedEcs
from tests.scripted_scheduled import ScriptedScheduled

SESSION = botocore.session.Session()
EVENTS, SCHEDULER = (SESSION.get_service_model(name) for name in ("events", "scheduler"))
TARGET = EVENTS.shape_for("Target")
GET = SCHEDULER.operation_model("GetSchedule").output_shape
UPDATE = SCHEDULER.operation_model("UpdateSchedule").input_shape
OLD = "arn:aws:ecs:us-east-1:222222222222:task-definition/web:6"
NEW = "arn:aws:ecs:us-east-1:222222222222:task-definition/web:7"
ECS = ScriptedEcs()
TEXT = st.text("abcXYZ09-", min_size=1, max_size=12)


def drawn(shape: Any, *, whole: frozenset[str] = frozenset()) -> st.SearchStrategy[Any]:
    """Any value that botocore's model allows; `whole`: members that are always there."""
    match shape.type_name:
        case "structure":
            always = {n: drawn(m) for n, m in shape.members.items()
                      if n in whole or n in shape.required_members}  # fmt: skip
            others = {n: drawn(m) for n, m in shape.members.items() if n not in always}
            return st.fixed_dictionaries(always, optional=others)
        case "list":
            low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 3)
            return st.lists(drawn(shape.member), min_size=low, max_size=max(low, min(high, 3)))
        case "map":
            return st.dictionaries(TEXT, drawn(shape.value), max_size=3)
        case "integer" | "long":
            low = shape.metadata.get("min", 0)
            return st.integers(low, min(shape.metadata.get("max", low + 99), low + 99))
        case "boolean":
            return st.booleans()
        case "timestamp":
            first, last = datetime(2020, 1, 1), datetime(2040, 1, 1)
            return st.datetimes(first, last, timezones=st.just(UTC))
    enumeration = getattr(shape, "enum", None)
    return st.sampled_from(enumeration) if enumeration else TEXT.map(lambda text: f"{text:a<12}")


def named(value: dict[str, Any], names: str) -> dict[str, Any]:
    found = copy.deepcopy(value)
    found["EcsParameters"]["TaskDefinitionArn"] = names
    return found


def means_of(there: ScriptedScheduled, scripted: ScriptedEcs | None = None) -> Means:
    return Means(
        ecs=(scripted or ECS).client(),
        clock=scripted.clock if scripted is not None else SystemClock(),
        patience=0.0,
        events=lambda: there.client("events"),
        scheduler=lambda: there.client("scheduler"),
    )


def setting(scheduled: Scheduled, found: Target) -> dict[str, Any]:
    """What sets the target that was found to the new revision."""
    seen = {"names": found.names, "seen": found.checksum}
    return {"request": found.naming(NEW), "scheduled": scheduled, **seen}


RULE = Scheduled(kind="rule", name="nightly", family="web", target="task")
SCHEDULE = Scheduled(kind="schedule", name="mails", family="web", place="shop")
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # fmt: skip


@SLOW
@given(drawn(TARGET, whole=frozenset({"EcsParameters"})), st.integers(0, 3))
def test_any_target_of_a_rule_keeps_all_but_what_it_names(value: Any, before: int) -> None:
    # GIVEN any target that AWS's model allows, on whatever page it is listed
    own = named({**value, "Id": "task"}, OLD)
    others = [{"Id": f"t{n}", "Arn": "arn:aws:sns:us-east-1:222222222222:x"} for n in range(before)]
    there = ScriptedScheduled(rules={("default", "nightly"): [*others, own]}, is_checked=False)
    means = means_of(there)

    # WHEN it follows the new revision
    found = read_target(means, RULE)
    put(means, PutTarget(**setting(RULE, found)))

    # THEN nothing else of it has changed, and nothing of the others
    after = sorted(there.rules["default", "nightly"], key=lambda t: str(t["Id"]))
    assert after == sorted([*others, named(own, NEW)], key=lambda t: str(t["Id"]))
    assert read_target(means, RULE).checksum == found.checksum


@SLOW
@given(drawn(GET, whole=frozenset({"Target", "FlexibleTimeWindow", "ScheduleExpression"})),
       drawn(SCHEDULER.shape_for("EcsParameters")))  # fmt: skip
def test_any_schedule_keeps_all_but_what_it_names(value: Any, task: Any) -> None:
    # GIVEN any schedule that GetSchedule may answer
    value = {**value, "Name": "mails", "GroupName": "shop"}
    value["Target"] = named({**value["Target"], "EcsParameters": task}, OLD)
    there = ScriptedScheduled(schedules={("shop", "mails"): value}, is_checked=False)
    means = means_of(there)

    # WHEN
    found = read_target(means, SCHEDULE)
    put(means, UpdateSchedule(**setting(SCHEDULE, found)))

    # THEN all that UpdateSchedule takes is as it was: what it is not told is lost
    kept = {name: member for name, member in value.items() if name not in READ_ONLY}
    kept["Target"] = named(kept["Target"], NEW)
    assert there.schedules["shop", "mails"] == kept


def test_all_that_a_schedule_answers_is_sent_again_but_what_no_update_takes() -> None:
    assert set(GET.members) - set(UPDATE.members) == set(READ_ONLY) - {"ResponseMetadata"}
    assert set(UPDATE.members) - set(GET.members) == {"ClientToken"}


@pytest.mark.parametrize("member", ["Input", "RoleArn", "DeadLetterConfig", "RetryPolicy"])
def test_a_target_that_differs_anywhere_has_another_checksum(member: str) -> None:
    own = named({"Id": "task", "Arn": "cluster", "EcsParameters": {}}, OLD)
    plain = Target(kind="rule", request={"Rule": "x", "Targets": [own]})
    other = Target(kind="rule", request={"Rule": "x", "Targets": [{**own, member: "x"}]})
    assert plain.checksum != other.checksum
    moved = Target(kind="rule", request=plain.naming(NEW))
    assert plain.checksum == moved.checksum


def ecs_target(identifier: str, names: str) -> dict[str, Any]:
    return {"Id": identifier, "Arn": "cluster", "EcsParameters": {"TaskDefinitionArn": names}}


@pytest.mark.parametrize(
    ("targets", "wanted", "said"),
    [
        ([], None, "has no target that runs an ECS task"),
        ([ecs_target("a", OLD)], "b", "has no target 'b'"),
        ([ecs_target("a", OLD), ecs_target("b", NEW)], None, r"several targets .*\(a, b\)"),
        ([ecs_target("a", OLD.replace("web", "other"))], None, "runs other:6, not the family web"),
    ],
)
def test_a_target_that_is_not_clear_is_named(
    targets: list[dict[str, Any]], wanted: str | None, said: str
) -> None:
    there = ScriptedScheduled(rules={("shop", "nightly"): targets})
    rule = Scheduled(kind="rule", name="nightly", family="web", place="shop", target=wanted)
    with pytest.raises(Lacking, match=rf"rule nightly of event bus shop.*{said}"):
        read_target(means_of(there), rule)


def test_among_several_tasks_the_one_of_the_family_is_found() -> None:
    targets = [ecs_target("a", OLD.replace("web", "other")), ecs_target("b", OLD)]
    there = ScriptedScheduled(rules={("default", "nightly"): targets})
    plain = Scheduled(kind="rule", name="nightly", family="web")
    assert read_target(means_of(there), plain).request["Targets"][0]["Id"] == "b"


def test_what_names_a_revision_keeps_it_from_being_deregistered() -> None:
    # GIVEN a service whose new revision fails, and a rule that somebody has set to it meanwhile
    for is_named, gone in ((False, True), (True, False)):
        names = "web:8" if is_named else "web:6"
        rule = ecs_target("task", OLD.replace("web:6", names))
        there = ScriptedScheduled(rules={("default", "nightly"): [rule]})
        scripted = ScriptedEcs(behaviour=ecs.crashes)
        plan = RolloutPlan(
            cluster="prod", service="web", image=f"{ecs.IMAGE}:v8", discard_failed=True,
            named_by=(RULE,),
        )  # fmt: skip
        # WHEN
        step = begin(plan, scripted.clock.now(), "0123456789abcdef")
        result = see_through(step, means_of(there, scripted))
        # THEN it is deregistered only where the rule does not name it
        assert (result.outcome, bool(result.deregistered)) == ("crash_loop", gone)
        status = scripted.definitions[f"{ecs.PREFIX}:task-definition/web:8"]["status"]
        assert (status == "INACTIVE") is gone


def test_pruning_leaves_what_a_schedule_names() -> None:
    rule = ecs_target("task", OLD.replace("web:6", "web:5"))
    there = ScriptedScheduled(rules={("default", "nightly"): [rule]})
    kept = {}
    for named_tasks in (None, (RULE,)):
        scripted = ScriptedEcs(behaviour=ecs.becomes_healthy(8.0))
        plan = RolloutPlan(
            cluster="prod", service="web", image=f"{ecs.IMAGE}:v8", max_definitions=1,
            named_by=named_tasks,
        )  # fmt: skip
        step = begin(plan, scripted.clock.now(), "0123456789abcdef")
        see_through(step, means_of(there, scripted))
        kept[named_tasks] = [
            arn.rpartition("/")[2]
            for arn, one in scripted.definitions.items()
            if one["status"] == "ACTIVE"
        ]
    assert kept == {None: ["web:7", "web:8"], (RULE,): ["web:5", "web:7", "web:8"]}


def test_a_task_that_is_not_there_names_nothing() -> None:
    assert named_by(means_of(ScriptedScheduled()), (RULE, SCHEDULE)) == frozenset()


def test_what_somebody_changes_after_the_last_look_is_not_overwritten() -> None:
    # GIVEN a target that was read, and that somebody changes before it is set
    there = ScriptedScheduled(rules={("default", "nightly"): [ecs_target("task", OLD)]})
    means = means_of(there)
    found = read_target(means, RULE)
    there.rules["default", "nightly"][0]["Input"] = "theirs"
    # WHEN
    with pytest.raises(Lacking, match="is being changed by somebody else"):
        put(means, PutTarget(**setting(RULE, found)))
    # THEN
    assert there.rules["default", "nightly"] == [{**ecs_target("task", OLD), "Input": "theirs"}]
    assert means.changes.taken == []
