"""Scheduled tasks and definitions alone: configured, resolved, and what roles may do with each."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from infra.permissions.arns import Arns
from infra.permissions.operators import _read
from infra.permissions.rollouts import rollouts
from slipway.configuration import parse, read
from slipway.configuration.resolve import resolve
from slipway.contracts.errors import InvalidConfiguration
from slipway.contracts.installation import Installation
from tests.infra.templates import FULL

ROLE = "arn:aws:iam::222222222222:role/starts"
FOREIGN = "arn:aws:iam::999999999999:role/starts"
RULE = {"rule": "nightly", "family": "report", "targetRole": ROLE}
SCHEDULE = {"schedule": "mails", "family": "mails", "targetRole": ROLE}
PLACE = "arn:aws:{}:eu-central-1:222222222222:"


def configured(tasks: list[Any], alone: list[Any] | None = None) -> dict[str, Any]:
    """The full example, whose first pipeline (of family shop-web) has these companions alone."""
    data: dict[str, Any] = copy.deepcopy(read(FULL))
    data["pipelines"][0] |= {"scheduledTasks": tasks, "taskDefinitions": alone or []}
    return data


TASK, ALONE = "scheduledTasks[0]", "taskDefinitions[0]"


@pytest.mark.parametrize(
    ("tasks", "alone", "where", "said"),
    [
        ([{"family": "x", "targetRole": ROLE}], [], f"{TASK}.rule", "is missing (or give sched"),
        ([{**RULE, "schedule": "x"}], [], f"{TASK}.schedule", "is not allowed beside rule"),
        ([{**RULE, "group": "x"}], [], f"{TASK}.group", "is not allowed: it is of a schedule"),
        ([{**SCHEDULE, "bus": "x"}], [], f"{TASK}.bus", "is not allowed: it is of a rule"),
        ([{**SCHEDULE, "target": "x"}], [], f"{TASK}.target", "is not allowed: it is of a rule"),
        ([{**RULE, "rule": "a b"}], [], f"{TASK}.rule", "1 to 64 letters, digits and '._-'"),
        ([{"rule": "x", "targetRole": ROLE}], [], f"{TASK}.family", "is missing"),
        ([{"rule": "x", "family": "x"}], [], f"{TASK}.targetRole", "is missing"),
        ([{**RULE, "targetRole": FOREIGN}], [], f"{TASK}.targetRole", "a role of the prod account"),
        ([{**RULE, "roles": [FOREIGN]}], [], f"{TASK}.roles[0]", "a role of the prod account"),
        ([RULE, RULE], [], "scheduledTasks[1]", "nightly is named by pipelines[0].scheduledT"),
        (
            [{**RULE, "family": "shop-worker"}], [],
            f"{TASK}.family", "is of pipeline 'shop-worker': one pipeline a family",
        ),
        (
            [{**RULE, "family": "shop-web", "containers": ["web"]}], [],
            f"{TASK}.containers", "is not allowed: give those of shop-web at its service",
        ),
        (
            [RULE, {**SCHEDULE, "family": "report", "roles": [ROLE]}], [],
            "scheduledTasks[1].roles", "at pipelines[0].scheduledTasks[0]",
        ),
        ([], [{"family": "shop-web"}], f"{ALONE}.family", "is the family of a service"),
        ([RULE], [{"family": "report"}], f"{ALONE}.family", "is the family of a scheduled task"),
        ([], [{"family": "x"}, {"family": "x"}], "taskDefinitions[1].family", "an entry above"),
        ([RULE] * 21, [], "scheduledTasks", "at most 20"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_path(
    tasks: list[Any], alone: list[Any], where: str, said: str
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        parse(configured(tasks, alone))
    assert said in dict(caught.value.problems)[f"pipelines[0].{where}"]


def test_each_is_resolved_and_written_and_read_again() -> None:
    rule = {**RULE, "bus": "shop", "target": "t", "containers": ["job"], "roles": [ROLE]}
    resolved = resolve(parse(configured([rule, SCHEDULE], [{"family": "shell"}])))
    pipeline = Installation.from_json(resolved.to_json()).pipelines[0]
    assert pipeline == resolved.pipelines[0]
    first, second = pipeline.scheduled_tasks or ()
    assert (first.kind, first.name, first.place, first.target) == ("rule", "nightly", "shop", "t")
    assert (first.containers, first.roles, first.target_role) == (("job",), (ROLE,), ROLE)
    assert (second.kind, second.name, second.place) == ("schedule", "mails", None)
    assert [one.family for one in pipeline.families] == ["report", "mails", "shell"]


def test_a_family_of_a_service_is_the_services() -> None:
    shared = {**RULE, "family": "shop-web"}
    pipeline = resolve(parse(configured([shared]))).pipelines[0]
    assert (pipeline.has_companions, pipeline.families) == (True, ())


def statements(tasks: list[Any], alone: list[Any] | None = None) -> dict[str, Any]:
    c = parse(configured(tasks, alone))
    arns = Arns(resolve(c))
    return {s.sid: s for s in (*rollouts(c, arns, []), *_read(arns, []))}


def test_roles_name_each_rule_schedule_family_and_role() -> None:
    found = statements(
        [{**RULE, "bus": "shop"}, {**RULE, "rule": "weekly", "bus": "default"}, SCHEDULE],
        [{"family": "shell"}],
    )
    events, scheduler, ecs = (PLACE.format(name) for name in ("events", "scheduler", "ecs"))
    rules = [f"{events}rule/shop/nightly", f"{events}rule/weekly"]
    assert list(found["SetRuleTargets"].resources) == rules
    actions = found["SetRuleTargets"].actions
    assert list(actions) == ["events:ListTargetsByRule", "events:PutTargets"]
    assert list(found["SetSchedules"].resources) == [f"{scheduler}schedule/default/mails"]
    assert set(found["SetSchedules"].actions) == {
        "scheduler:GetSchedule", "scheduler:UpdateSchedule",
    }  # fmt: skip
    for sid, to in (("PassRuleRoles", "events"), ("PassScheduleRoles", "scheduler")):
        passed = found[sid].conditions["StringEquals"]["iam:PassedToService"]
        assert (list(found[sid].resources), passed) == ([ROLE], f"{to}.amazonaws.com")
    registered = {f"{ecs}task-definition/{family}:*" for family in ("report", "mails", "shell")}
    assert registered <= set(found["RegisterDefinitions"].resources)
    assert list(found["CheckRules"].resources) == rules
    assert list(found["CheckSchedules"].actions) == ["scheduler:GetSchedule"]


def test_without_scheduled_tasks_there_is_no_such_statement_and_no_new_member() -> None:
    found = statements([], [{"family": "shell"}])
    new = {"SetRuleTargets", "SetSchedules", "PassRuleRoles", "PassScheduleRoles"}
    new |= {"CheckRules", "CheckSchedules"}
    assert not new & set(found)
    assert not {"SetSchedules", "PassScheduleRoles", "CheckSchedules"} & set(statements([RULE]))
    for pipeline in json.loads(resolve(parse(configured([]))).to_json())["pipelines"]:
        assert not {"scheduled_tasks", "task_definitions"} & set(pipeline)
