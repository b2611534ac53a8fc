"""Gap closed: places where ministack's IAM decides otherwise than AWS's.

* `aws:PrincipalArn` of a session is its *role's* ARN, not the session's.
* ECS actions are about the service, task or definition that they name, not about the cluster, and
  carry `ecs:cluster`; those without resource-level permissions are about `*`. So are EC2's
  Describe calls.
* `iam:PassRole` and `ecs:TagResource` are asked for by RegisterTaskDefinition and RunTask.
* A call on several instances, services or tasks is asked for each of them.
* `ec2:ResourceTag/…` is there.
* DescribeRepositories is about the repository that it names.
* Calls on a log stream are about the stream, not about its group.
* A batch of SQS or SNS is allowed by the single action (`sqs:DeleteMessage`).
* Calls on targets are about the rule or schedule that they name, and ask for `iam:PassRole`.
* `cloudwatch:namespace` is there for PutMetricData.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable
from typing import Any

import cbor2
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

from local.emulator.extension.private import need, wrap

Data = dict[str, Any]
# (action, resource, condition keys) that a request needs besides its own action.
Check = tuple[str, str, Data]

EXTRA_CHECKS = "slipway:extra-checks"
BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}
# Asked for a stream of the group: policies in use say `log-group:NAME:*` for both.
LOG_STREAM_CALLS = ("CreateLogStream", "PutLogEvents", "GetLogEvents")
# What a denial of an extra check was about, for the error's text.
_refused: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar(
    "slipway_refused", default=None
)


def role_arn(principal_arn: str, path_of: Callable[[str, str], str | None]) -> str:
    """The role's ARN of a session's ARN; any other ARN as it is.

    `path_of(account, role name)` gives the ARN of a role, whose path a session's ARN lacks.
    """
    if ":assumed-role/" not in principal_arn:
        return principal_arn
    account = principal_arn.split(":")[4]
    name = principal_arn.split("/")[1]
    return path_of(account, name) or f"arn:aws:iam::{account}:role/{name}"


def _stored_role_arn(account: str, name: str) -> str | None:
    role = iam._roles.get_scoped(account, None, name)
    return role["Arn"] if role else None


def _principal_arn_of_role(resolve: Callable[..., Any]) -> Callable[..., Any]:
    def resolve_key(key: str, context: Any) -> Any:
        value = resolve(key, context)
        if key.lower() == "aws:principalarn" and isinstance(value, str):
            return role_arn(value, _stored_role_arn)
        return value

    return resolve_key


# -- ECS ------------------------------------------------------------------------------------------


def _tail(name_or_arn: str) -> str:
    """The part of an ECS ARN after its type, `cluster/name`; a bare name as it is."""
    if not name_or_arn.startswith("arn:"):
        return name_or_arn
    return name_or_arn.split(":", 5)[5].partition("/")[2]


def ecs_resource(operation: str, data: Data, prefix: str) -> str:
    """The ARN that IAM looks at for an ECS call; `prefix` is `arn:aws:ecs:<region>:<account>:`.

    From the service authorization reference: operations that are not listed there with a
    resource type are about `*`.
    """
    cluster = _tail(data.get("cluster") or "default")
    named: dict[str, Callable[[], str]] = {
        "CreateService": lambda: f"service/{cluster}/{data.get('serviceName')}",
        "UpdateService": lambda: _in_cluster("service", cluster, data.get("service")),
        "DeleteService": lambda: _in_cluster("service", cluster, data.get("service")),
        "DescribeServices": lambda: _in_cluster("service", cluster, _first(data, "services")),
        "ListServiceDeployments": lambda: _in_cluster("service", cluster, data.get("service")),
        "DescribeServiceDeployments": lambda: _any(_first(data, "serviceDeploymentArns")),
        "StopServiceDeployment": lambda: _any(data.get("serviceDeploymentArn")),
        "DescribeServiceRevisions": lambda: _any(_first(data, "serviceRevisionArns")),
        "RegisterTaskDefinition": lambda: f"task-definition/{data.get('family')}:*",
        "RunTask": lambda: f"task-definition/{_tail(data.get('taskDefinition') or '')}",
        "StopTask": lambda: _in_cluster("task", cluster, data.get("task")),
        "DescribeTasks": lambda: _in_cluster("task", cluster, _first(data, "tasks")),
        "DescribeClusters": lambda: f"cluster/{_tail(_first(data, 'clusters') or 'default')}",
        "UpdateCluster": lambda: f"cluster/{cluster}",
        "DeleteCluster": lambda: f"cluster/{cluster}",
        "TagResource": lambda: _any(data.get("resourceArn")),
        "UntagResource": lambda: _any(data.get("resourceArn")),
        "ListTagsForResource": lambda: _any(data.get("resourceArn")),
    }
    resource = named[operation]() if operation in named else "*"
    return resource if resource == "*" or resource.startswith("arn:") else prefix + resource


def _first(data: Data, member: str) -> str | None:
    values = data.get(member) or [None]
    return values[0] if isinstance(values[0], str) else None


def _any(arn: str | None) -> str:
    return arn or "*"


def _in_cluster(kind: str, cluster: str, name_or_arn: str | None) -> str:
    tail = _tail(name_or_arn or "")
    # An ARN carries its cluster, unless it is of the short format without one.
    return f"{kind}/{tail}" if "/" in tail else f"{kind}/{cluster}/{tail}"


def ecs_context(data: Data, prefix: str) -> Data:
    """Condition keys of an ECS call that names a cluster."""
    cluster = data.get("cluster")
    return {"ecs:cluster": f"{prefix}cluster/{_tail(cluster)}"} if cluster else {}


# Operations on several resources, and the member that names them.
SEVERAL = {
    "DescribeServices": "services",
    "DescribeTasks": "tasks",
    "DescribeClusters": "clusters",
    "DescribeServiceDeployments": "serviceDeploymentArns",
    "DescribeServiceRevisions": "serviceRevisionArns",
}


def ecs_other_resources(operation: str, data: Data, prefix: str) -> list[Check]:
    """The same action for each further resource that a call names."""
    member = SEVERAL.get(operation)
    others = (data.get(member) or [])[1:] if member else []
    return [
        (
            f"ecs:{operation}",
            ecs_resource(operation, {**data, member or "": [other]}, prefix),
            ecs_context(data, prefix),
        )
        for other in others
    ]


def ecs_extra_checks(operation: str, data: Data, resource: str) -> list[Check]:
    """`iam:PassRole` for each role that is handed over, `ecs:TagResource` for tags."""
    if operation not in ("RegisterTaskDefinition", "RunTask", "CreateService"):
        return []
    overrides = data.get("overrides") or {}
    roles = [
        source.get(member)
        for source in (data, overrides)
        for member in ("taskRoleArn", "executionRoleArn")
    ]
    passed = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
    checks: list[Check] = [("iam:PassRole", role, passed) for role in roles if role]
    if data.get("tags"):
        checks.append(("ecs:TagResource", resource, {"ecs:createaction": operation}))
    return checks


# -- EventBridge ----------------------------------------------------------------------------------


def scheduled_resource(service: str, path: str, data: Data, query: Data) -> str | None:
    """The rule or schedule that a call on targets names, as its ARN ends; None for other calls.

    A rule of the default bus has no bus in its ARN (service authorization reference).
    """
    if service == "events":
        bus = str(data.get("EventBusName") or "default")
        place = "" if bus == "default" else f"{bus}/"
        return f"rule/{place}{data['Rule']}" if data.get("Rule") else None
    parts = [part for part in path.split("/") if part]
    if parts[:1] != ["schedules"] or len(parts) != 2:
        return None
    group = data.get("GroupName") or query.get("groupName") or "default"
    return f"schedule/{group[0] if isinstance(group, list) else group}/{parts[1]}"


def target_roles(data: Data) -> list[Check]:
    """`iam:PassRole` for the role of each target that is set."""
    rule = [(target, "events") for target in data.get("Targets") or []]
    schedule = [(data["Target"], "scheduler")] if data.get("Target") else []
    return [
        ("iam:PassRole", target["RoleArn"], {"iam:passedtoservice": f"{to}.amazonaws.com"})
        for target, to in (*rule, *schedule)
        if target.get("RoleArn")
    ]


# -- what ministack asks --------------------------------------------------------------------------


def _json(body: bytes) -> Data:
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _query_list(query: Data, member: str) -> list[str]:
    found: list[str] = []
    while value := query.get(f"{member}.{len(found) + 1}"):
        found.append(value[0] if isinstance(value, list) else value)
    return found


def _resource_as_aws(extract: Callable[..., str]) -> Callable[..., str]:
    def extract_arn(  # noqa: PLR0917 - ministack's own signature
        service: str,
        method: str,
        path: str,
        headers: Data,
        body: bytes,
        query: Data,
        region: str,
        account: str,
    ) -> str:
        arguments = (method, path, headers, body, query)
        if service == "ecs":
            operation = _operation(service, *arguments)
            return ecs_resource(operation, _json(body), f"arn:aws:ecs:{region}:{account}:")
        if service == "ec2" and _operation(service, *arguments).startswith("Describe"):
            return "*"
        if service == "ecr" and (named := _first(_json(body), "repositoryNames")):
            return f"arn:aws:ecr:{region}:{account}:repository/{named}"
        if service == "sqs" and "MessageMoveTask" in _operation(service, *arguments):
            return str(_json(body).get("SourceArn") or "*")
        resource = extract(service, *arguments, region, account)
        if service in ("events", "scheduler"):
            target = scheduled_resource(service, path, _json(body), query)
            resource = f"arn:aws:{service}:{region}:{account}:{target}" if target else resource
        if service == "logs" and _operation(service, *arguments) in LOG_STREAM_CALLS:
            return f"{resource}:log-stream:{_json(body).get('logStreamName', '')}"
        return resource

    return extract_arn


def _operation(service: str, *request: Any) -> str:
    action = iam_actions.extract_iam_action(service, *request) or ""
    return str(action.rpartition(":")[2])


def _single_actions(extract: Callable[..., str | None]) -> Callable[..., str | None]:
    def extract_action(*arguments: Any) -> str | None:
        action = extract(*arguments)
        return BATCHES.get(action, action) if action else action

    return extract_action


def _more_context(tags: Callable[..., Data]) -> Callable[..., Data]:
    """Condition keys, and the extra checks that `enforce` makes, ride on the tag context."""

    def context(service: str, action: str, body: bytes, query: Data) -> Data:
        known: Data = dict(tags(service, action, body, query))
        operation = action.rpartition(":")[2]
        region, account = get_region(), get_account_id()
        if service == "ecs":
            prefix = f"arn:aws:ecs:{region}:{account}:"
            data = _json(body)
            known |= ecs_context(data, prefix)
            resource = ecs_resource(operation, data, prefix)
            known[EXTRA_CHECKS] = [
                *ecs_other_resources(operation, data, prefix),
                *ecs_extra_checks(operation, data, resource),
            ]
        elif service == "ec2" and operation in (
            "StartInstances",
            "StopInstances",
            "RebootInstances",
            "TerminateInstances",
        ):
            prefix = f"arn:aws:ec2:{region}:{account}:instance/"
            others = _query_list(query, "InstanceId")[1:]
            known[EXTRA_CHECKS] = [(action, prefix + other, {}) for other in others]
        elif operation in ("PutTargets", "UpdateSchedule", "CreateSchedule"):
            known[EXTRA_CHECKS] = target_roles(_json(body))
        elif service == "monitoring" and operation == "PutMetricData":
            known["cloudwatch:namespace"] = _namespace(body, query)
        return known

    return context


def _namespace(body: bytes, query: Data) -> str:
    if query.get("Namespace"):
        return str(query["Namespace"][0])
    try:
        data = _json(body) if body[:1] == b"{" else cbor2.loads(body)
    except cbor2.CBORDecodeError:
        return ""
    return str(data.get("Namespace", "")) if isinstance(data, dict) else ""


def _with_extra_checks(enforce: Callable[..., Any]) -> Callable[..., Any]:
    def enforce_all(  # noqa: PLR0917 - ministack's own signature
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Data | None = None,
    ) -> Any:
        context = dict(service_context or {})
        checks: list[Check] = context.pop(EXTRA_CHECKS, [])
        _refused.set(None)
        denied = _ask(enforce, access_key_id, service, region, (iam_action, resource_arn, context))
        for check in checks:
            if denied:
                break
            denied = _ask(enforce, access_key_id, service, region, check)
            if denied:
                _refused.set(check[:2])
        return denied

    return enforce_all


def _ask(
    enforce: Callable[..., Any], access_key_id: str, service: str, region: str, check: Check
) -> Any:
    action, resource, context = check
    tags = _instance_tags(resource) if ":ec2:" in resource else {}
    return enforce(access_key_id, action, service, region, resource, {**context, **tags})


def _instance_tags(resource: str) -> Data:
    from ministack.services import tagging  # noqa: PLC0415

    tags = tagging.resource_tags(resource) or {}
    return {f"ec2:ResourceTag/{name}": value for name, value in tags.items()}


def _denial_names_the_check(respond: Callable[..., Any]) -> Callable[..., Any]:
    def response(service: str, action: str, principal: str, request_id: str, **details: Any) -> Any:
        refused = _refused.get()
        if refused is not None:
            action, details["resource_arn"] = refused
        return respond(service, action, principal, request_id, **details)

    return response


def refused_check() -> str | None:
    """The action of the extra check that the last question of this context failed on, if any."""
    refused = _refused.get()
    return refused[0] if refused else None


def install() -> None:
    """Correct ministack's IAM."""
    need(iam, "_roles")
    wrap(iam_evaluator, "_resolve_condition_key", _principal_arn_of_role)
    wrap(iam_evaluator, "enforce", _with_extra_checks)
    wrap(iam_actions, "extract_iam_action", _single_actions)
    wrap(iam_actions, "extract_resource_arn", _resource_as_aws)
    wrap(iam_actions, "request_tag_context", _more_context)
    wrap(iam_actions, "access_denied_response", _denial_names_the_check)
