"""Several services in one pipeline: configured, resolved, and what roles may do with each."""

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

WEB = {"cluster": "production", "name": "web", "containers": ["web"], "logGroups": ["/ecs/web"]}
WORKER = {
    "cluster": "jobs", "name": "worker", "family": "shop-worker-tasks",
    "roles": ["arn:aws:iam::222222222222:role/worker-task"],
    "codeDeploy": {"application": "jobs", "group": "worker"},
}  # fmt: skip

FOREIGN = "arn:aws:lambda:eu-central-1:999999999999:function:check"


def configured(**members: Any) -> dict[str, Any]:
    """The full example, whose first pipeline has these members in place of its service."""
    data: dict[str, Any] = copy.deepcopy(read(FULL))
    del data["pipelines"][0]["service"]
    data["pipelines"][0] |= members
    return data


@pytest.mark.parametrize(
    ("members", "where", "said"),
    [
        ({}, "service", "is missing (or give services)"),
        ({"service": WEB, "services": [WORKER]}, "services", "is not allowed beside service"),
        ({"services": [WEB], "together": True}, "together", "true: is of two services or more"),
        ({"service": WEB, "together": True}, "together", "true: is of two services or more"),
        ({"services": [WEB, WEB]}, "services[1]", "production/web is named above already"),
        ({"services": [WEB, {"name": "x"}]}, "services[1].cluster", "is missing"),
        ({"services": [{"sample": True}, WEB]}, "services[0].sample", "only service"),
        ({"services": [WEB] * 11}, "services", "at most 10"),
        (
            {"services": [WEB, {"cluster": "production", "name": "shop-worker"}]},
            "", "is deployed by pipeline 'shop': one pipeline a service",
        ),
        (
            {"services": [WEB, {**WORKER, "roles": ["arn:aws:iam::999999999999:role/x"]}]},
            "services[1].roles[0]", "must be a role of the prod account",
        ),
        (
            {"services": [WEB, {**WORKER, "values": {"cpu": "512"}}]},
            "services[1].values", "needs taskDefinition",
        ),
        (
            {"services": [WEB, {**WORKER, "taskDefinition": "jobs.json", "base": "family"}]},
            "services[1].base", "is not allowed beside taskDefinition",
        ),
        (
            {"services": [WEB, {**WORKER, "codeDeploy": {
                "application": "jobs", "group": "worker", "hooks": {"afterInstall": FOREIGN},
            }}]},
            "services[1].codeDeploy.hooks.afterInstall", "must be a function of 222222222222",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_path(members: dict[str, Any], where: str, said: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        parse(configured(**members))
    problems = dict(caught.value.problems)
    path = f"pipelines[0].{where}" if where else "pipelines[1].service"
    assert said in problems[path]


def test_each_service_is_resolved_and_the_first_stands_for_the_pipeline() -> None:
    pipeline = resolve(parse(configured(services=[WEB, WORKER], together=True))).pipelines[0]
    assert (pipeline.cluster, pipeline.service, pipeline.family) == ("production", "web", "web")
    assert pipeline.together
    web, worker = pipeline.per_service
    assert (worker.cluster, worker.service, worker.family) == ("jobs", "worker", WORKER["family"])
    assert (web.log_groups, worker.log_groups) == (("/ecs/web",), ())
    assert (web.code_deploy, worker.code_deploy and worker.code_deploy.group) == (None, "worker")
    assert [one.services and one.services[0].containers for one in (web, worker)] == [("web",), ()]
    assert worker.per_service == (worker,)


def test_each_service_has_a_definition_roles_and_hooks_of_its_own() -> None:
    web = {**WEB, "taskDefinition": "deploy/web.json", "values": {"cpu": "512"}}
    worker = {**WORKER, "base": "family"}
    worker["codeDeploy"] = {**WORKER["codeDeploy"], "hooks": {"afterInstall": "check"}}  # type: ignore[dict-item]
    pipeline = resolve(parse(configured(services=[web, worker]))).pipelines[0]

    first, second = pipeline.per_service

    assert (pipeline.task_definition, pipeline.values) == ("deploy/web.json", {"cpu": "512"})
    assert (first.task_definition, first.values, first.base) == (
        "deploy/web.json", {"cpu": "512"}, "service",
    )  # fmt: skip
    assert (second.task_definition, second.values, second.base) == (None, {}, "family")
    assert (first.roles, list(second.roles)) == ((), WORKER["roles"])
    assert second.code_deploy is not None
    assert second.code_deploy.hooks == {"AfterInstall": "check"}
    # AND what is written is read again
    text = resolve(parse(configured(services=[web, worker]))).to_json()
    assert Installation.from_json(text).pipelines[0].per_service == (first, second)


def test_a_revision_that_failed_may_be_deregistered_whichever_services_it_is() -> None:
    c = parse(configured(services=[WEB, WORKER]))
    statements = {s.sid: s for s in rollouts(c, Arns(resolve(c)), [])}
    place = "arn:aws:ecs:eu-central-1:222222222222:"
    assert "ecs:DeregisterTaskDefinition" in statements["PruneDefinitions"].actions
    assert {f"{place}service/production/*", f"{place}service/jobs/*"} <= set(
        statements["ReadNeighbours"].resources
    )


def test_one_service_is_written_as_before() -> None:
    """With one service nothing of what Lambdas and agent read is another: no new member is."""
    one = copy.deepcopy(read(FULL))
    listed = copy.deepcopy(one)
    listed["pipelines"][0]["services"] = [listed["pipelines"][0].pop("service")]
    texts = [resolve(parse(data)).to_json() for data in (one, listed)]
    assert texts[0] == texts[1]
    for pipeline in json.loads(texts[0])["pipelines"]:
        assert not {"services", "together"} & set(pipeline)
    assert all(p.services is None for p in Installation.from_json(texts[0]).pipelines)


def test_roles_name_each_service_family_group_and_log_group() -> None:
    c = parse(configured(services=[WEB, WORKER]))
    statements = {s.sid: s for s in rollouts(c, Arns(resolve(c)), [])}
    place = "arn:aws:ecs:eu-central-1:222222222222:"
    updated = statements["UpdateServices"].resources
    registered = statements["RegisterDefinitions"].resources
    for name, family in (("production/web", "web"), ("jobs/worker", WORKER["family"])):
        assert f"{place}service/{name}" in updated
        assert f"{place}task-definition/{family}:*" in registered
    # AND the task before the services is one of the first service, nobody else's
    assert list(statements["RunBeforeDeploy"].resources) == [f"{place}task-definition/web:*"]
    group = "arn:aws:codedeploy:eu-central-1:222222222222:deploymentgroup:jobs/worker"
    assert group in statements["DeployThroughGroups"].resources
    assert any("/ecs/web" in arn for arn in statements["ReadContainersOutput"].resources)
    looked_at = {s.sid: s for s in _read(Arns(resolve(c)), [])}["CheckServices"].resources
    assert {f"{place}service/production/web", f"{place}service/jobs/worker"} <= set(looked_at)
