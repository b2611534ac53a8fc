"""The prod account's stack: requests, hosts, who wakes and stops them, the follower, notices.

Read `ProdStack.__init__` from top to bottom: it is the way of a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.builders.builder_role import builder_role
from infra.builders.project import BuilderProject
from infra.findings import accept_checkov
from infra.following.follow_queue import FollowQueue
from infra.following.follower import Follower
from infra.function import retention_of
from infra.hosts.assets import Staged
from infra.hosts.build_hosts import AgentRelease, BuildHosts
from infra.hosts.host_role import HostRole
from infra.hosts.image_repositories import ImageRepositories
from infra.hosts.keepers import Keepers
from infra.hosts.network import HostNetwork
from infra.notices.notice_topics import NoticeTopics
from infra.notices.notices import Notices
from infra.permissions.arns import Arns
from infra.permissions.customer_key import CustomerKey
from infra.permissions.operators import OperatorPolicies
from infra.permissions.rollouts import Rollouts
from infra.requests.request_queue import Requests
from infra.requests.table import DeploymentsTable
from infra.sample import SampleServices
from infra.shared import Common, Shared
from infra.watching.watch import Watch
from slipway.configuration import Configuration
from slipway.configuration.place import Place
from slipway.contracts.installation import Installation


class ProdStack(cdk.Stack):
    """What turns a build request into a running service. Needs nothing of the dev stack."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        installation: Installation,
        common: Common,
        staged: Staged,
        place: Place,
        env: cdk.Environment,
        synthesizer: cdk.IStackSynthesizer,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=env,
            synthesizer=synthesizer,
            description=f"Slipway {installation.name}: a build request becomes a running service.",
        )
        self._configuration, self._installation = configuration, installation
        self._names, self._arns = installation.names, Arns(installation)
        self._shared = shared = Shared.of(
            self,
            common,
            failures=self._names.failures,
            undelivered=self._names.undelivered,
            customer_key=self._customer_key(),
        )

        DeploymentsTable(self, "Deployments", name=self._names.table)
        ImageRepositories(self, "Images", configuration=configuration)
        self._build_logs()
        self.requests = Requests(self, shared=shared, arns=self._arns)
        self.follow = FollowQueue(self, shared=shared, request_topic=self.requests.topic)
        self.topics = NoticeTopics(self, shared=shared, arns=self._arns)
        network = self._network(place)
        rollouts = self._rollouts(self._sample(network))
        release = self._release(staged)
        instances = self._hosts(network, place, release, rollouts)
        if configuration.builders.uses_code_build:
            self._builders(release, rollouts)
        self.keepers = Keepers(
            self,
            shared=shared,
            arns=self._arns,
            instances=instances,
            requests=self.requests,
            follow=self.follow,
            close_topic=self.topics.close,
        )
        self.follower = Follower(
            self,
            shared=shared,
            arns=self._arns,
            rollouts=rollouts,
            follow=self.follow,
        )
        self.notices = Notices(self, shared=shared, arns=self._arns, topics=self.topics)
        Watch(
            self,
            shared=shared,
            hosts={f"host-{n}": i.ref for n, i in enumerate(instances, 1)},
            requests=self.requests,
            follow=self.follow,
            topics=self.topics,
            notices=self.notices,
            reconciler=self.keepers.reconciler,
        )
        if configuration.operator_policies:
            self._operators()
        self._outputs(instances)

    def _customer_key(self) -> CustomerKey | None:
        if not self._configuration.customer_key:
            return None
        return CustomerKey(self, "CustomerKey", arns=self._arns)

    def _build_logs(self) -> None:
        group = logs.LogGroup(
            self,
            "BuildLogs",
            log_group_name=self._names.build_log_group,
            retention=retention_of(self._configuration.lambdas.log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        accept_checkov(group, {"CKV_AWS_158": "CloudWatch's own key; secrets are not logged."})

    def _network(self, place: Place) -> HostNetwork | None:
        """For hosts and sample services; where there are neither, there is none."""
        if not self._configuration.needs_network:
            return None
        return HostNetwork(self, "Network", configuration=self._configuration, zone=place.zone)

    def _sample(self, network: HostNetwork | None) -> SampleServices:
        return SampleServices(
            self,
            "Sample",
            configuration=self._configuration,
            arns=self._arns,
            network=network,
        )

    def _rollouts(self, sample: SampleServices) -> Rollouts:
        """What hosts and follower may do, and the roles that they pass on to their tasks."""
        configured: set[str] = set()
        for pipeline in self._configuration.pipelines:
            for service in pipeline.each_service:
                configured.update(service.roles)
            for one in (*pipeline.scheduled_tasks, *pipeline.task_definitions):
                configured.update(one.roles)
        passed_roles = sorted(configured | set(sample.passed_roles))
        return Rollouts.of(self, self._configuration, self._arns, passed_roles)

    def _release(self, staged: Staged) -> AgentRelease:
        """The agent's archive, which hosts and builders fetch by the same parameter and hash."""
        hosts = self._configuration.hosts
        return AgentRelease(
            self,
            "Agent",
            names=self._names,
            archive=staged.agent,
            sha256=staged.agent_sha256,
            who="build hosts install when they wake" if hosts else "builders run",
        )

    def _hosts(
        self,
        network: HostNetwork | None,
        place: Place,
        release: AgentRelease,
        rollouts: Rollouts,
    ) -> Sequence[ec2.CfnInstance]:
        """The hosts and their role; none where CodeBuild alone builds."""
        c = self._configuration
        if c.hosts is None or network is None or place.ami is None:
            return ()
        role = HostRole(self, "HostRole", **self._role_of(release, rollouts))
        return BuildHosts(
            self,
            "Hosts",
            configuration=c,
            hosts=c.hosts,
            names=self._names,
            network=network,
            place=place,
            profile=role.profile.ref,
        ).instances

    def _builders(self, release: AgentRelease, rollouts: Rollouts) -> None:
        """CodeBuild's project and the role of its builds."""
        BuilderProject(
            self,
            "Builder",
            configuration=self._configuration,
            names=self._names,
            role=builder_role(self, "BuilderRole", **self._role_of(release, rollouts)),
        )

    def _role_of(self, release: AgentRelease, rollouts: Rollouts) -> dict[str, Any]:
        """What the role of whoever builds is made of."""
        return {
            "configuration": self._configuration,
            "installation": self._installation,
            "agent": release.asset,
            "rollouts": rollouts,
            "use_key": self._shared.use_key,
        }

    def _operators(self) -> None:
        """What `slipway` does, as policies for the roles of who runs it."""
        OperatorPolicies(
            self,
            "Operators",
            installation=self._installation,
            dead_letters=self._dead_letters(),
            use_key=self._shared.use_key,
        )

    def _dead_letters(self) -> list[str]:
        """The queues that `slipway redrive` empties."""
        names = self._names
        return [
            names.build_dead_letters,
            names.follow_dead_letters,
            names.notices_dead_letters,
            names.failures,
            names.undelivered,
        ]

    def _outputs(self, instances: Sequence[ec2.CfnInstance]) -> None:
        values = {
            "Table": self._names.table,
            "BuildQueueUrl": self.requests.queue.queue_url,
            "RequestTopicArn": self.requests.topic.topic.topic_arn,
            "CloseTopicArn": self.topics.close.topic.topic_arn,
        }
        if instances:
            values["HostIds"] = cdk.Fn.join(",", [instance.ref for instance in instances])
        if self._configuration.builders.uses_code_build:
            values["BuilderProject"] = self._names.builder_project
        for key, value in values.items():
            cdk.CfnOutput(self, key, value=value)
        cdk.CfnOutput(
            self,
            "NextStep",
            value="'slipway webhook set' stores the Slack webhook; then deploy "
            f"{self._names.installation}-dev in account {self._configuration.dev.account} and "
            "push. 'slipway doctor' checks the whole.",
        )
