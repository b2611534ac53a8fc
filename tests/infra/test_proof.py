"""What is configured to prove a deployment: errors by their field, what is resolved, IAM."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from infra.permissions.arns import Arns
from infra.permissions.rollouts import rollouts
from slipway.configuration import parse, read
from slipway.configuration.resolve import resolve
from slipway.contracts.errors import InvalidConfiguration
from slipway.contracts.installation import Installation
from slipway.following.means import visits
from slipway.following.service import plan_of
from tests.infra.test_services import FULL, WEB, WORKER, configured

PLACE = "arn:aws:cloudwatch:eu-central-1:222222222222:alarm:"


def full(rollout: dict[str, Any] | None = None, **smoke: Any) -> dict[str, Any]:
    data: dict[str, Any] = copy.deepcopy(read(FULL))
    data["pipelines"][0]["rollout"] |= rollout or {}
    data["pipelines"][0]["service"]["smoke"] |= smoke
    return data


@pytest.mark.parametrize(
    ("given", "where", "said"),
    [
        (full(url="ftp://x.de"), "service.smoke.url", "must be an http or https URL"),
        (full(url="https://a:b@x.de/"), "service.smoke.url", "without user, password"),
        (full(url="https://x.de/#a"), "service.smoke.url", "must be an http or https URL"),
        (full(url="http://2130706433/"), "service.smoke.url", "must be an http or https URL"),
        (full(url="http://169.254.169.254/"), "service.smoke.url", "is no public address"),
        (full(url="http://[fd00::1]/"), "service.smoke.url", "is no public address"),
        (full(url="http://localhost/"), "service.smoke.url", "is no public host"),
        (full(status=[]), "service.smoke.status", "name at least one"),
        (full(contains="x" * 201), "service.smoke.contains", "200"),
        (full(within=0), "service.smoke.within", "1"),
        (full({"alarms": []}), "rollout.bake", "10: needs alarms to watch"),
        (full({"alarms": ["a", "b", "a"]}), "rollout.alarms", '"a" is named twice'),
        (full({"alarms": ["a*"]}), "rollout.alarms[0]", "an alarm's name"),
        (full({"bake": 181}), "rollout.bake", "180"),
        (full({"postDeploy": {"container": "web"}}), "rollout.postDeploy.command", "missing"),
    ],
)
def test_what_is_wrong_is_told_by_its_path(given: dict[str, Any], where: str, said: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        parse(given)
    assert said in dict(caught.value.problems)[f"pipelines[0].{where}"]


def test_a_proof_is_resolved_planned_and_read_again() -> None:
    installation = resolve(parse(full()))
    assert Installation.from_json(installation.to_json()) == installation
    plan = plan_of(installation.pipelines[0], images={"web": "x"})
    assert plan.smoke is not None and plan.smoke.status == (200, 204)
    assert (plan.smoke.contains, plan.smoke.within) == ("ok", 120)
    assert plan.post_task is not None and plan.post_task.command == ("./manage.py", "check")
    assert (plan.alarms, plan.bake) == (("shop errors",), 600)


def test_what_an_operator_goes_back_to_is_not_proved() -> None:
    """Else what is bad would be put back."""
    plan = plan_of(resolve(parse(full())).pipelines[0], target="web:6")
    assert (plan.smoke, plan.post_task, plan.alarms, plan.bake) == (None, None, None, None)


def test_alarms_bake_for_five_minutes_unless_told_otherwise() -> None:
    given = full()
    del given["pipelines"][0]["rollout"]["bake"]
    assert resolve(parse(given)).pipelines[0].rollout.bake == 300


def test_the_alarms_that_are_named_are_read_and_no_others() -> None:
    c = parse(full())
    statements = {s.sid: s for s in rollouts(c, Arns(resolve(c)), [])}
    assert list(statements["ReadAlarms"].actions) == ["cloudwatch:DescribeAlarms"]
    assert list(statements["ReadAlarms"].resources) == [PLACE + "shop errors"]


def test_the_task_after_is_one_of_the_last_service() -> None:
    c = parse(configured(services=[WEB, WORKER]))
    statements = {s.sid: s for s in rollouts(c, Arns(resolve(c)), [])}
    (definition,) = statements["RunAfterDeploy"].resources
    assert definition.endswith(f"task-definition/{WORKER['family']}:*")
    (task,) = statements["StopAfterDeploy"].resources
    assert task.endswith("task/jobs/*")


def test_nothing_of_it_is_allowed_where_nothing_is_proved() -> None:
    given = full()
    for name in ("postDeploy", "alarms", "bake"):
        del given["pipelines"][0]["rollout"][name]
    c = parse(given)
    sids = {s.sid for s in rollouts(c, Arns(resolve(c)), [])}
    assert not sids & {"ReadAlarms", "RunAfterDeploy", "StopAfterDeploy"}


def test_only_the_local_run_asks_addresses_that_are_not_public() -> None:
    installation = resolve(parse(full()))
    assert visits(installation) is None
    given = full(url="http://127.0.0.1:8080/")
    given["local"] = {"registry": "127.0.0.1:4566", "gitBaseUrl": "http://127.0.0.1:4566/git"}
    assert visits(resolve(parse(given))) is not None
