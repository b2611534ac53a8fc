"""An installation with nothing wrong, and what `slipway doctor` finds in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from tests.unit.slipway.cli.world import DEV, PROD, REGION, World

ROLE = f"arn:aws:iam::{DEV}:role/slipway-trigger"
TASK, EXECUTION = (f"arn:aws:iam::{PROD}:role/{name}" for name in ("task", "execution"))


def publish_policy(*, principal: Any, condition: Any = None) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": "sns:Publish",
        "Principal": principal,
        "Resource": f"arn:aws:sns:{REGION}:{PROD}:slipway-request",
    }
    return {"Statement": [statement | ({"Condition": condition} if condition else {})]}


def error(code: str) -> Callable[[dict[str, Any]], Any]:
    def answer(request: dict[str, Any]) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": f"says {code}"}}, "Operation")

    return answer


def takes_requests(world: World, queue: str, *, dead_letters: str) -> None:
    dead = f"arn:aws:sqs:{REGION}:{PROD}:{dead_letters}"
    topic = world.installation.request_topic_arn
    world.client("sqs").set_queue_attributes(
        QueueUrl=world.queues[queue],
        Attributes={
            "Policy": json.dumps({"Statement": [{"Resource": topic}]}),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 20}),
        },
    )


def add_services(world: World) -> None:
    for name in ("shop", "api"):
        world.client("ecr").create_repository(repositoryName=name)
    world.answers |= {
        "GetFunctionConfiguration": lambda request: {"State": "Active"},
        "DescribeServices": lambda request: {
            "services": [{"status": "ACTIVE", "taskDefinition": f"{arn(request['services'][0])}:7"}]
        },
        "DescribeTaskDefinition": lambda request: {
            "taskDefinition": {"taskRoleArn": TASK, "executionRoleArn": EXECUTION}
        },
        "SimulatePrincipalPolicy": simulated(),
    }


def simulated(*denied: str, names: bool = True, **details: Any) -> Callable[[dict[str, Any]], Any]:
    """IAM's simulation: a result for each action, a decision for each resource within it.

    `names`: it answers about each resource; else about the action alone, as it does for `*`.
    `details`: what each result says beside, as of limits.
    """

    def answer(request: dict[str, Any]) -> Any:
        decided = {r: "implicitDeny" if r in denied else "allowed" for r in request["ResourceArns"]}
        of_each = [
            {
                "EvalResourceName": role,
                "EvalResourceDecision": decision,
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for role, decision in decided.items()
        ]
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": f"arn:aws:iam::{PROD}:role/${{RoleNameWithPath}}",
                "EvalDecision": "implicitDeny" if denied else "allowed",
                "MatchedStatements": [],
                "MissingContextValues": [],
                **({"ResourceSpecificResults": of_each} if names else {}),
                **details,
            }
            for action in request["ActionNames"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    return answer


def arn(family: str) -> str:
    return f"arn:aws:ecs:{REGION}:{PROD}:task-definition/{family}"


def examined(world: World, *arguments: str) -> tuple[int, list[dict[str, str]]]:
    result = world.run("doctor", "--json", *arguments)
    assert result.stdout, result.output
    return result.exit_code, json.loads(result.stdout)["findings"]


def wrong(world: World, *arguments: str) -> list[str]:
    """`check: detail` of what is wrong; the exit code must fit."""
    code, findings = examined(world, *arguments)
    bad = [f"{f['check']}: {f['detail']}" for f in findings if f["verdict"] == "wrong"]
    assert code == (1 if bad else 0)
    assert all(f["mend"] for f in findings if f["verdict"] == "wrong")
    return bad
