"""Every option of ecs-deploy, as the plan that it asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.cli.deploy.plan import DeployOptions, plan_of, remarks
from slipway.cli.deploy.shorthand import parse_structure
from slipway.contracts.errors import WrongUse
from slipway.rollout import OneOffTask
from slipway.rollout.plan import Smoke

SERVICE = {"cluster": "prod", "service_name": "web"}
DIGEST = "sha256:" + "ab" * 32


def options(**given: Any) -> DeployOptions:
    return DeployOptions(**{**SERVICE, "image": "app:v2", **given})


@pytest.mark.parametrize(
    ("given", "member", "expected"),
    [
        ({}, "image", "app:v2"),
        ({"image": "app"}, "image", "app:latest"),
        ({"image": f"app@{DIGEST}"}, "image", f"app@{DIGEST}"),
        ({"tag_env_var": "CI_TAG"}, "image", "app:from-env"),
        ({"image": f"host:5000/app:v1@{DIGEST}", "tag_env_var": "CI_TAG"}, "image",
         "host:5000/app:from-env"),
        ({"image": None, "container": ("web=app:v3", "side=envoy")}, "images",
         {"web": "app:v3", "side": "envoy:latest"}),
        ({"image": None, "tag_only": "v9"}, "tag", "v9"),
        ({"image": "ignore me", "tag_only": "v9"}, "image", None),
        ({"tag_only": "v9", "tag_only_container_names": "a, b"}, "tag_containers", ("a", "b")),
        ({"force_new_deployment": True}, "force", True),
        ({"force_new_deployment": True}, "image", None),
        ({"image": None, "force_new_deployment": True}, "base", "service"),
        ({}, "base", "service"),
        ({"use_latest_task_def": True}, "base", "family"),
        ({"service_name": None, "task_definition": "web"}, "base", "definition:web"),
        ({"service_name": None, "task_definition": "web"}, "service", None),
        ({"desired_count": 0}, "desired_count", 0),
        ({"min": 50}, "min_percent", 50),
        ({"max": 150}, "max_percent", 150),
        ({}, "rollback", True),
        ({"rollback": False}, "rollback", False),
        ({"skip_deployments_check": True}, "wait_drain", False),
        ({}, "max_definitions", None),
        ({"max_definitions": 5}, "max_definitions", 5),
        ({}, "copy_tags", True),
        ({}, "task", None),
        ({"run_task": True}, "task", OneOffTask(wait=False)),
        ({"run_task": True, "wait_for_success": True, "launch_type": "FARGATE",
          "platform_version": "1.4.0"}, "task",
         OneOffTask(wait=True, launch_type="FARGATE", platform_version="1.4.0")),
        ({"pre_deploy_command": "python -m migrate 'a b'", "pre_deploy_container": "web"}, "task",
         OneOffTask(command=("python", "-m", "migrate", "a b"), container="web", wait=True)),
        ({}, "smoke", None),
        ({"smoke_url": "https://x.de/", "smoke_status": (200, 204), "smoke_contains": "ok",
          "smoke_within": 30.0}, "smoke",
         Smoke(url="https://x.de/", status=(200, 204), contains="ok", within=30.0)),
        ({}, "post_task", None),
        ({"post_deploy_command": "check it", "post_deploy_container": "web"}, "post_task",
         OneOffTask(command=("check", "it"), container="web")),
        ({}, "alarms", None),
        ({"alarm": ("a", "b")}, "alarms", ("a", "b")),
        ({"alarm": ("a",)}, "bake", 300.0),
        ({"alarm": ("a",), "bake": 1.5}, "bake", 90.0),
    ],
)  # fmt: skip
def test_an_option_becomes_its_member(given: dict[str, Any], member: str, expected: Any) -> None:
    plan = plan_of(options(**given), {"CI_TAG": "from-env"})

    assert getattr(plan, member) == expected


def test_the_defaults_of_the_times() -> None:
    times = plan_of(options(), {}).timeouts
    assert (times.healthy, times.drain, times.rollback, times.task) == (90.0, 900.0, 300.0, 90.0)

    times = plan_of(options(timeout=1200, drain_timeout=60, rollback_timeout=10), {}).timeouts
    assert (times.healthy, times.drain, times.rollback, times.task) == (1200, 60, 10, 1200)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"service_name": None}, "exactly one of -n/--service-name and -d"),
        ({"task_definition": "web"}, "exactly one of -n/--service-name and -d"),
        ({"cluster": None}, "needs -c/--cluster"),
        ({"image": None}, "-i/--image is missing"),
        ({"image": "App"}, "repository name 'App'"),
        ({"image": "app:`git describe`"}, "the tag"),
        ({"tag_env_var": "NOT_SET"}, "NOT_SET: the environment variable is not set"),
        ({"tag_env_var": "EMPTY"}, "EMPTY: the environment variable is not set"),
        ({"tag_only": "v9", "tag_env_var": "NOT_SET"}, "NOT_SET"),
        ({"container": ("web",)}, "must be NAME=IMAGE"),
        ({"container": ("web=a", "web=b")}, "given twice"),
        ({"service_name": None, "task_definition": "w", "force_new_deployment": True}, "needs -n"),
        ({"tag_only_container_names": "web"}, "needs -to"),
        ({"wait_for_success": True}, "--wait-for-success needs --run-task"),
        ({"launch_type": "FARGATE"}, "--launch-type needs --run-task"),
        ({"platform_version": "1.4.0"}, "--platform-version needs --run-task"),
        ({"network_configuration": "{}"}, "--network-configuration needs --run-task"),
        ({"pre_deploy_container": "web"}, "needs --pre-deploy-command"),
        ({"pre_deploy_command": "migrate 'a"}, "--pre-deploy-command"),
        ({"run_task": True, "pre_deploy_command": "x"}, "one of --run-task and"),
        ({"run_task": True, "force_new_deployment": True}, "no new revision"),
        ({"desired_count": -1}, "--desired-count -1: must be 0 or more"),
        ({"timeout": -1.0}, "--timeout -1.0"),
        ({"timeout": float("nan")}, "--timeout nan"),
        ({"max_definitions": -1}, "--max-definitions -1"),
        ({"smoke_url": "http://a@b.de/"}, "--smoke-url 'http://a@b.de/': must have no user"),
        ({"smoke_status": (200,)}, "need --smoke-url"),
        ({"smoke_contains": "x"}, "need --smoke-url"),
        ({"smoke_url": "http://b.de/", "smoke_within": 0.0}, "--smoke-within 0.0"),
        ({"post_deploy_container": "web"}, "needs --post-deploy-command"),
        ({"post_deploy_command": "check 'a"}, "--post-deploy-command"),
        ({"bake": 5.0}, "--bake needs --alarm"),
        ({"alarm": ("a",), "bake": -1.0}, "--bake -1.0"),
        ({"service_name": None, "task_definition": "w", "alarm": ("a",)}, "--alarm needs -n"),
    ],
)
def test_what_cannot_be_right_is_said(given: dict[str, Any], says: str) -> None:
    with pytest.raises(WrongUse, match=says):
        plan_of(options(**given), {"EMPTY": ""})


def test_a_file_is_the_base(tmp_path: Path) -> None:
    file = tmp_path / "definition.json"
    file.write_text(json.dumps({"containerDefinitions": []}))

    assert plan_of(options(task_definition_file=file), {}).base == {"containerDefinitions": []}
    for text, says in (("no json", "is not JSON"), ("[]", "must hold a JSON object")):
        file.write_text(text)
        with pytest.raises(WrongUse, match=says):
            plan_of(options(task_definition_file=file), {})
    with pytest.raises(WrongUse, match="No such file"):
        plan_of(options(task_definition_file=tmp_path / "missing"), {})


def test_what_has_no_effect_is_remarked() -> None:
    assert "image is not changed" in remarks(options(force_new_deployment=True))[0]
    assert "-i is ignored" in remarks(options(tag_only="v9"))[0]
    registering = options(service_name=None, task_definition="web", desired_count=1)
    assert "--desired-count: nothing to apply" in remarks(registering)[0]
    assert remarks(options()) == []


VPC = {"awsvpcConfiguration": {
    "subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED",
}}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(VPC),
        "awsvpcConfiguration={subnets=[subnet-1,subnet-2],securityGroups=[sg-1],"
        "assignPublicIp=ENABLED}",
        'awsvpcConfiguration={subnets=["subnet-1","subnet-2"],securityGroups=["sg-1"],'
        'assignPublicIp="ENABLED"}',
        "awsvpcConfiguration={subnets=subnet-1,subnet-2,securityGroups=[sg-1],"
        "assignPublicIp=ENABLED}",
    ],
    ids=["JSON", "shorthand", "quoted", "unbracketed"],
)
def test_a_network_is_json_or_shorthand(text: str, tmp_path: Path) -> None:
    assert parse_structure(text, "--network-configuration") == VPC
    (tmp_path / "network.json").write_text(json.dumps(VPC))
    assert parse_structure(f"file://{tmp_path}/network.json", "--x") == VPC


@pytest.mark.parametrize("text", ["", "x", "a={b=1", "a=[1,2", "{", "[]", "a=", "file:///none"])
def test_a_network_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(WrongUse, match="--network-configuration"):
        parse_structure(text, "--network-configuration")
