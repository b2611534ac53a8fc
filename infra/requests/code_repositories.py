"""CodeCommit repositories, and how the trigger function hears of their pushes."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_codecommit as codecommit
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.kept import KEPT
from infra.permissions.arns import Arns
from infra.permissions.statements import Allow, allow

BRANCHES_A_TRIGGER = 10
"""AWS: a trigger names up to 10 branches, a repository has up to 10 triggers."""


class CreatedRepository(Construct):
    """A repository of ours, with triggers on its production branches. Kept when the stack goes."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        branches: Sequence[str],
        installation: str,
        arns: Arns,
        trigger: lambda_.Function,
    ) -> None:
        super().__init__(scope, construct_id)
        permission = lambda_.CfnPermission(
            self,
            "Permission",
            action="lambda:InvokeFunction",
            function_name=trigger.function_arn,
            principal="codecommit.amazonaws.com",
            source_arn=arns.code_repository(name),
            source_account=arns.installation.dev_account,
        )
        self.repository = codecommit.CfnRepository(
            self,
            "Repository",
            repository_name=name,
            repository_description="Pushes to its production branches are deployed by Slipway.",
            triggers=[
                codecommit.CfnRepository.RepositoryTriggerProperty(
                    name=f"{installation}-{number}",
                    destination_arn=trigger.function_arn,
                    branches=list(group),
                    events=["createReference", "updateReference"],
                )
                for number, group in enumerate(_groups(sorted(branches)), start=1)
            ],
        )
        self.repository.apply_removal_policy(KEPT)
        self.repository.add_resource_dependency(permission)


class ImportedRepositories(Construct):
    """Repositories that exist: CloudFormation cannot give them a trigger, EventBridge can tell."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Sequence[str],
        branches: Sequence[str],
        arns: Arns,
        trigger: lambda_.Function,
        undelivered: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        self.rule = events.Rule(
            self,
            "Pushes",
            description="Pushes to production branches of imported repositories.",
            event_pattern=events.EventPattern(
                source=["aws.codecommit"],
                detail_type=["CodeCommit Repository State Change"],
                resources=[arns.code_repository(name) for name in names],
                detail={
                    "event": ["referenceCreated", "referenceUpdated"],
                    "referenceType": ["branch"],
                    "referenceName": sorted(branches),
                },
            ),
            targets=[targets.LambdaFunction(trigger, dead_letter_queue=undelivered)],
        )


def _groups(branches: Sequence[str]) -> list[Sequence[str]]:
    size = BRANCHES_A_TRIGGER
    return [branches[start : start + size] for start in range(0, len(branches), size)]


def pull_from(arns: Arns, names: Sequence[str]) -> Allow:
    """GitPull, and nothing else, on the repositories."""
    return allow("Fetch", ["codecommit:GitPull"], [arns.code_repository(name) for name in names])


def read_tip(arns: Arns, names: Sequence[str]) -> Allow:
    """GetBranch, and nothing else, on the repositories."""
    repositories = [arns.code_repository(name) for name in names]
    return allow("ReadTips", ["codecommit:GetBranch"], repositories)


def compare(arns: Arns, names: Sequence[str]) -> list[Allow]:
    """GetDifferences on the repositories of pipelines with `paths`; nothing where there is none."""
    repositories = [arns.code_repository(name) for name in names]
    action = ["codecommit:GetDifferences"]
    return [allow("CompareCommits", action, repositories)] if repositories else []
