"""What `slipway doctor` says of scheduled tasks and of families that no service runs."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from slipway.cli.doctor.pipeline_checks import pipeline_checks
from slipway.cli.doctor.scheduled_checks import scheduled_checks
from slipway.contracts.deployed_to import DefinitionSettings
from tests.scripted_scheduled import ScriptedScheduled
from tests.unit.slipway.following.scheduled import SCHEDULED, TASKS, ecs_of, targets

EVENTS, SCHEDULER = (f"arn:aws:iam::222222222222:role/{name}" for name in ("events", "scheduler"))
RULE, SCHEDULE = TASKS
WHOLE = replace(
    SCHEDULED,
    scheduled_tasks=(
        replace(RULE, target_role=EVENTS), replace(SCHEDULE, target_role=SCHEDULER),
    ),
)  # fmt: skip


def found(there: ScriptedScheduled, pipeline: Any = WHOLE) -> list[tuple[str, str]]:
    ecs = ecs_of(None)
    clients = {"ecs": ecs.client(), **{n: there.client(n) for n in ("events", "scheduler")}}
    session: Any = SimpleNamespace(client=clients.__getitem__)
    return [(f.verdict, f.detail) for f in scheduled_checks(session, pipeline)]


def test_each_is_there_with_what_it_runs() -> None:
    assert found(targets()) == [
        ("ok", "rule nightly runs batch:5"),
        ("ok", "schedule mails runs web:7"),
        ("ok", "batch:5 is its newest"),
        ("ok", "shell:5 is its newest"),
    ]


def test_what_is_not_there_and_what_may_not_be_passed_is_wrong() -> None:
    there = targets()
    del there.schedules["shop", "mails"]
    other = replace(RULE, target_role="arn:aws:iam::222222222222:role/other")
    of = replace(
        WHOLE, scheduled_tasks=(other, SCHEDULE), task_definitions=(DefinitionSettings(family="x"),)
    )
    rule, schedule, _, alone = found(there, of)
    assert rule == (
        "wrong", f"rule nightly runs batch:5 with the role {EVENTS}, which may not be passed on",
    )  # fmt: skip
    assert schedule == ("wrong", "schedule mails of group shop is not there")
    assert alone[0] == "wrong"


def test_a_pipeline_without_companions_is_asked_nothing_of_them() -> None:
    plain = replace(SCHEDULED, scheduled_tasks=None, task_definitions=None)
    session: Any = SimpleNamespace()
    names = [[c.name for c in pipeline_checks(session, one, None)] for one in (plain, WHOLE)]
    assert ("scheduled tasks" in names[0], "scheduled tasks" in names[1]) == (False, True)
