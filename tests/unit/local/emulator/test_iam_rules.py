"""Where IAM looks for ECS calls, and who a session is."""

from __future__ import annotations

import pytest

from local.emulator.extension.iam_rules import (
    ecs_context,
    ecs_extra_checks,
    ecs_other_resources,
    ecs_resource,
    role_arn,
)

PREFIX = "arn:aws:ecs:us-east-1:222222222222:"
SERVICE = PREFIX + "service/c/s"


@pytest.mark.parametrize(
    ("operation", "data", "resource"),
    [
        ("UpdateService", {"cluster": "c", "service": "s"}, "service/c/s"),
        ("UpdateService", {"cluster": PREFIX + "cluster/c", "service": SERVICE}, "service/c/s"),
        ("UpdateService", {"cluster": "c", "service": PREFIX + "service/s"}, "service/c/s"),
        ("DescribeServices", {"cluster": "c", "services": ["s", "t"]}, "service/c/s"),
        ("CreateService", {"cluster": "c", "serviceName": "s"}, "service/c/s"),
        ("UpdateService", {"service": "s"}, "service/default/s"),
        ("RegisterTaskDefinition", {"family": "f"}, "task-definition/f:*"),
        ("RunTask", {"cluster": "c", "taskDefinition": "f:3"}, "task-definition/f:3"),
        ("DescribeTasks", {"cluster": "c", "tasks": ["id"]}, "task/c/id"),
        ("StopTask", {"cluster": "c", "task": PREFIX + "task/c/id"}, "task/c/id"),
        ("DescribeClusters", {"clusters": ["c"]}, "cluster/c"),
        ("TagResource", {"resourceArn": SERVICE}, "service/c/s"),
        (
            "StopServiceDeployment",
            {"serviceDeploymentArn": PREFIX + "service-deployment/c/s/1"},
            "service-deployment/c/s/1",
        ),
    ],
)
def test_an_ecs_call_is_about_what_it_names(operation, data, resource):
    assert ecs_resource(operation, data, PREFIX) == PREFIX + resource


@pytest.mark.parametrize(
    "operation",
    ["DescribeTaskDefinition", "DeregisterTaskDefinition", "ListTaskDefinitions", "ListTasks"],
)
def test_a_call_without_resource_level_permissions_is_about_everything(operation):
    data = {"cluster": "c", "taskDefinition": "f:1"}
    assert ecs_resource(operation, data, PREFIX) == "*"


def test_a_named_cluster_is_a_condition_key():
    assert ecs_context({"cluster": "c"}, PREFIX) == {"ecs:cluster": PREFIX + "cluster/c"}
    assert ecs_context({}, PREFIX) == {}


def test_roles_and_tags_of_a_task_definition_need_permissions_of_their_own():
    # GIVEN a definition with both roles and tags
    data = {"family": "f", "taskRoleArn": "t", "executionRoleArn": "e", "tags": [{"key": "a"}]}
    # WHEN
    checks = ecs_extra_checks("RegisterTaskDefinition", data, "definition")
    # THEN
    assert [(action, resource) for action, resource, _ in checks] == [
        ("iam:PassRole", "t"),
        ("iam:PassRole", "e"),
        ("ecs:TagResource", "definition"),
    ]
    assert checks[0][2] == {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}


def test_every_service_of_a_call_is_looked_at():
    # GIVEN / WHEN
    checks = ecs_other_resources(
        "DescribeServices", {"cluster": "c", "services": ["s", "t"]}, PREFIX
    )
    # THEN
    cluster = {"ecs:cluster": PREFIX + "cluster/c"}
    assert checks == [("ecs:DescribeServices", PREFIX + "service/c/t", cluster)]
    assert ecs_other_resources("UpdateService", {"service": "s"}, PREFIX) == []


def test_a_task_that_overrides_its_role_passes_it():
    checks = ecs_extra_checks("RunTask", {"overrides": {"taskRoleArn": "t"}}, "definition")
    assert [(action, resource) for action, resource, _ in checks] == [("iam:PassRole", "t")]
    assert ecs_extra_checks("UpdateService", {"taskRoleArn": "t"}, "service") == []


@pytest.mark.parametrize(
    ("principal", "known", "expected"),
    [
        ("arn:aws:sts::1:assumed-role/r/s", None, "arn:aws:iam::1:role/r"),
        ("arn:aws:sts::1:assumed-role/r/s", "arn:aws:iam::1:role/p/r", "arn:aws:iam::1:role/p/r"),
        ("arn:aws:iam::1:user/u", None, "arn:aws:iam::1:user/u"),
        ("arn:aws:iam::1:root", None, "arn:aws:iam::1:root"),
    ],
)
def test_a_session_is_its_role(principal, known, expected):
    assert role_arn(principal, lambda _account, _name: known) == expected
