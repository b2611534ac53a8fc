"""The dev account's stack: repositories, the trigger, and the two roles that prod assumes."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.function import SlipwayFunction
from infra.permissions.arns import Arns
from infra.permissions.roles import slipway_role
from infra.permissions.statements import Allow, publish, trust_roles, use_key_named
from infra.requests.code_repositories import (
    CreatedRepository,
    ImportedRepositories,
    compare,
    pull_from,
    read_tip,
)
from infra.shared import Common, Shared
from infra.watching.alarms import Alarms
from slipway.configuration import Configuration
from slipway.contracts.installation import Installation


class DevStack(cdk.Stack):
    """What a push meets first. Needs nothing of the prod stack to be there."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        installation: Installation,
        common: Common,
        env: cdk.Environment,
        synthesizer: cdk.IStackSynthesizer,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=env,
            synthesizer=synthesizer,
            description=f"Slipway {installation.name}: a push becomes a build request.",
        )
        self._configuration = configuration
        self._arns = Arns(installation)
        self._names = installation.names
        self._shared = Shared.of(self, common, failures=self._names.failed_pushes)
        self.trigger = SlipwayFunction(
            self,
            "Trigger",
            name="trigger",
            shared=self._shared,
            description="Slipway: a push event becomes build requests.",
            statements=self._publishing(),
            timeout=cdk.Duration.seconds(30),
        )
        self._repositories()
        self._roles()
        self._watch()
        self._outputs()

    def _publishing(self) -> list[Allow]:
        """What the trigger does in prod: publish to one topic, under prod's key if it has one."""
        statements = [publish("PublishRequests", [self._arns.topic(self._names.request_topic)])]
        if self._configuration.customer_key:
            region = self._configuration.prod_region
            statements.append(use_key_named(self._names.key_alias, self._arns.any_key, region))
        return statements

    def _repositories(self) -> None:
        created: dict[str, set[str]] = {}
        imported: dict[str, set[str]] = {}
        for pipeline in self._configuration.pipelines:
            of = created if pipeline.repository.create else imported
            of.setdefault(pipeline.repository.name, set()).add(pipeline.branch)
        for name, branches in created.items():
            CreatedRepository(
                self,
                f"Repository-{name}",
                name=name,
                branches=sorted(branches),
                installation=self._names.installation,
                arns=self._arns,
                trigger=self.trigger.function,
            )
        if imported:
            ImportedRepositories(
                self,
                "Imported",
                names=sorted(imported),
                branches=sorted(set().union(*imported.values())),
                arns=self._arns,
                trigger=self.trigger.function,
                undelivered=self._shared.undelivered,
            )

    def _watch(self) -> None:
        """A push that could not be handed on: said where all else is said, in prod.

        CloudWatch publishes only to topics of its own region.
        """
        if self._configuration.dev_region != self._configuration.prod_region:
            return
        topic = sns.Topic.from_topic_arn(
            self, "AlarmTopic", self._arns.topic(self._names.alarm_topic)
        )
        alarms = Alarms(self, "Alarms", installation=self._names.installation, topic=topic)
        alarms.not_empty(
            "failed-pushes",
            self._shared.failures,
            "A push could not be handed on: the trigger function's log says why. "
            "The reconciler deploys it within the half hour.",
        )

    @property
    def _who_builds(self) -> str:
        return "builders" if self._configuration.builders.uses_code_build else "build hosts"

    def _roles(self) -> None:
        repositories = sorted({p.repository.name for p in self._configuration.pipelines})
        submodules = {name for p in self._configuration.pipelines for name in p.submodules}
        by_path = sorted({p.repository.name for p in self._configuration.pipelines if p.paths})
        compares = compare(self._arns, by_path)
        askers = [self._arns.prod_role(self._names.function(n)) for n in ("reconciler", "follower")]
        self._role(
            "SourceRole",
            name=self._names.source_role,
            trusted=self._arns.building_roles,
            description=f"Slipway's {self._who_builds} fetch what they build.",
            statements=[pull_from(self._arns, sorted({*repositories, *submodules})), *compares],
        )
        self._role(
            "TipRole",
            name=self._names.tip_role,
            trusted=[*askers, *self._configuration.dev.operators],
            description="Slipway's reconciler and follower compare the tips with what runs.",
            statements=[read_tip(self._arns, repositories), *compares],
        )

    def _role(
        self,
        construct_id: str,
        *,
        name: str,
        trusted: Sequence[str],
        description: str,
        statements: Sequence[Allow],
    ) -> iam.Role:
        prod = self._configuration.prod.account
        return slipway_role(
            self,
            construct_id,
            name=name,
            description=description,
            trusted=trust_roles(prod, self._configuration.partition, trusted),
            statements=statements,
            # AWS: a session of a role that a role assumed lasts an hour at most.
            max_session=cdk.Duration.hours(1),
        )

    def _outputs(self) -> None:
        cdk.CfnOutput(self, "TriggerFunction", value=self.trigger.function.function_name)
        cdk.CfnOutput(
            self,
            "NextStep",
            value=f"Deploy {self._names.installation}-prod in account "
            f"{self._configuration.prod.account}; then push to a production branch. "
            "'slipway doctor' checks the whole.",
        )
