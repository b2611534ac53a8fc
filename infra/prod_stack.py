"""The prod account's stack: requests, hosts, who wakes and stops them, the follower, notices.

Read `ProdStack.__init__` from top to bottom: it is the way of a request.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.findings import accept_checkov
from infra.following.follow_queue import FollowQueue
from infra.following.follower import Follower
from infra.function import retention_of
from infra.hosts.assets import Staged
from infra.hosts.build_hosts import AgentRelease, BuildHosts
from infra.hosts.host_role import HostRole
from infra.hosts.image_repositories import ImageRepositories
from infra.hosts.keepers import HostKeepers
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
        network = HostNetwork(self, "Network", configuration=configuration, zone=place.zone)
        sample = self._sample(network)
        rollouts = self._rollouts(sample)
        role = self._host_role(staged, rollouts)
        self.hosts = BuildHosts(
            self,
            "Hosts",
            configuration=configuration,
            names=self._names,
            network=network,
            place=place,
            profile=role.profile.ref,
        )
        self.keepers = HostKeepers(
            self,
            shared=shared,
            arns=self._arns,
            instances=self.hosts.instances,
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
            hosts={f"host-{n}": i.ref for n, i in enumerate(self.hosts.instances, 1)},
            requests=self.requests,
            follow=self.follow,
            topics=self.topics,
            notices=self.notices,
            reconciler=self.keepers.reconciler,
        )
        if configuration.operator_policies:
            self._operators()
        self._outputs()

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

    def _sample(self, network: HostNetwork) -> SampleServices:
        return SampleServices(
            self,
            "Sample",
            configuration=self._configuration,
            names=self._names,
            arns=self._arns,
            network=network,
        )

    def _rollouts(self, sample: SampleServices) -> Rollouts:
        """What hosts and follower may do, and the roles that they pass on to services' tasks."""
        configured = {role for p in self._configuration.pipelines for role in p.service.roles}
        passed_roles = sorted(configured | set(sample.passed_roles))
        return Rollouts.of(self, self._configuration, self._arns, passed_roles)

    def _host_role(self, staged: Staged, rollouts: Rollouts) -> HostRole:
        """The role of the hosts, which reads the agent's archive and passes on services' roles."""
        release = AgentRelease(
            self,
            "Agent",
            names=self._names,
            archive=staged.agent,
            sha256=staged.agent_sha256,
        )
        return HostRole(
            self,
            "HostRole",
            configuration=self._configuration,
            installation=self._installation,
            agent=release.asset,
            rollouts=rollouts,
            use_key=self._shared.use_key,
        )

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

    def _outputs(self) -> None:
        values = {
            "Table": self._names.table,
            "BuildQueueUrl": self.requests.queue.queue_url,
            "RequestTopicArn": self.requests.topic.topic.topic_arn,
            "CloseTopicArn": self.topics.close.topic.topic_arn,
            "HostIds": cdk.Fn.join(",", [instance.ref for instance in self.hosts.instances]),
        }
        for key, value in values.items():
            cdk.CfnOutput(self, key, value=value)
        cdk.CfnOutput(
            self,
            "NextStep",
            value="'slipway webhook set' stores the Slack webhook; then deploy "
            f"{self._names.installation}-dev in account {self._configuration.dev.account} and "
            "push. 'slipway doctor' checks the whole.",
        )
