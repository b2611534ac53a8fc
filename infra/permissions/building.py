"""What whoever builds may do, host and builder alike: what the agent does, action by action."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aws_cdk import aws_s3_assets as s3_assets

from infra.permissions.arns import Arns
from infra.permissions.rollouts import PUBLISH, TABLE, Rollouts
from infra.permissions.statements import (
    NO_RESOURCES,
    PULL,
    Allow,
    allow,
    assume,
    decrypt_objects,
    decrypt_parameters,
    decrypt_secrets,
    find_queues,
    publish,
    read_parameters,
    send_to,
    use_table,
    write_logs,
)
from slipway.configuration import Configuration, is_uri

MADE_END = "The end of a secret's ARN is six characters that Secrets Manager made."
SIX_CHARACTERS = re.compile(r"-[A-Za-z0-9]{6}\Z")


def building(
    c: Configuration,
    arns: Arns,
    *,
    agent: s3_assets.Asset,
    rollouts: Rollouts,
    use_key: Sequence[Allow],
    receives: bool,
) -> list[Allow]:
    """Fetch, build, push, roll out and tell. `receives`: take requests off the build queue."""
    names = arns.installation.names
    return [
        *(_receive(arns) if receives else ()),
        *_requests(arns, receives=receives),
        *use_key,
        use_table(arns.table, TABLE),
        publish(PUBLISH, [arns.topic(names.close_topic), arns.topic(names.request_topic)]),
        assume("FetchAsSource", arns.source_role),
        *_images(c, arns),
        *rollouts.statements,
        write_logs(arns.log_group(names.build_log_group)),
        *_agent(arns, agent),
        *_secrets(c, arns),
    ]


def _receive(arns: Arns) -> list[Allow]:
    return [
        allow(
            "WorkOnRequests",
            ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
            [arns.queue(arns.installation.names.build_queue)],
        )
    ]


def _requests(arns: Arns, *, receives: bool) -> list[Allow]:
    names = arns.installation.names
    return [
        find_queues(
            *([arns.queue(names.build_queue)] if receives else ()),
            arns.queue(names.build_dead_letters),
            arns.queue(names.follow_queue),
        ),
        send_to(arns.queue(names.build_dead_letters), "GiveUpRequests"),
        send_to(arns.queue(names.follow_queue), "HandOverRollouts"),
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
    hub = secret_forms(c.docker_hub.secret) if c.docker_hub else []
    keys, region = arns.any_key_anywhere, arns.installation.region
    statements = []
    if parameters:
        statements.append(read_parameters("ReadBuildParameters", parameters))
        statements.append(decrypt_parameters(parameters, keys, region))
    for sid, of in (("ReadBuildSecrets", secrets), ("ReadDockerHubSecret", hub)):
        if of:
            statements.append(allow(sid, ["secretsmanager:GetSecretValue"], of, why=MADE_END))
    if secrets or hub:
        statements.append(decrypt_secrets([*secrets, *hub], keys, region))
    return statements


def secret_forms(arn: str) -> list[str]:
    """The ARNs that IAM may ask for where the configuration names the secret `arn`.

    IAM asks for the whole ARN, which ends in `-` and six characters that Secrets Manager made; the
    configuration may leave them out. Six characters after a `-` may be those, or the name's own
    end (`npm-secret`): then both are meant.
    """
    with_suffix = f"{arn}-??????"
    return [arn, with_suffix] if SIX_CHARACTERS.search(arn) else [with_suffix]
