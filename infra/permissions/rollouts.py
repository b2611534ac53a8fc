"""What a rollout may do, for whoever does it: the build hosts and the follower alike.

The configured services, their families, clusters and CodeDeploy groups, and what only some
pipelines ask for where a pipeline asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.permissions.arns import Arns
from infra.permissions.roles import INLINE_LIMIT, managed_policies, size_of
from infra.permissions.statements import NO_RESOURCES, Allow, allow
from slipway.configuration import Configuration, Pipeline
from slipway.configuration.resolve import scheduled_tasks_of, services_of
from slipway.contracts.deployed_to import ScheduledTaskSettings, ServiceSettings

ANY_REVISION = "Revisions of this one family: their numbers are made by ECS."
TASKS_OF_CLUSTER = "Tasks of this one cluster: their ids are made by ECS."
PUBLISH = "PublishNoticesAndRequests"
"""A deployment's end is announced, and what waited for it is asked for again."""
TABLE = (
    "BatchGetItem",
    "ConditionCheckItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "UpdateItem",
)
"""What who takes a request to its end does with the table's rows."""


SHARED_FROM = INLINE_LIMIT // 2
"""Characters from which on the roles share policies: a stack has a limited number of resources."""


@dataclass(frozen=True)
class Rollouts:
    """What a role that rolls out is made with: statements of its own, or policies it shares."""

    statements: Sequence[Allow] = ()
    shared: Sequence[iam.IManagedPolicy] = ()

    @classmethod
    def of(
        cls, stack: Construct, c: Configuration, arns: Arns, passed_roles: Sequence[str]
    ) -> Rollouts:
        """Once for a stack. `passed_roles`: what the services' task definitions name."""
        statements = rollouts(c, arns, passed_roles)
        if size_of(statements) <= SHARED_FROM:
            return cls(statements=statements)
        name = arns.installation.names.rollouts_policy
        who = "builders" if c.builders.uses_code_build else "build hosts"
        description = f"Slipway's {who} and its follower roll out."
        return cls(shared=managed_policies(stack, "Rollouts", name, description, statements))


def rollouts(c: Configuration, arns: Arns, passed_roles: Sequence[str]) -> list[Allow]:
    """All that the rollouts of the configured pipelines take; `passed_roles`: their tasks'."""
    return [
        *_services(c, arns),
        *_balancing(c, arns),
        *_one_off_tasks(c, arns),
        *_alarms(c, arns),
        *_deregistering(c, arns),
        *_code_deploy(c, arns),
        *_scheduled_tasks(c, arns),
        *_containers_output(c, arns),
        *_pass(passed_roles),
    ]


def _services(c: Configuration, arns: Arns) -> list[Allow]:
    every = _every(c)
    services = sorted({f"{one.cluster}/{one.service}" for one in every})
    definitions = sorted({*_definitions(arns, every), *_companions_definitions(c, arns)})
    clusters = _clusters(arns, every)
    return [
        # AWS asks for the service and for its deployment or revision, where one is described.
        allow(
            "UpdateServices",
            [
                "ecs:DescribeServiceDeployments",
                "ecs:DescribeServiceRevisions",
                "ecs:DescribeServices",
                "ecs:ListServiceDeployments",
                "ecs:StopServiceDeployment",
                "ecs:UpdateService",
            ],
            [
                *(arns.prod("ecs", f"service/{name}") for name in services),
                *(arns.prod("ecs", f"service-*/{name}/*") for name in services),
            ],
            why="The service's own deployments and revisions: their ids are made by ECS.",
        ),
        allow("ReadDefinitions", ["ecs:DescribeTaskDefinition"], ["*"], why=NO_RESOURCES),
        allow("RegisterDefinitions", ["ecs:RegisterTaskDefinition"], definitions, why=ANY_REVISION),
        allow(
            "TagDefinitions",
            ["ecs:TagResource"],
            definitions,
            {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}},
            why=ANY_REVISION,
        ),
        allow(
            "FindTasks",
            ["ecs:ListTasks"],
            ["*"],
            {"ArnEquals": {"ecs:cluster": clusters}},
            why="AWS: asked for container instances; the cluster is a condition.",
        ),
        allow("ReadTasks", ["ecs:DescribeTasks"], _tasks(arns, every), why=TASKS_OF_CLUSTER),
    ]


def _scheduled_tasks(c: Configuration, arns: Arns) -> list[Allow]:
    """Only where a pipeline has scheduled tasks: these rules and schedules, and no others."""
    tasks = [one for pipeline in c.pipelines for one in scheduled_tasks_of(pipeline)]
    if not tasks:
        return []
    rules, schedules = scheduled_arns(arns, tasks)
    found: list[Allow] = []
    if rules:
        actions = ["events:ListTargetsByRule", "events:PutTargets"]
        found.append(allow("SetRuleTargets", actions, rules))
        found.append(_pass_target_roles("PassRuleRoles", "events", tasks, "rule"))
    if schedules:
        actions = ["scheduler:GetSchedule", "scheduler:UpdateSchedule"]
        found.append(allow("SetSchedules", actions, schedules))
        found.append(_pass_target_roles("PassScheduleRoles", "scheduler", tasks, "schedule"))
    return found


def _pass_target_roles(
    sid: str, to: str, tasks: Sequence[ScheduledTaskSettings], kind: str
) -> Allow:
    """AWS asks for it from who sets a target, and the target names its role again."""
    roles = sorted({str(one.target_role) for one in tasks if one.kind == kind})
    passed = {"StringEquals": {"iam:PassedToService": f"{to}.amazonaws.com"}}
    return allow(sid, ["iam:PassRole"], roles, passed)


def scheduled_arns(
    arns: Arns, tasks: Sequence[ScheduledTaskSettings]
) -> tuple[list[str], list[str]]:
    """The ARNs of rules and of schedules. That of a rule names its bus, but not the default one."""
    rules, schedules = set[str](), set[str]()
    for one in tasks:
        if one.kind == "schedule":
            name = f"schedule/{one.place or 'default'}/{one.name}"
            schedules.add(arns.prod("scheduler", name))
        else:
            place = f"{one.place}/" if one.place not in (None, "default") else ""
            rules.add(arns.prod("events", f"rule/{place}{one.name}"))
    return sorted(rules), sorted(schedules)


def _containers_output(c: Configuration, arns: Arns) -> list[Allow]:
    """What stopped containers said, where the configuration names the groups."""
    groups = sorted({group for one in _every(c) for group in one.log_groups})
    if not groups:
        return []
    return [
        allow(
            "ReadContainersOutput",
            ["logs:GetLogEvents"],
            [f"{arns.log_group(group)}:log-stream:*" for group in groups],
            why="Streams of these groups: their names end in a task's id, which ECS made.",
        )
    ]


def _balancing(c: Configuration, arns: Arns) -> list[Allow]:
    """Whether a balancer finds the new tasks healthy: without it only ECS's own end is success."""
    instances = {f"container-instance/{one.cluster}/*" for one in _every(c)}
    return [
        allow(
            "ReadTargetHealth",
            ["elasticloadbalancing:DescribeTargetHealth"],
            ["*"],
            why=NO_RESOURCES,
        ),
        allow(
            "ReadInstances",
            ["ecs:DescribeContainerInstances"],
            [arns.prod("ecs", name) for name in sorted(instances)],
            why="Container instances of this one cluster: a target is known by its instance.",
        ),
    ]


def _one_off_tasks(c: Configuration, arns: Arns) -> list[Allow]:
    """Only where a pipeline has a task before its deployment, one of its first service, or after
    it, one of its last. What runs one before may run one after.
    """
    before = [services_of(c, p)[0] for p in c.pipelines if p.rollout.pre_deploy]
    after = [services_of(c, p)[-1] for p in c.pipelines if p.rollout.post_deploy]
    after = [one for one in after if one not in before]
    return [*_run_and_stop("Before", before, arns), *_run_and_stop("After", after, arns)]


def _run_and_stop(when: str, services: Sequence[ServiceSettings], arns: Arns) -> list[Allow]:
    if not services:
        return []
    clusters = _clusters(arns, services)
    return [
        allow(
            f"Run{when}Deploy",
            ["ecs:RunTask"],
            _definitions(arns, services),
            {"ArnEquals": {"ecs:cluster": clusters}},
            why=ANY_REVISION,
        ),
        allow(
            f"Stop{when}Deploy",
            ["ecs:StopTask"],
            _tasks(arns, services),
            why=TASKS_OF_CLUSTER,
        ),
    ]


def _alarms(c: Configuration, arns: Arns) -> list[Allow]:
    """Only those that pipelines name; AWS tells of metric alarms alone to who may see these."""
    names = sorted({name for pipeline in c.pipelines for name in pipeline.rollout.alarms})
    if not names:
        return []
    alarms = [arns.prod("cloudwatch", f"alarm:{name}") for name in names]
    return [allow("ReadAlarms", ["cloudwatch:DescribeAlarms"], alarms)]


def _deregistering(c: Configuration, arns: Arns) -> list[Allow]:
    """A revision that failed goes, and old ones where a pipeline limits them: what other services
    of the cluster name stays.
    """
    services = _every(c)
    clusters = _clusters(arns, services)
    names = sorted({one.cluster for one in services})
    prunes = any(p.rollout.max_definitions is not None for p in c.pipelines)
    return [
        allow(
            "PruneDefinitions",
            ["ecs:DeregisterTaskDefinition", *(["ecs:ListTaskDefinitions"] if prunes else [])],
            ["*"],
            why=NO_RESOURCES,
        ),
        allow(
            "FindServices",
            ["ecs:ListServices"],
            ["*"],
            {"ArnEquals": {"ecs:cluster": clusters}},
            why="AWS: knows no resources; the cluster is a condition.",
        ),
        allow(
            "ReadNeighbours",
            ["ecs:DescribeServices"],
            [arns.prod("ecs", f"service/{name}/*") for name in names],
            why="A revision that any service of the cluster names is not deregistered.",
        ),
    ]


def _code_deploy(c: Configuration, arns: Arns) -> list[Allow]:
    """Only where a service's controller is CODE_DEPLOY."""
    used = [one.code_deploy for one in _every(c) if one.code_deploy]
    if not used:
        return []
    applications = sorted({arns.prod("codedeploy", f"application:{u.application}") for u in used})
    groups = sorted(
        {arns.prod("codedeploy", f"deploymentgroup:{u.application}/{u.group}") for u in used}
    )
    return [
        allow(
            "FollowDeployments",
            ["codedeploy:GetDeploymentTarget", "codedeploy:StopDeployment"],
            ["*"],
            why=NO_RESOURCES,
        ),
        allow(
            "HandOverAppSpec",
            ["codedeploy:GetApplicationRevision", "codedeploy:RegisterApplicationRevision"],
            applications,
        ),
        allow(
            "DeployThroughGroups",
            [
                "codedeploy:CreateDeployment",
                "codedeploy:GetDeployment",
                "codedeploy:GetDeploymentGroup",
            ],
            groups,
        ),
        allow(
            "ReadPace",
            ["codedeploy:GetDeploymentConfig"],
            [arns.prod("codedeploy", "deploymentconfig:*")],
            why="The pace is the group's to name, and may be one of AWS's own.",
        ),
    ]


def _every(c: Configuration, pipelines: Sequence[Pipeline] | None = None) -> list[ServiceSettings]:
    """All services that these pipelines deploy."""
    chosen = c.pipelines if pipelines is None else pipelines
    return [one for pipeline in chosen for one in services_of(c, pipeline)]


def _definitions(arns: Arns, services: Sequence[ServiceSettings]) -> list[str]:
    families = sorted({str(one.family) for one in services})
    return [arns.prod("ecs", f"task-definition/{family}:*") for family in families]


def _companions_definitions(c: Configuration, arns: Arns) -> list[str]:
    every = [one for p in c.pipelines for one in (*p.scheduled_tasks, *p.task_definitions)]
    return [arns.prod("ecs", f"task-definition/{one.family}:*") for one in every]


def _clusters(arns: Arns, services: Sequence[ServiceSettings]) -> list[str]:
    return sorted({arns.prod("ecs", f"cluster/{one.cluster}") for one in services})


def _tasks(arns: Arns, services: Sequence[ServiceSettings]) -> list[str]:
    return sorted({arns.prod("ecs", f"task/{one.cluster}/*") for one in services})


def _pass(roles: Sequence[str]) -> list[Allow]:
    if not roles:
        return []
    only_to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    return [allow("PassTaskRoles", ["iam:PassRole"], roles, only_to_tasks)]
