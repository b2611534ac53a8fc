"""What people need who run `slipway`: policies to attach to their roles, made with the stack.

Three, because looking, acting and holding the webhook are three kinds of trust. `slipway deploy`
and `taskdef` are the rollout alone, for any service: what they need is theirs who run them.
"""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from infra.permissions.arns import Arns
from infra.permissions.roles import managed_policies
from infra.permissions.rollouts import scheduled_arns
from infra.permissions.statements import (
    NO_RESOURCES,
    Allow,
    allow,
    assume,
    publish,
    see_hosts,
    use_table,
)
from slipway.contracts.installation import Installation
from slipway.contracts.names import REDRIVEN
from slipway.contracts.table.hosts import PARTITION as HOST
from slipway.contracts.table.locks import PARTITION as LOCK
from slipway.contracts.table.pipelines import PARTITION as PIPELINE
from slipway.contracts.table.requests import not_begun, settled_key
from slipway.contracts.table.wants import PARTITION as WANT

ANY_DEPLOYMENT = "DEPLOYMENT#*"
"""Partitions of deployments, one for each pipeline."""
ANY_SETTLED = settled_key("*")["pk"]
ANY_POINTER = not_begun("*").values["pk"]


class OperatorPolicies(Construct):
    """`<name>-read`, `<name>-operate` (besides `-read`) and `<name>-webhook`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        installation: Installation,
        dead_letters: Sequence[str],
        use_key: Sequence[Allow],
    ) -> None:
        super().__init__(scope, construct_id)
        arns, names = Arns(installation), installation.names
        self._policy(
            names.read_policy,
            "Slipway: status, history, report, watch, logs, doctor.",
            _read(arns, dead_letters),
        )
        self._policy(
            names.operate_policy,
            f"Slipway, besides {names.read_policy}: redeploy, rollback, pause, resume, hold, "
            "release, cancel, redrive.",
            [*_operate(arns, dead_letters), *use_key],
        )
        self._policy(names.webhook_policy, "Slipway: webhook set.", [_set_webhook(arns)])

    def _policy(self, name: str, description: str, statements: Sequence[Allow]) -> None:
        managed_policies(self, name, name, description, statements)


def _read(arns: Arns, dead_letters: Sequence[str]) -> list[Allow]:
    i = arns.installation
    names = i.names
    services = [service for pipeline in i.pipelines for service in pipeline.per_service]
    return [
        use_table(arns.table, ("BatchGetItem", "GetItem", "Query")),
        *([see_hosts()] if i.builders.uses_hosts else []),
        allow(
            "CountMessages",
            ["sqs:GetQueueAttributes"],
            [arns.queue(name) for name in (names.build_queue, names.follow_queue, *dead_letters)],
        ),
        allow(
            "ReadBuildLogs",
            ["logs:GetLogEvents"],
            [f"{arns.log_group(names.build_log_group)}:log-stream:*"],
            why="Streams of this one group: one for each deployment.",
        ),
        assume("ReadTips", arns.tip_role),
        allow(
            "CheckTopics",
            ["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"],
            [arns.topic(names.request_topic), arns.topic(names.close_topic)],
        ),
        allow("CheckFilters", ["sns:GetSubscriptionAttributes"], ["*"], why=NO_RESOURCES),
        allow(
            "CheckFunctions",
            ["lambda:GetFunctionConfiguration"],
            [arns.prod("lambda", f"function:{names.function(name)}") for name in i.functions],
        ),
        # Whether the webhook is set, not what it is: a value would come with GetParameter.
        allow("CheckWebhook", ["ssm:DescribeParameters"], ["*"], why=NO_RESOURCES),
        allow(
            "CheckServices",
            ["ecs:DescribeServices"],
            sorted({arns.prod("ecs", f"service/{s.cluster}/{s.service}") for s in services}),
        ),
        allow("CheckDefinitions", ["ecs:DescribeTaskDefinition"], ["*"], why=NO_RESOURCES),
        *_check_scheduled(arns),
        allow(
            "CheckImages",
            ["ecr:DescribeRepositories"],
            sorted({arns.image_repository(m.repository) for p in i.pipelines for m in p.images}),
        ),
        allow(
            "CheckRoles",
            ["iam:SimulatePrincipalPolicy"],
            [
                *arns.building_roles,
                *(arns.prod_role(names.function(name)) for name in i.functions),
            ],
        ),
        *_check_alarms(arns),
    ]


def _check_scheduled(arns: Arns) -> list[Allow]:
    """What `slipway doctor` looks at, only where a pipeline has scheduled tasks."""
    tasks = [one for p in arns.installation.pipelines for one in p.scheduled_tasks or ()]
    rules, schedules = scheduled_arns(arns, tasks)
    found = [("CheckRules", "events:ListTargetsByRule", rules)]
    found.append(("CheckSchedules", "scheduler:GetSchedule", schedules))
    return [allow(name, [action], there) for name, action, there in found if there]


def _check_alarms(arns: Arns) -> list[Allow]:
    """Whether the alarms are there that prove deployments: only where there are any."""
    pipelines = arns.installation.pipelines
    names = sorted({name for p in pipelines for name in p.rollout.alarms or ()})
    alarms = [arns.prod("cloudwatch", f"alarm:{name}") for name in names]
    return [allow("CheckAlarms", ["cloudwatch:DescribeAlarms"], alarms)] if alarms else []


def _operate(arns: Arns, dead_letters: Sequence[str]) -> list[Allow]:
    names = arns.installation.names
    return [
        publish("AskForDeployments", [arns.topic(names.request_topic)]),
        allow(
            "PauseAndHold",
            ["dynamodb:UpdateItem"],
            [arns.table],
            {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [HOST, LOCK, PIPELINE]}},
        ),
        allow(
            "TakeDeadLetters",
            ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"],
            [arns.queue(name) for name in dead_letters],
        ),
        *_cancel(arns),
        allow("SendNoticesAgain", ["sqs:SendMessage"], [arns.queue(names.notices_queue)]),
        allow(
            "RunEventsAgain",
            ["lambda:InvokeFunction"],
            [
                arns.prod("lambda", f"function:{names.function(name)}")
                for name in REDRIVEN
                if name in arns.installation.functions
            ],
        ),
    ]


def _cancel(arns: Arns) -> list[Allow]:
    """Ask a deployment to end and whoever follows it to look; record the end of what nobody has
    begun (`slipway/contracts/table/unbegun.py`).
    """

    def rows(sid: str, action: str, *leading: str) -> Allow:
        only = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(leading)}}
        return allow(sid, [f"dynamodb:{action}"], [arns.table], only)

    follow_queue = arns.queue(arns.installation.names.follow_queue)
    return [
        rows("AskToCancel", "UpdateItem", ANY_DEPLOYMENT),
        rows("RecordCancelled", "PutItem", ANY_DEPLOYMENT, ANY_SETTLED),
        rows("SeeNotBegun", "ConditionCheckItem", ANY_POINTER),
        rows("ClearWants", "DeleteItem", WANT),
        allow("LookNow", ["sqs:SendMessage"], [follow_queue]),
    ]


def _set_webhook(arns: Arns) -> Allow:
    """Write, not read. The account's own `aws/ssm` key lets in whoever SSM lets in."""
    i = arns.installation
    own = {p.webhook_parameter for p in i.pipelines if p.webhook_parameter}
    parameters = sorted(own | {i.names.webhook_parameter()})
    return allow("SetWebhook", ["ssm:PutParameter"], [arns.parameter(name) for name in parameters])
