"""A service and its scheduled tasks: how each scenario ends, and what each names at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.contracts.sentences import runs_now, service_lines
from slipway.following.several import in_hand
from slipway.following.state import from_json
from slipway.rollout import RolloutResult
from tests import scripted_ecs as ecs
from tests.aws.wire import Fault
from tests.scripted_ecs import denied
from tests.scripted_scheduled import ScriptedScheduled
from tests.unit.slipway.following.scheduled import NAMES, Scheduled, arn, newest, targets
from tests.unit.slipway.following.test_giving_way import ROLLBACK
from tests.unit.slipway.following.three_ways import DEPLOYMENT
from tests.unit.slipway.rollout.stepwise import World

GOOD = ecs.becomes_healthy(8.0)
OLD, NEW = ("web:7", "batch:5", "web:7", "shell:5"), ("web:8", "batch:6", "web:8", "shell:6")
BEFORE, AFTER = ("before",) * 4, ("new",) * 4
SPOKEN = Fault("ValidationException", "The schedule is locked.")
ALL_NEW = "The service and both scheduled tasks run the new version."
ALL_OLD = "The service and both scheduled tasks run what they ran before."
MIXED = "The services and scheduled tasks do not run the same version."
NOT_KNOWN = "It is not known what every service or scheduled task runs now."

After = Callable[[Scheduled, str], None]


@dataclass(frozen=True)
class Scenario:
    """How the service behaves, what is wrong with the targets, what happens after a change; then
    the status, what is said of each, what each names, and whether anything was left mixed.
    """

    status: str
    runs: tuple[str, ...]
    live: tuple[str, ...]
    sentence: str
    behaviour: Any = GOOD
    there: Callable[[], ScriptedScheduled] = targets
    after: After = lambda _chain, _operation: None
    together: bool = False
    mixed: bool = False
    left: frozenset[str] = field(default_factory=frozenset)

    def chain(self, **members: Any) -> Scheduled:
        return Scheduled.of(
            self.behaviour, there=self.there(), after=self.after, together=self.together, **members
        )


def task(chain: Scheduled) -> Any:
    return chain.there.rules["default", "nightly"][1]


def no_rule() -> ScriptedScheduled:
    there = targets()
    del there.rules["default", "nightly"]
    return there


def other_family() -> ScriptedScheduled:
    return targets("other:1")


def faulty(operation: str, fault: Fault) -> Callable[[], ScriptedScheduled]:
    def made() -> ScriptedScheduled:
        there = targets()
        there.faults[operation] = fault
        return there

    return made


def not_set() -> ScriptedScheduled:
    there = targets()
    there.entry = {"TargetId": "task", "ErrorCode": "ConcurrentModificationException"}
    return there


def mails_last() -> ScriptedScheduled:
    return faulty("UpdateSchedule", SPOKEN)()


def edited(chain: Scheduled, operation: str) -> None:
    """Somebody edits the rule's target once our revision of its family is registered."""
    if operation == "RegisterTaskDefinition" and newest(chain.world.ecs, "batch") == "batch:6":
        task(chain)["Input"] = "{}"


def taken(chain: Scheduled, operation: str) -> None:
    """The same, and it names another revision now."""
    if operation == "RegisterTaskDefinition" and newest(chain.world.ecs, "batch") == "batch:6":
        task(chain)["EcsParameters"]["TaskDefinitionArn"] = arn("batch:4")


def taken_after(chain: Scheduled, operation: str) -> None:
    if operation == "PutTargets" and chain.live[1] == "batch:6":
        task(chain)["EcsParameters"]["TaskDefinitionArn"] = arn("batch:4")


def edited_after(chain: Scheduled, operation: str) -> None:
    """What somebody edits beside the task definition stays, also where that goes back."""
    if operation == "PutTargets":
        task(chain)["EcsParameters"]["TaskCount"] = 3


def cancelled(chain: Scheduled, operation: str) -> None:
    if operation == "PutTargets":
        chain.table.following.ask_cancel(DEPLOYMENT, "bob")


def cancelled_early(chain: Scheduled, operation: str) -> None:
    if operation == "UpdateService":
        chain.table.following.ask_cancel(DEPLOYMENT, "bob")


def taken_over(chain: Scheduled, operation: str) -> None:
    if operation == "PutTargets":
        chain.table.locks.ask_takeover(ROLLBACK, chain.now)


SCENARIOS = {
    "all succeed": Scenario("succeeded", AFTER, NEW, ALL_NEW),
    "all succeed together": Scenario("succeeded", AFTER, NEW, ALL_NEW, together=True),
    "the service fails": Scenario("rolled_back", BEFORE, OLD, ALL_OLD, behaviour=ecs.crashes),
    "the rule is not there": Scenario(
        "failed", BEFORE, ("web:7", "", "web:7", "shell:5"), ALL_OLD, there=no_rule
    ),
    "the rule runs another family": Scenario(
        "failed", BEFORE, ("web:7", "other:1", "web:7", "shell:5"), ALL_OLD, there=other_family
    ),
    "somebody edits the target": Scenario("rolled_back", BEFORE, OLD, ALL_OLD, after=edited),
    "somebody sets the target": Scenario(
        "failed", ("before", "other", "before", "before"),
        ("web:7", "batch:4", "web:7", "shell:5"), MIXED, after=taken, mixed=True,
    ),
    "somebody sets the target after us": Scenario(
        "failed", ("before", "other", "before", "before"),
        ("web:7", "batch:4", "web:7", "shell:5"), MIXED, there=mails_last, after=taken_after,
        mixed=True, left=frozenset({"batch:6"}),
    ),
    "the schedule is refused": Scenario(
        "rolled_back", BEFORE, OLD, ALL_OLD, there=mails_last, after=edited_after
    ),
    "the schedule is refused, together": Scenario(
        "rolled_back", BEFORE, OLD, ALL_OLD, there=mails_last, together=True
    ),
    "cancelled after the rule": Scenario("rolled_back", BEFORE, OLD, ALL_OLD, after=cancelled),
    "cancelled in the service": Scenario(
        "rolled_back", BEFORE, OLD, ALL_OLD, after=cancelled_early
    ),
    "superseded after the rule": Scenario(
        "superseded", ("new", "new", "before", "before"), ("web:8", "batch:6", "web:7", "shell:5"),
        MIXED, after=taken_over, mixed=True,
    ),
    "the rule may not be set": Scenario(
        "gave_up", BEFORE, OLD, ALL_OLD, there=faulty("PutTargets", denied("events:PutTargets")),
        left=frozenset({"batch:6"}),
    ),
    "PutTargets answers well, and has not set it": Scenario(
        "gave_up", BEFORE, OLD, ALL_OLD, there=not_set, left=frozenset({"batch:6"})
    ),
}  # fmt: skip
GIVEN_UP = ("the rule may not be set", "PutTargets answers well, and has not set it")


def check(scenario: Scenario, chain: Scheduled) -> None:
    result, services = chain.result, chain.result.services or ()
    assert [one.service for one in services] == list(NAMES)
    assert (result.status, tuple(one.runs for one in services), chain.live) == (
        scenario.status, scenario.runs, scenario.live,
    )  # fmt: skip
    assert runs_now(result) == scenario.sentence
    lock = chain.table.locks.get("web")
    assert (lock.holder, lock.untold) == ("", None)
    mixed = chain.table.pipelines.get("web").mixed
    assert (mixed is not None) == scenario.mixed
    known = [(one.now, live) for one, live in zip(services, chain.live, strict=True) if one.now]
    assert all(now == live for now, live in known)
    for family in ("batch", "shell", "web"):
        now = newest(chain.world.ecs, family)
        named = {*scenario.live, *scenario.left}
        assert now in named or now in OLD, f"{now} is left"


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_names_at_the_end_what_is_said_of_it(name: str) -> None:
    scenario = SCENARIOS[name]
    for follow in (Scheduled.by_agent, Scheduled.by_follower):
        chain = scenario.chain()
        follow(chain)
        check(scenario, chain)
        assert len(chain.said.told) == 1


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in GIVEN_UP])
def test_a_death_in_any_change_leaves_no_other_end(name: str) -> None:
    # GIVEN how it goes where nobody dies
    scenario = SCENARIOS[name]
    whole = scenario.chain()
    whole.by_follower()
    for change in whole.changes:
        for answered in (False, True):
            # WHEN a process dies in a call that changes AWS, before it or after
            chain = scenario.chain(kill_at=change.number, answered=answered)
            chain.by_follower()
            # THEN
            if scenario.status == "superseded":  # what gives way looks no further
                assert "unknown" not in _runs(chain)[2:]
                continue
            check(scenario, chain)
            if scenario.status == "succeeded":
                made = [c.operation for c in chain.changes if c.changed]
                assert made.count("RegisterTaskDefinition") == 3  # web, batch, shell


def _runs(chain: Scheduled) -> list[str]:
    return [one.runs for one in chain.result.services or ()]


def test_nothing_else_of_a_target_changes() -> None:
    chain, plain = SCENARIOS["all succeed"].chain(), targets()
    chain.by_follower()
    plain.rules["default", "nightly"][1]["EcsParameters"]["TaskDefinitionArn"] = arn("batch:6")
    plain.schedules["shop", "mails"]["Target"]["EcsParameters"]["TaskDefinitionArn"] = arn("web:8")
    assert (chain.there.rules, chain.there.schedules) == (plain.rules, plain.schedules)


def test_what_somebody_edits_of_a_target_that_is_ours_stays_when_it_goes_back() -> None:
    chain = SCENARIOS["the schedule is refused"].chain()
    chain.by_follower()
    assert task(chain)["EcsParameters"]["TaskCount"] == 3
    assert chain.set() == ["PutTargets", "UpdateSchedule", "PutTargets"]


def test_a_failing_service_leaves_every_target_alone() -> None:
    for name in ("the service fails", "cancelled in the service"):
        chain = SCENARIOS[name].chain()
        chain.by_follower()
        assert chain.set() == []


def test_what_is_not_there_fails_before_anything_is_changed() -> None:
    for name in ("the rule is not there", "the rule runs another family"):
        chain = SCENARIOS[name].chain()
        chain.by_follower()
        assert chain.made() == []
        assert "rule nightly" in str(chain.result.cause)


def test_a_target_that_somebody_changed_is_refused_and_told() -> None:
    chain = SCENARIOS["somebody edits the target"].chain()
    chain.by_follower()
    assert "rule nightly was changed by somebody else" in str(chain.result.cause)
    assert task(chain)["Input"] == "{}"
    assert chain.set() == []


def test_scheduled_tasks_come_after_all_services_are_steady() -> None:
    states: list[tuple[str, str]] = []

    def note(chain: Scheduled, operation: str) -> None:
        first = chain.world.ecs.service["deployments"][0]
        states.append((operation, first["rolloutState"]))

    for together in (False, True):
        chain = Scheduled.of(GOOD, after=note, together=together)
        chain.by_follower(every=1.0)
    assert {state for operation, state in states if operation in ("PutTargets", "UpdateSchedule")} \
        == {"COMPLETED"}  # fmt: skip


def test_the_notice_lists_each_scheduled_task_with_what_it_will_run() -> None:
    chain = SCENARIOS["all succeed"].chain()
    chain.by_follower()
    assert service_lines(chain.result) == (
        "web: web:8, the new version", "rule nightly: batch:6, the new version",
        "schedule mails: web:8, the new version", "task definition shell: shell:6, the new version",
    )  # fmt: skip
    assert (chain.result.now_running, chain.result.task_definition_after) == ("web:8", "web:8")


def test_where_all_is_there_already_nothing_is_changed() -> None:
    chain = Scheduled.of(GOOD)
    chain.by_follower()
    plan = replace(chain.world.plan, image=None, target=arn("web:8"))
    again = Scheduled(World(plan, chain.world.ecs), there=chain.there)
    again.by_follower()
    assert (again.result.status, again.made()) == ("unchanged", [])
    assert [one.now for one in again.result.services or ()] == list(NEW)


def test_what_a_scheduled_task_is_given_is_not_said_of_the_service() -> None:
    # GIVEN a service that runs what is wanted, and scheduled tasks that do not, one of them locked
    chain = SCENARIOS["the schedule is refused"].chain()
    plan = replace(chain.world.plan, image=None, target=arn("web:7"))
    there = targets()
    there.schedules["shop", "mails"]["Target"]["EcsParameters"]["TaskDefinitionArn"] = arn("web:6")
    there.faults["UpdateSchedule"] = SPOKEN
    again = Scheduled(World(plan, chain.world.ecs), there=there)
    # WHEN
    again.by_follower()
    # THEN the deployment names no task definition of theirs as the service's
    assert again.result.status == "rolled_back"
    assert again.set() == ["PutTargets", "UpdateSchedule", "PutTargets"]
    assert (again.row.task_definition_before, again.row.task_definition_after) == (None, None)
    assert again.result.task_definition_after is None


def test_a_state_of_a_scheduled_task_outlives_its_process() -> None:
    chain = Scheduled.of(GOOD)
    held = chain.hand_over()
    held.let_go()
    followed = from_json(chain.row.rollout or "")
    assert followed == held.followed
    assert in_hand(followed) == (1,)  # what companions need is seen first


@pytest.mark.parametrize("together", [False, True])
def test_no_target_is_set_before_the_services_are_proved(together: bool) -> None:
    # GIVEN a service whose alarms are watched, and companions that are seen already
    followed = from_json(_handed_over(together))
    web, *companions = followed.rollouts
    aiming = [replace(one, step="aim") for one in companions]
    baking = replace(followed, rollouts=(replace(web, step="bake"), *aiming))
    # THEN it alone is looked at, and they come once it is over
    assert in_hand(baking) == (0,)
    proved = replace(web, result=RolloutResult(outcome="succeeded", cause=""))
    assert in_hand(replace(followed, rollouts=(proved, *aiming))) == (1,)


def test_a_revision_that_a_target_may_name_is_deregistered_after_the_targets_are_back() -> None:
    followed = from_json(_handed_over(True))
    web, *companions = followed.rollouts
    failed = RolloutResult(outcome="rolled_back", cause="it crashed")
    gone = replace(web, step="discard", ending=failed)
    back = [replace(one, step="aim_back") for one in companions]
    going = (gone, replace(web, step="wait"), *back)
    assert in_hand(replace(followed, rollouts=going)) == (1,)


def _handed_over(together: bool) -> str:
    chain = Scheduled.of(GOOD, together=together)
    chain.hand_over().let_go()
    return chain.row.rollout or ""


def test_a_revision_that_was_adopted_stays_whatever_becomes_of_the_deployment() -> None:
    # GIVEN a revision with the new image that somebody else has registered
    chain = SCENARIOS["the schedule is refused"].chain()
    job = {"name": "job", "image": f"{ecs.IMAGE}:v8", "essential": True, "memory": 64}
    chain.world.ecs.add_definition({"family": "batch", "containerDefinitions": [job]})
    # WHEN
    chain.by_follower()
    # THEN the target has gone back, and it is left
    assert chain.live == OLD
    assert chain.set() == ["PutTargets", "UpdateSchedule", "PutTargets"]
    assert newest(chain.world.ecs, "batch") == "batch:6"


def test_a_start_date_that_is_past_is_left_off_and_told() -> None:
    def dated() -> ScriptedScheduled:
        there = targets()
        there.schedules["shop", "mails"]["StartDate"] = datetime(2020, 1, 1, tzinfo=UTC)
        there.takes_start = False
        return there

    chain = Scheduled.of(GOOD, there=dated())
    chain.by_follower()
    assert chain.result.status == "succeeded"
    assert "StartDate" not in chain.there.schedules["shop", "mails"]
    assert any("lost its start date" in line for line in chain.said.lines)
