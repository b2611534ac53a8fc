"""What a build host may do: what the agent does, action by action."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.findings import accept_checkov
from infra.permissions.arns import Arns
from infra.permissions.roles import slipway_role
from infra.permissions.statements import (
    NO_RESOURCES,
    PULL,
    Allow,
    allow,
    assume,
    decrypt_objects,
    decrypt_parameters,
    decrypt_secrets,
    publish,
    read_parameters,
    send_to,
    use_table,
    write_logs,
)
from slipway.configuration import Configuration, Pipeline, is_uri
from slipway.configuration.resolve import cluster_of, family_of, log_groups_of, service_of
from slipway.contracts.installation import Installation

ANY_REVISION = "Revisions of this one family: their numbers are made by ECS."
MADE_END = "The end of a secret's ARN is six characters that Secrets Manager made."
SIX_CHARACTERS = re.compile(r"-[A-Za-z0-9]{6}\Z")
TASKS_OF_CLUSTER = "Tasks of this one cluster: their ids are made by ECS."


class HostRole(Construct):
    """The hosts' role and instance profile. Attributes: `role`, `profile`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        installation: Installation,
        agent: s3_assets.Asset,
        passed_roles: list[str],
        use_key: Sequence[Allow] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        c, arns, names = configuration, Arns(installation), installation.names
        statements = [
            *_requests(arns),
            *use_key,
            use_table(
                arns.table,
                (
                    "BatchGetItem",
                    "ConditionCheckItem",
                    "DeleteItem",
                    "GetItem",
                    "PutItem",
                    "Query",
                    "UpdateItem",
                ),
            ),
            publish("PublishNotices", [arns.topic(names.close_topic)]),
            assume("FetchAsSource", arns.source_role),
            *_images(c, arns),
            *_rollouts(c, arns),
            write_logs(arns.log_group(names.build_log_group)),
            *_containers_output(c, arns),
            *_agent(arns, agent),
            *_secrets(c, arns),
            *_session_manager(),
        ]
        if passed_roles:
            statements.append(_pass(passed_roles))
        self.role = slipway_role(
            self,
            "Role",
            name=names.host_role,
            description="Slipway's build hosts.",
            trusted=iam.ServicePrincipal("ec2.amazonaws.com"),
            statements=statements,
        )
        accept_checkov(
            self.role,
            {"CKV_AWS_111": "Writes without a named resource: only where AWS knows no name."},
        )
        self.profile = iam.CfnInstanceProfile(
            self,
            "Profile",
            instance_profile_name=names.host_role,
            roles=[self.role.role_name],
        )


def _requests(arns: Arns) -> list[Allow]:
    names = arns.installation.names
    return [
        allow(
            "WorkOnRequests",
            ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
            [arns.queue(names.build_queue)],
        ),
        allow(
            "FindQueues",
            ["sqs:GetQueueUrl"],
            [arns.queue(names.build_queue), arns.queue(names.build_dead_letters)],
        ),
        send_to(arns.queue(names.build_dead_letters), "GiveUpRequests"),
    ]


def _images(c: Configuration, arns: Arns) -> list[Allow]:
    repositories = sorted({i.repository.name for p in c.pipelines for i in p.images})
    return [
        allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"], why=NO_RESOURCES),
        allow(
            "PushImages",
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            [arns.image_repository(name) for name in repositories],
        ),
        *_base_images(c, arns),
    ]


def _base_images(c: Configuration, arns: Arns) -> list[Allow]:
    """Private ECR repositories that Dockerfiles name after FROM, perhaps of other accounts."""
    named = {base for p in c.pipelines for i in p.images for base in i.base_repositories}
    repositories = sorted(
        arns.image_repository_of(base) if is_uri(base) else arns.image_repository(base)
        for base in named
    )
    return [allow("PullBaseImages", PULL, repositories)] if repositories else []


def _rollouts(c: Configuration, arns: Arns) -> list[Allow]:
    services = sorted({f"{cluster_of(c, p)}/{service_of(p)}" for p in c.pipelines})
    definitions = _definitions(c, arns, c.pipelines)
    clusters = _clusters(c, arns, c.pipelines)
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
        allow(
            "ReadTasks", ["ecs:DescribeTasks"], _tasks(c, arns, c.pipelines), why=TASKS_OF_CLUSTER
        ),
        *_balancing(c, arns),
        *_one_off_tasks(c, arns),
        *_pruning(c, arns),
        *_code_deploy(c, arns),
    ]


def _containers_output(c: Configuration, arns: Arns) -> list[Allow]:
    """What stopped containers said, where the configuration names the groups."""
    groups = sorted({group for p in c.pipelines for group in log_groups_of(c, p)})
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
    instances = {f"container-instance/{cluster_of(c, p)}/*" for p in c.pipelines}
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
    """Only where a pipeline has a task before its deployment."""
    pipelines = [p for p in c.pipelines if p.rollout.pre_deploy]
    if not pipelines:
        return []
    clusters = _clusters(c, arns, pipelines)
    return [
        allow(
            "RunBeforeDeploy",
            ["ecs:RunTask"],
            _definitions(c, arns, pipelines),
            {"ArnEquals": {"ecs:cluster": clusters}},
            why=ANY_REVISION,
        ),
        allow(
            "StopBeforeDeploy",
            ["ecs:StopTask"],
            _tasks(c, arns, pipelines),
            why=TASKS_OF_CLUSTER,
        ),
    ]


def _pruning(c: Configuration, arns: Arns) -> list[Allow]:
    """Only where a pipeline limits its revisions: what other services of the cluster name stays."""
    pipelines = [p for p in c.pipelines if p.rollout.max_definitions is not None]
    if not pipelines:
        return []
    clusters = _clusters(c, arns, pipelines)
    names = sorted({cluster_of(c, p) for p in pipelines})
    return [
        allow(
            "PruneDefinitions",
            ["ecs:DeregisterTaskDefinition", "ecs:ListTaskDefinitions"],
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
            why="A revision that any service of the cluster names is not pruned.",
        ),
    ]


def _code_deploy(c: Configuration, arns: Arns) -> list[Allow]:
    """Only where a service's controller is CODE_DEPLOY."""
    used = [p.service.code_deploy for p in c.pipelines if p.service.code_deploy]
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


def _definitions(c: Configuration, arns: Arns, pipelines: Sequence[Pipeline]) -> list[str]:
    families = sorted({family_of(c, p) for p in pipelines})
    return [arns.prod("ecs", f"task-definition/{family}:*") for family in families]


def _clusters(c: Configuration, arns: Arns, pipelines: Sequence[Pipeline]) -> list[str]:
    return sorted({arns.prod("ecs", f"cluster/{cluster_of(c, p)}") for p in pipelines})


def _tasks(c: Configuration, arns: Arns, pipelines: Sequence[Pipeline]) -> list[str]:
    return sorted({arns.prod("ecs", f"task/{cluster_of(c, p)}/*") for p in pipelines})


def _pass(roles: list[str]) -> Allow:
    return allow(
        "PassTaskRoles",
        ["iam:PassRole"],
        roles,
        {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    )


def _agent(arns: Arns, agent: s3_assets.Asset) -> list[Allow]:
    partition = arns.installation.partition
    archive = f"arn:{partition}:s3:::{agent.s3_bucket_name}/{agent.s3_object_key}"
    return [
        read_parameters("LearnOfAgent", [arns.parameter(arns.installation.names.agent_parameter)]),
        allow("FetchAgent", ["s3:GetObject"], [archive]),
        # Where the account was bootstrapped with a key of the customer's.
        decrypt_objects([archive], arns.any_key_anywhere, arns.installation.region),
    ]


def _secrets(c: Configuration, arns: Arns) -> list[Allow]:
    sources = sorted({s for p in c.pipelines for i in p.images for s in i.build_secrets.values()})
    parameters = [arns.parameter(name) for name in sources if name.startswith("/")]
    secrets = [form for name in sources if name.startswith("arn:") for form in secret_forms(name)]
    keys, region = arns.any_key_anywhere, arns.installation.region
    statements = []
    if parameters:
        statements.append(read_parameters("ReadBuildParameters", parameters))
        statements.append(decrypt_parameters(parameters, keys, region))
    if secrets:
        read = ["secretsmanager:GetSecretValue"]
        statements.append(allow("ReadBuildSecrets", read, secrets, why=MADE_END))
        statements.append(decrypt_secrets(secrets, keys, region))
    return statements


def secret_forms(arn: str) -> list[str]:
    """The ARNs that IAM may ask for where the configuration names the secret `arn`.

    IAM asks for the whole ARN, which ends in `-` and six characters that Secrets Manager made; the
    configuration may leave them out. Six characters after a `-` may be those, or the name's own
    end (`npm-secret`): then both are meant.
    """
    with_suffix = f"{arn}-??????"
    return [arn, with_suffix] if SIX_CHARACTERS.search(arn) else [with_suffix]


def _session_manager() -> list[Allow]:
    """Session Manager's part of AmazonSSMManagedInstanceCore, without its GetParameter on all."""
    return [
        allow(
            "SessionManager",
            [
                "ssm:UpdateInstanceInformation",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            ["*"],
            why="AWS: ssmmessages know no resources; and the host registers before it has an ARN.",
        )
    ]
