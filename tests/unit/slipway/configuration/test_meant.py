"""What is refused before AWS would refuse it, held against lists that others keep."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import moto
import pytest
from cfnlint.helpers import REGIONS

from slipway.configuration import parse, read
from slipway.configuration.processors import processor_of
from slipway.configuration.regions import regions
from slipway.configuration.resolve import resolve
from slipway.contracts.errors import InvalidConfiguration
from slipway.following.service import plan_of
from slipway.rollout.codedeploy import HOOKS as HOOK_EVENTS
from tests.places import CONFIGURATIONS
from tests.unit.slipway.configuration.changed import REMOVED, changed

FULL = read(CONFIGURATIONS / "full.json")
MOTO = Path(moto.__file__).parent / "ec2" / "resources" / "instance_types.json.gz"


def problems(data: Any) -> dict[str, str]:
    with pytest.raises(InvalidConfiguration) as refused:
        parse(data)
    return dict(refused.value.problems)


def test_a_type_s_processor_is_what_ec2_says() -> None:
    # GIVEN what EC2's DescribeInstanceTypes answered to moto's authors
    with gzip.open(MOTO) as file:
        types: dict[str, Any] = json.load(file)
    # THEN the name alone tells the same of each, or nothing
    untold = set()
    for name, described in types.items():
        told = processor_of(name)
        if told is None:
            untold.add(name.rstrip("0123456789").partition("-")[0].partition(".")[0])
        else:
            assert told in described["ProcessorInfo"]["SupportedArchitectures"], name
    assert len(types) > 800
    assert untold <= {"mac", "mac1", "mac2", "p6", "u", "u7i", "u7in"}


@pytest.mark.parametrize("name", sorted(REGIONS))
def test_every_region_that_cfn_lint_knows_is_one(name: str) -> None:
    assert name in regions()


FIRST = "pipelines.0"
URI = "222222222222.dkr.ecr.eu-central-1.amazonaws.com/shop/web:v1"
ADDRESS = "https://git-codecommit.eu-central-1.amazonaws.com/v1/repos/shop"
ARN = "arn:aws:codecommit:eu-central-1:111111111111:shop"
HOOKS = "pipelines.1.service.codeDeploy.hooks"
ELSEWHERE = "arn:aws:lambda:us-east-1:222222222222:function:check"
DEV_ROLE = "arn:aws:iam::111111111111:role/x"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("region", "eu-centrl-1", 'botocore knows; did you mean "eu-central-1"?'),
        ("prod.region", "eu-central-9", "is no region that this machine's botocore knows"),
        ("region", "us-iso-east-1", "the partition aws-iso is not supported"),
        ("buildHost.instanceType", "t3.medium", 'is x86_64, and buildHost.architecture is "arm64"'),
        (f"{FIRST}.service.roles.1", DEV_ROLE, "a role of the prod account, 222222222222"),
        (f"{FIRST}.branch", "refs/heads/main", 'without refs/heads/, such as "main"'),
        (f"{FIRST}.branch", "refs/tags/v1", "without refs/heads/"),
        (f"{FIRST}.images.0.repository.name", URI, 'such as "shop/web"'),
        (f"{FIRST}.repository.name", ADDRESS, 'such as "shop"'),
        (f"{FIRST}.repository.name", ARN, 'such as "shop"'),
        ("build_host", {}, 'is not a known key here; did you mean "buildHost"?'),
        ("reigon", "x", 'did you mean "region"?'),
        (f"{FIRST}.service.code_deploy", {}, 'did you mean "codeDeploy"?'),
        (f"{FIRST}.images.0.dockerFile", "x", 'did you mean "dockerfile"?'),
        (f"{FIRST}.rollout.preDeploy.comand", "x", 'did you mean "command"?'),
        (f"{HOOKS}.afterinstall", "f", 'did you mean "afterInstall"?'),
        (f"{HOOKS}.afterInstall", "a function", "the name of a Lambda function, or its ARN"),
        (f"{HOOKS}.afterInstall", ELSEWHERE, "must be a function of 222222222222 in eu-central-1"),
        (f"{FIRST}.service.taskdefinition", "x", 'did you mean "taskDefinition"?'),
        (f"{FIRST}.service.taskDefinition", "../x", "a relative path inside the repository"),
        (f"{FIRST}.service.base", "newest", "must be 'service' or 'family'"),
        (f"{FIRST}.service.base", "family", "is not allowed beside taskDefinition"),
        ("zzz", 1, "is not a known key here"),
        (f"{FIRST}.paths.0", "/web/**", "no '/' before it, no '.' or '..'"),
        (f"{FIRST}.paths.0", "/web/**", 'such as "web/**"'),
        (f"{FIRST}.paths.0", "./web", 'such as "web"'),
        (f"{FIRST}.paths.0", "web/../api", "no '.' or '..' as a part"),
        (f"{FIRST}.paths.0", "web//api", "must be a pattern of paths"),
        (f"{FIRST}.paths.0", "web\\api", "no '\\'"),
        (f"{FIRST}.paths.1", ":(exclude)*.md", "no magic of git's (':')"),
        (f"{FIRST}.paths.1", ":(exclude)*.md", 'such as "!*.md"'),
        (f"{FIRST}.paths.1", ":!*.md", 'such as "!*.md"'),
        (f"{FIRST}.paths.1", ":/web", 'such as "web"'),
        (f"{FIRST}.paths.0", ":(icase)web", 'such as "web"'),
        (f"{FIRST}.paths.0", "services/*/", 'such as "services/*/**"'),
        (f"{FIRST}.paths.0", "", "must be a pattern of paths"),
        (f"{FIRST}.paths.0", "!", "must be a pattern of paths"),
        (f"{FIRST}.paths", [], "List should have at least 1 item"),
        (f"{FIRST}.paths", ["!docs/**", "!*.md"], "excludes only; begin with what concerns"),
        (f"{FIRST}.paths", "web/**", "must be a list"),
    ],
)
def test_what_was_meant_is_told(path: str, value: Any, said: str) -> None:
    where = re.sub(r"\.([0-9]+)", r"[\1]", path)
    assert said in problems(changed(FULL, path, value))[where]


def test_a_type_is_told_that_fits() -> None:
    found = problems(changed(FULL, "buildHost.architecture", "x86_64"))
    assert "such as t3.medium" in found["buildHost.instanceType"]


def test_the_docs_name_keys_as_they_are_written() -> None:
    notices = (CONFIGURATIONS.parents[2] / "docs" / "notices.md").read_text(encoding="utf-8")
    assert "mention_on_failure" not in notices
    assert "notices.mentionOnFailure" in notices


def test_the_configured_hooks_reach_the_rollouts_plan_by_codedeploys_names() -> None:
    (pipeline,) = [p for p in resolve(parse(FULL)).pipelines if p.code_deploy is not None]
    group = plan_of(pipeline, images={"app": "x"}).code_deploy
    assert group is not None
    assert dict(group.hooks) == {"AfterInstall": "CodeDeployHook_check"}
    assert set(group.hooks) <= set(HOOK_EVENTS)


def test_values_need_the_file_that_they_are_set_in() -> None:
    place = f"{FIRST}.service"
    odd = problems(changed(FULL, f"{place}.values", {"web environment": "x"}))
    assert "a path such as cpu, web.memory" in odd["pipelines[0].service.values.web environment"]
    found = problems(changed(FULL, f"{place}.taskDefinition", REMOVED))
    assert "needs taskDefinition" in found["pipelines[0].service.values"]


def test_a_definition_of_the_repository_may_name_the_services_roles_and_no_other() -> None:
    installation = resolve(parse(FULL))
    shop, _, sample = installation.pipelines
    role = "arn:aws:iam::222222222222:role/"
    assert shop.task_definition == "deploy/taskdef.json"
    assert shop.values == {"web.environment.STAGE": "production"}
    assert shop.roles == (f"{role}shop-task", f"{role}shop-execution")
    # AND a sample service's is the one that the stack makes
    assert sample.roles == (f"{role}{installation.name}-sample-execution",)
