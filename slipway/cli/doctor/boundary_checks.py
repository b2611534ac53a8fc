"""What `slipway doctor` asks where a permissions boundary, or the organisation, may limit a role.

IAM says it itself: SimulatePrincipalPolicy tells of each action whether the role's boundary and the
organisation's policies allow it. Only that part of its answer is read here: that the role's own
policies are right, and under which conditions, is for the templates' tests to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.cli.aws.session import Session
from slipway.cli.doctor.findings import Check, Finding, ok, skipped, wrong
from slipway.contracts.installation import Installation, PipelineSettings


@dataclass(frozen=True, kw_only=True)
class Need:
    """Actions that a role cannot do without, and one ARN of those that it does them on."""

    actions: tuple[str, ...]
    on: str = "*"


def boundary_checks(session: Session) -> list[Check]:
    """A check for each role of the prod account."""

    def check(role: str, needs: Sequence[Need]) -> Check:
        return Check(
            part="roles",
            name=role,
            look=lambda: _looked_at(session, role, needs),
            mend="deploy the prod stack (docs/operating.md)",
        )

    return [check(role, needs) for role, needs in needs_of(session.installation).items()]


def _looked_at(session: Session, role: str, needs: Sequence[Need]) -> Iterator[Finding]:
    settings = session.installation
    if settings.mode == "local":
        yield skipped(role, "the emulator simulates no boundary")
        return
    simulate = session.client("iam").get_paginator("simulate_principal_policy").paginate
    arn = f"arn:{settings.partition}:iam::{settings.prod_account}:role/{role}"
    taken: dict[str, list[str]] = {}
    for need in needs:
        pages = simulate(
            PolicySourceArn=arn, ActionNames=list(need.actions), ResourceArns=[need.on]
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                for limit in limits_of(result):
                    taken.setdefault(limit, []).append(result["EvalActionName"])
    for limit, actions in taken.items():
        mend = f"let {limit} allow what tests/infra/iam.md lists for this role"
        named = ", ".join(dict.fromkeys(actions))
        yield wrong(role, f"{limit} takes from it: {named}", mend)
    if not taken:
        yield ok(role, "no boundary takes from it what it needs")


def limits_of(result: Mapping[str, Any]) -> list[str]:
    """Who does not allow an action, of an entry of SimulatePrincipalPolicy's EvaluationResults.

    IAM API reference, EvaluationResult: each detail is there only where there is such a limit.
    """
    found = []
    boundary = result.get("PermissionsBoundaryDecisionDetail") or {}
    if boundary.get("AllowedByPermissionsBoundary") is False:
        found.append("its permissions boundary")
    organisation = result.get("OrganizationsDecisionDetail") or {}
    if organisation.get("AllowedByOrganizations") is False:
        found.append("a policy of the organisation")
    return found


def needs_of(installation: Installation) -> dict[str, list[Need]]:
    """Role name to what it needs; keys left out: which one it is nobody tells beforehand."""
    names = installation.names
    builders, found = installation.builders, {}
    if builders.uses_hosts:
        found[names.host_role] = _host(installation)
    if builders.uses_code_build:
        found[names.builder_role] = _building(installation)
    functions = {names.function(n): _function(installation, n) for n in installation.functions}
    return {**found, **functions}


def _needs(*pairs: tuple[str, str]) -> list[Need]:
    """Each pair: actions as `service:First Second`, and what on."""
    found = []
    for actions, on in pairs:
        service, _, named = actions.partition(":")
        found.append(Need(actions=tuple(f"{service}:{a}" for a in named.split()), on=on))
    return found


_ROLLING_OUT = "BatchGetItem ConditionCheckItem DeleteItem GetItem PutItem Query UpdateItem"
_TABLE = {
    "starter": "Query ConditionCheckItem PutItem UpdateItem",
    "stopper": "Query UpdateItem",
    "reconciler": "BatchGetItem Query ConditionCheckItem DeleteItem PutItem UpdateItem",
    "follower": _ROLLING_OUT,
    "notifier": "DeleteItem GetItem PutItem Query UpdateItem",
}
"""What each function does with the table's rows."""


def _table(installation: Installation, name: str) -> str:
    """Who asks for builds looks at a builder's row as well; who drains the queue, at outcomes."""
    if name not in ("starter", "reconciler"):
        return _TABLE[name]
    asks = " GetItem" if installation.builders.uses_code_build else ""
    drains = " BatchGetItem" if not installation.builders.uses_hosts else ""
    return _TABLE[name] + asks + drains


@dataclass(frozen=True)
class _Prod:
    """ARNs in the prod account."""

    installation: Installation

    def __call__(self, service: str, resource: str) -> str:
        i = self.installation
        return f"arn:{i.partition}:{service}:{i.region}:{i.prod_account}:{resource}"

    @property
    def table(self) -> str:
        return self("dynamodb", f"table/{self.installation.names.table}")

    @property
    def build_queue(self) -> str:
        return self("sqs", self.installation.names.build_queue)

    def stream(self, group: str) -> str:
        return self("logs", f"log-group:{group}:log-stream:x")


def _function(installation: Installation, name: str) -> list[Need]:
    names, arn = installation.names, _Prod(installation)
    first = installation.pipelines[0]
    webhook = first.webhook_parameter or names.webhook_parameter()
    common = _needs(
        ("logs:CreateLogStream PutLogEvents", arn.stream(f"/aws/lambda/{names.function(name)}")),
        ("sqs:SendMessage", arn("sqs", names.failures)),
        (f"dynamodb:{_table(installation, name)}", arn.table),
    )
    if name == "notifier":
        queue = "sqs:ReceiveMessage DeleteMessage GetQueueAttributes ChangeMessageVisibility"
        parameter = arn("ssm", f"parameter{webhook}")
        notices = arn("sqs", names.notices_queue)
        return common + _needs((queue, notices), ("ssm:GetParameter", parameter))
    if name == "follower":
        return common + _follower(installation)
    return common + _deciding(installation, name)


def _deciding(installation: Installation, name: str) -> list[Need]:
    """What starter, stopper and reconciler do to hosts and builders."""
    names, arn = installation.names, _Prod(installation)
    first, host = installation.pipelines[0], arn("ec2", "instance/i-0123456789abcdef0")
    builders, deciding = installation.builders, list[Need]()
    if name != "starter":
        deciding += _needs(("sqs:GetQueueAttributes", arn.build_queue))
    if builders.uses_hosts:
        deciding += _needs(("ec2:DescribeInstances", "*"))
        if name != "starter":
            deciding += _needs(("ec2:StopInstances", host))
        if name != "stopper":
            deciding += _needs(("ec2:StartInstances", host))
    elif name == "reconciler":
        drained = "sqs:ReceiveMessage DeleteMessage"
        given_up = arn("sqs", names.build_dead_letters)
        deciding += _needs((drained, arn.build_queue), ("sqs:SendMessage", given_up))
    if builders.uses_code_build and name != "stopper":
        run = "codebuild:StartBuild BatchGetBuilds ListBuildsForProject"
        if name == "reconciler":
            run += " StopBuild"
            deciding += _needs(("sqs:SendMessage", arn("sqs", names.build_dead_letters)))
        deciding += _needs((run, arn("codebuild", f"project/{names.builder_project}")))
    if name == "reconciler":
        topic = arn("sns", names.request_topic)
        deciding += _needs(
            ("sns:Publish", topic),
            ("sqs:SendMessage", arn("sqs", names.follow_queue)),
            ("sts:AssumeRole", first.tip_role_arn),
        )
    return deciding


def _follower(installation: Installation) -> list[Need]:
    names, arn = installation.names, _Prod(installation)
    first = installation.pipelines[0]
    queue = "sqs:ReceiveMessage DeleteMessage GetQueueAttributes GetQueueUrl SendMessage"
    return [
        *_needs(
            (queue, arn("sqs", names.follow_queue)),
            ("sns:Publish", arn("sns", names.close_topic)),
            ("sts:AssumeRole", first.tip_role_arn),
            ("ecr:BatchGetImage PutImage", arn("ecr", f"repository/{first.images[0].repository}")),
            ("logs:CreateLogStream PutLogEvents", arn.stream(names.build_log_group)),
        ),
        *_rollouts(installation),
    ]


def _host(installation: Installation) -> list[Need]:
    """What the agent does, and what only a host does: take messages, let people look around."""
    arn = _Prod(installation)
    sessions = "CreateControlChannel CreateDataChannel OpenControlChannel OpenDataChannel"
    return [
        *_needs(
            ("sqs:ReceiveMessage DeleteMessage ChangeMessageVisibility", arn.build_queue),
            ("sqs:GetQueueUrl", arn.build_queue),
            ("ssm:UpdateInstanceInformation", "*"),
            (f"ssmmessages:{sessions}", "*"),
        ),
        *_building(installation),
    ]


def _building(installation: Installation) -> list[Need]:
    """What the agent does, wherever it runs."""
    names, arn = installation.names, _Prod(installation)
    first = installation.pipelines[0]
    push = (
        "BatchCheckLayerAvailability BatchGetImage CompleteLayerUpload GetDownloadUrlForLayer "
        "InitiateLayerUpload PutImage UploadLayerPart"
    )
    return [
        *_needs(
            ("sqs:GetQueueUrl SendMessage", arn("sqs", names.build_dead_letters)),
            ("sqs:SendMessage", arn("sqs", names.follow_queue)),
            (f"dynamodb:{_ROLLING_OUT}", arn.table),
            ("sns:Publish", arn("sns", names.close_topic)),
            ("sts:AssumeRole", first.source_role_arn),
            ("ecr:GetAuthorizationToken", "*"),
            (f"ecr:{push}", arn("ecr", f"repository/{first.images[0].repository}")),
            ("logs:CreateLogStream PutLogEvents", arn.stream(names.build_log_group)),
            ("ssm:GetParameter", arn("ssm", f"parameter{names.agent_parameter}")),
            ("s3:GetObject", _archive(installation)),
        ),
        *_secrets(installation),
        *_rollouts(installation),
    ]


def _secrets(installation: Installation) -> list[Need]:
    images = [image for pipeline in installation.pipelines for image in pipeline.images]
    places = [place for image in images for place in image.build_secrets.values()]
    named = installation.docker_hub_secret or any(place.startswith("arn:") for place in places)
    if not named:
        return []
    secret = _Prod(installation)("secretsmanager", "secret:x-AbCdEf")
    return _needs(("secretsmanager:GetSecretValue", secret))


def _rollouts(installation: Installation) -> list[Need]:
    """Of what pipelines have in common one is asked about: IAM takes few such calls a second."""
    arn = _Prod(installation)
    services = [one for pipeline in installation.pipelines for one in pipeline.per_service]
    every = [need for one in services for need in _rollout(arn, one)]
    return list({need.actions: need for need in reversed(every)}.values())


def _archive(installation: Installation) -> str:
    """In the bucket of the CDK's bootstrap, unless the account has one of another name."""
    place = f"{installation.prod_account}-{installation.region}"
    return f"arn:{installation.partition}:s3:::cdk-hnb659fds-assets-{place}/agent.tar"


def _rollout(arn: _Prod, pipeline: PipelineSettings) -> list[Need]:
    """What a pipeline's rollouts need, whoever does them, and what only some pipelines ask for."""
    place = f"{pipeline.cluster}/{pipeline.service}"
    definition = arn("ecs", f"task-definition/{pipeline.family or pipeline.service}:1")
    task = arn("ecs", f"task/{pipeline.cluster}/x")
    found = _needs(
        (
            "ecs:DescribeServices ListServiceDeployments UpdateService",
            arn("ecs", f"service/{place}"),
        ),
        (
            "ecs:DescribeServiceDeployments StopServiceDeployment",
            arn("ecs", f"service-deployment/{place}/x"),
        ),
        ("ecs:DescribeServiceRevisions", arn("ecs", f"service-revision/{place}/x")),
        ("ecs:DescribeTaskDefinition ListTasks", "*"),
        ("ecs:DeregisterTaskDefinition ListServices", "*"),
        ("ecs:RegisterTaskDefinition TagResource", definition),
        ("ecs:DescribeTasks", task),
        ("ecs:DescribeContainerInstances", task.replace(":task/", ":container-instance/")),
        ("elasticloadbalancing:DescribeTargetHealth", "*"),
        ("iam:PassRole", arn("iam", "role/x").replace(f":{arn.installation.region}:", "::")),
    )
    if pipeline.rollout.pre_deploy_command or pipeline.rollout.post_deploy_command:
        found += _needs(("ecs:RunTask", definition), ("ecs:StopTask", task))
    if pipeline.rollout.alarms:
        alarm = arn("cloudwatch", f"alarm:{pipeline.rollout.alarms[0]}")
        found += _needs(("cloudwatch:DescribeAlarms", alarm))
    if pipeline.rollout.max_definitions is not None:
        found += _needs(("ecs:ListTaskDefinitions", "*"))
    found += _scheduled(arn, pipeline)
    for group in pipeline.log_groups:
        found += _needs(("logs:GetLogEvents", arn.stream(group)))
    return found + _code_deploy(arn, pipeline)


def _scheduled(arn: _Prod, pipeline: PipelineSettings) -> list[Need]:
    found: list[Need] = []
    for one in pipeline.scheduled_tasks or ():
        if one.kind == "schedule":
            schedule = arn("scheduler", f"schedule/{one.place or 'default'}/{one.name}")
            found += _needs(("scheduler:GetSchedule UpdateSchedule", schedule))
        else:
            place = f"{one.place}/" if one.place not in (None, "default") else ""
            rule = arn("events", f"rule/{place}{one.name}")
            found += _needs(("events:ListTargetsByRule PutTargets", rule))
    return found


def _code_deploy(arn: _Prod, pipeline: PipelineSettings) -> list[Need]:
    used = pipeline.code_deploy
    if used is None:
        return []
    group = arn("codedeploy", f"deploymentgroup:{used.application}/{used.group}")
    application = arn("codedeploy", f"application:{used.application}")
    return _needs(
        ("codedeploy:CreateDeployment GetDeployment GetDeploymentGroup", group),
        ("codedeploy:GetApplicationRevision RegisterApplicationRevision", application),
        ("codedeploy:GetDeploymentConfig", arn("codedeploy", "deploymentconfig:x")),
        ("codedeploy:GetDeploymentTarget StopDeployment", "*"),
    )
