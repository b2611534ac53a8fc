"""What a team has before Slipway comes: a web service, its worker, and a task every night.

`slipway local up --sample whole` makes it in the prod account, as a team's own stack would.
Slipway then deploys to it what is there already. The task definitions are those that stand in the
sample's repository, with the first image in place of the placeholder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from local.sample_repository import DEFINITIONS, SAMPLE
from slipway.contracts.errors import WorldFailed

CLUSTER = "team"
WEB, WORKER = "web", "worker"
SERVICES = (WEB, WORKER)
NIGHTLY = "nightly"
"""The rule. It starts the worker's task definition with another command."""
NIGHTLY_COMMAND = ["/bin/busybox", "sh", "/app/nightly.sh"]
TARGET = "task"
EXECUTION_ROLE = "team-execution"
EVENTS_ROLE = "team-events"
IMAGE = "<IMAGE1_NAME>"
_PULL = ("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")

Clients = Callable[[str], Any]


def definition_file(family: str) -> str:
    """The path of a task definition in the sample's repository."""
    return f"{DEFINITIONS}/{family}.json"


def make_team(clients: Clients, initial_image: str) -> None:
    """All of it; `clients`: of a service's name, with the prod account's rights."""
    iam, ecs, events = clients("iam"), clients("ecs"), clients("events")
    _make_role(iam, EXECUTION_ROLE, "ecs-tasks.amazonaws.com", _PULL)
    starts = ("ecs:RunTask", "iam:PassRole")
    starter = _make_role(iam, EVENTS_ROLE, "events.amazonaws.com", starts)
    subnet = _subnet(clients("ec2"))
    cluster = ecs.create_cluster(clusterName=CLUSTER)["cluster"]["clusterArn"]
    arns = {service: _register(ecs, service, initial_image) for service in SERVICES}
    for service, definition in arns.items():
        _make_service(ecs, service, definition, subnet)
    _make_rule(events, _nightly(cluster, arns[WORKER], starter, subnet))


def _make_service(ecs: Any, service: str, definition: str, subnet: str) -> None:
    network = {"awsvpcConfiguration": {"subnets": [subnet], "assignPublicIp": "ENABLED"}}
    ecs.create_service(
        cluster=CLUSTER,
        serviceName=service,
        taskDefinition=definition,
        desiredCount=1,
        launchType="FARGATE",
        networkConfiguration=network,
        deploymentConfiguration={
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
    )


def _nightly(cluster: str, definition: str, role: str, subnet: str) -> dict[str, Any]:
    """The rule's target, as EventBridge writes one."""
    network = {"awsvpcConfiguration": {"Subnets": [subnet], "AssignPublicIp": "ENABLED"}}
    overrides = {"containerOverrides": [{"name": "app", "command": NIGHTLY_COMMAND}]}
    return {
        "Id": TARGET,
        "Arn": cluster,
        "RoleArn": role,
        "Input": json.dumps(overrides),
        "EcsParameters": {
            "TaskDefinitionArn": definition,
            "TaskCount": 1,
            "LaunchType": "FARGATE",
            "NetworkConfiguration": network,
        },
        "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600},
    }


def _register(ecs: Any, family: str, image: str) -> str:
    text = (SAMPLE / definition_file(family)).read_text(encoding="utf-8")
    definition = json.loads(text.replace(IMAGE, image))
    return str(ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"])


def _make_rule(events: Any, target: Mapping[str, Any]) -> None:
    events.put_rule(Name=NIGHTLY, ScheduleExpression="cron(0 3 * * ? *)", State="ENABLED")
    answer = events.put_targets(Rule=NIGHTLY, Targets=[target])
    if answer["FailedEntryCount"]:
        raise WorldFailed(f"the rule {NIGHTLY} takes no target: {answer['FailedEntries']}")


def _subnet(ec2: Any) -> str:
    """The first of the account's default VPC."""
    return str(ec2.describe_subnets()["Subnets"][0]["SubnetId"])


def _make_role(iam: Any, name: str, trusted: str, actions: tuple[str, ...]) -> str:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": trusted},
        "Action": "sts:AssumeRole",
    }
    rights = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=_policy(rights))
    return str(made["Role"]["Arn"])


def _policy(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
