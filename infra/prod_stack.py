"""The prod account's stack: requests, build hosts, the functions that wake and stop them, notices.

Read `ProdStack.__init__` from top to bottom: it is the way of a request.
"""

from __future__ import annotations

from dataclasses import replace

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.findings import accept_checkov
from infra.function import Shared, SlipwayFunction, retention_of
from infra.hosts.assets import Staged
from infra.hosts.build_hosts import AgentRelease, BuildHosts
from infra.hosts.host_role import HostRole
from infra.hosts.image_repositories import ImageRepositories
from infra.hosts.network import HostNetwork
from infra.permissions.arns import Arns
from infra.permissions.customer_key import CustomerKey
from infra.permissions.operators import OperatorPolicies
from infra.permissions.statements import (
    Allow,
    assume,
    count_messages,
    decrypt_parameters,
    publish,
    read_parameters,
    see_hosts,
    start_hosts,
    stop_hosts,
    trust_roles,
    use_table,
    work_on_queue,
)
from infra.requests.queues import dead_letter_queue, work_queue
from infra.requests.table import DeploymentsTable
from infra.requests.topics import Topic
from infra.sample import SampleServices
from infra.watching.alarms import Alarms
from infra.watching.dashboard import Dashboard
from slipway.configuration import Configuration
from slipway.configuration.place import Place
from slipway.contracts.installation import Installation

MAX_RECEIVES = 100
"""The backstop for a request that kills the agent; what fails is given up long before."""

NOTICE_VISIBILITY = cdk.Duration.minutes(5)
"""Six times the notifier's timeout: what AWS advises for a queue that feeds a function."""

NOTICE_RECEIVES = 200
"""The notifier lets a notice that Slack does not take come back after 3 s, 6 s … 15 minutes.

200 receives are two days: an outage of a day delays notices and loses none. What nobody can read
uses them up 5 s apart and lies among the dead letters after a quarter of an hour.
"""

NOTICE_BATCH = 10

STOPPER_TIMEOUT = cdk.Duration.seconds(50)
"""Of whoever may claim a stop: shorter than limits.stopClaim, which must outlive the claimer."""

NOTIFIED_KINDS = ("deployment", "alert")


class ProdStack(cdk.Stack):
    """What turns a build request into a running service. Needs nothing of the dev stack."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        configuration: Configuration,
        installation: Installation,
        shared: Shared,
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
        self._configuration = configuration
        self._names = installation.names
        self._arns = Arns(installation)
        key = (
            CustomerKey(self, "CustomerKey", arns=self._arns)
            if configuration.customer_key
            else None
        )
        self._shared = replace(shared, customer_key=key)

        DeploymentsTable(self, "Deployments", name=self._names.table)
        ImageRepositories(self, "Images", configuration=configuration)
        self._build_logs()
        self._request_queue()
        self._topics()
        network = HostNetwork(self, "Network", configuration=configuration, zone=place.zone)
        sample = SampleServices(
            self,
            "Sample",
            configuration=configuration,
            names=self._names,
            arns=self._arns,
            network=network,
        )
        self._hosts(installation, network, staged, place.ami, sample.passed_roles)
        self._starter()
        self._stopper()
        self._reconciler(installation)
        self._notifier(installation)
        self._watch()
        if configuration.operator_policies:
            self._operators(installation)
        self._outputs()

    def _build_logs(self) -> None:
        group = logs.LogGroup(
            self,
            "BuildLogs",
            log_group_name=self._names.build_log_group,
            retention=retention_of(self._configuration.lambdas.log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        accept_checkov(group, {"CKV_AWS_158": "CloudWatch's own key; secrets are not logged."})

    def _request_queue(self) -> None:
        differences = self._shared.differences
        self.build_dead_letters = dead_letter_queue(
            self,
            "BuildDeadLetters",
            name=self._names.build_dead_letters,
            differences=differences,
            key=self._shared.key,
        )
        self.build_queue = work_queue(
            self,
            "Build",
            name=self._names.build_queue,
            visibility=cdk.Duration.seconds(self._configuration.limits.visibility),
            dead_letters=self.build_dead_letters,
            max_receive_count=MAX_RECEIVES,
            differences=differences,
            key=self._shared.key,
        )

    def _topics(self) -> None:
        self.request_topic = self._topic("Request", self._names.request_topic)
        self.request_topic.let_role_publish(
            "PushesOfDev",
            trust_roles(
                self._configuration.dev.account,
                self._configuration.partition,
                [self._arns.trigger_role],
            ),
        )
        self.request_topic.to_queue("build", self.build_queue)
        self.close_topic = self._topic("Close", self._names.close_topic)
        self.alarm_topic = self._topic("Alarm", self._names.alarm_topic)
        self.alarm_topic.let_alarms_publish(
            "AlarmsOfProd",
            self.account,
            self._arns.prod("cloudwatch", f"alarm:{self._names.installation}-*"),
        )
        if self._configuration.dev.account != self._configuration.prod.account:
            dev = self._configuration.dev.account
            pattern = self._arns.dev("cloudwatch", f"alarm:{self._names.installation}-*")
            self.alarm_topic.let_alarms_publish("AlarmsOfDev", dev, pattern)

    def _topic(self, construct_id: str, name: str) -> Topic:
        return Topic(
            self,
            construct_id,
            name=name,
            names=self._names,
            differences=self._shared.differences,
            key=self._shared.key,
        )

    def _hosts(
        self,
        installation: Installation,
        network: HostNetwork,
        staged: Staged,
        ami: str,
        sample_roles: list[str],
    ) -> None:
        release = AgentRelease(
            self,
            "Agent",
            names=self._names,
            archive=staged.agent,
            sha256=staged.agent_sha256,
        )
        configured = {role for p in self._configuration.pipelines for role in p.service.roles}
        role = HostRole(
            self,
            "HostRole",
            configuration=self._configuration,
            installation=installation,
            agent=release.asset,
            passed_roles=sorted(configured | set(sample_roles)),
            use_key=self._shared.use_key,
        )
        self.hosts = BuildHosts(
            self,
            "Hosts",
            configuration=self._configuration,
            names=self._names,
            network=network,
            ami=ami,
            profile=role.profile.ref,
        )
        self._host_ids = [instance.ref for instance in self.hosts.instances]
        self._host_arns = [self._arns.prod("ec2", f"instance/{i}") for i in self._host_ids]

    @property
    def _host_environment(self) -> dict[str, str]:
        return {
            "SLIPWAY_HOSTS": cdk.Fn.join(",", self._host_ids),
            "SLIPWAY_BUILD_QUEUE_URL": self.build_queue.queue_url,
        }

    def _decide(self, *table_actions: str, counts: bool = True) -> list[Allow]:
        """What whoever decides about hosts has to see, and which rows it moves.

        `counts`: the queue's, too; the starter has a request in its hand already.
        """
        queue = self._arns.queue(self._names.build_queue)
        return [
            use_table(self._arns.table, ("Query", *table_actions)),
            *([count_messages(queue)] if counts else []),
            see_hosts(),
        ]

    def _start_hosts(self) -> list[Allow]:
        key = self._configuration.build_host.volume_key
        return start_hosts(self._host_arns, key, self._configuration.prod_region)

    def _starter(self) -> None:
        self.starter = SlipwayFunction(
            self,
            "Starter",
            name="starter",
            shared=self._shared,
            description="Slipway: a build request wakes a host.",
            statements=[
                *self._decide("ConditionCheckItem", "PutItem", "UpdateItem", counts=False),
                *self._start_hosts(),
            ],
            environment=self._host_environment,
            timeout=cdk.Duration.seconds(60),
        )
        self.request_topic.to_function("starter", self.starter.function)

    def _stopper(self) -> None:
        self.stopper = SlipwayFunction(
            self,
            "Stopper",
            name="stopper",
            shared=self._shared,
            description="Slipway: a host without work is stopped.",
            statements=[
                *self._decide("UpdateItem"),
                stop_hosts(self._host_arns),
            ],
            environment=self._host_environment,
            timeout=STOPPER_TIMEOUT,
        )
        self.close_topic.to_function("stopper", self.stopper.function, kinds=("idle",))

    def _reconciler(self, installation: Installation) -> None:
        self.reconciler = SlipwayFunction(
            self,
            "Reconciler",
            name="reconciler",
            shared=self._shared,
            description="Slipway: mends what a lost event left behind.",
            statements=[
                *self._decide("ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"),
                *self._start_hosts(),
                stop_hosts(self._host_arns),
                publish(
                    "PublishRequestsAndAlerts",
                    [
                        self._arns.topic(self._names.request_topic),
                        self._arns.topic(self._names.close_topic),
                    ],
                ),
                assume("ReadTips", self._arns.tip_role),
            ],
            environment=self._host_environment,
            timeout=STOPPER_TIMEOUT,
        )
        self.undelivered_events = dead_letter_queue(
            self,
            "UndeliveredReconciler",
            name=self._names.subscription_dead_letters("reconciler"),
            differences=self._shared.differences,
            key=self._shared.key,
        )
        target = targets.LambdaFunction(
            self.reconciler.function, dead_letter_queue=self.undelivered_events
        )
        minutes = self._configuration.lambdas.reconcile_every_minutes
        events.Rule(
            self,
            "Every",
            description="Slipway: look whether anything was lost.",
            schedule=events.Schedule.rate(cdk.Duration.minutes(minutes)),
            targets=[target],
        )
        events.Rule(
            self,
            "HostStopped",
            description="Slipway: a host has stopped; is there work by now?",
            event_pattern=events.EventPattern(
                source=["aws.ec2"],
                detail_type=["EC2 Instance State-change Notification"],
                detail={"state": ["stopped"], "instance-id": self._host_ids},
            ),
            targets=[target],
        )

    def _notifier(self, installation: Installation) -> None:
        parameters = sorted(
            {p.webhook_parameter for p in installation.pipelines if p.webhook_parameter}
            | {self._names.webhook_parameter()}
        )
        webhooks = [self._arns.parameter(name) for name in parameters]
        queue = self._notices_queue()
        self.notifier = SlipwayFunction(
            self,
            "Notifier",
            name="notifier",
            shared=self._shared,
            description="Slipway: notices go to Slack.",
            statements=[
                work_on_queue(self._arns.queue(self._names.notices_queue)),
                use_table(
                    self._arns.table,
                    ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"),
                ),
                read_parameters("ReadWebhook", webhooks),
                decrypt_parameters(webhooks, self._arns.any_key_anywhere, installation.region),
            ],
            timeout=cdk.Duration.seconds(50),
        )
        self.notifier.function.add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=NOTICE_BATCH,
                report_batch_item_failures=True,
                # Slack takes one message a second: more at once would only meet its 429.
                max_concurrency=2,
            )
        )

    def _notices_queue(self) -> sqs.Queue:
        """Close and alarm topic feed it; whoever wants e-mail hears the same."""
        self.notices_dead_letters = dead_letter_queue(
            self,
            "NoticesDeadLetters",
            name=self._names.notices_dead_letters,
            differences=self._shared.differences,
            key=self._shared.key,
        )
        queue = work_queue(
            self,
            "Notices",
            name=self._names.notices_queue,
            visibility=NOTICE_VISIBILITY,
            dead_letters=self.notices_dead_letters,
            max_receive_count=NOTICE_RECEIVES,
            differences=self._shared.differences,
            key=self._shared.key,
        )
        self.close_topic.to_queue("notices", queue, kinds=NOTIFIED_KINDS)
        self.alarm_topic.to_queue("notices-alarms", queue)
        for address in self._configuration.notices.emails:
            self.close_topic.to_email("email", address, kinds=NOTIFIED_KINDS)
            self.alarm_topic.to_email("email-alarms", address)
        return queue

    def _operators(self, installation: Installation) -> None:
        """What `slipway` does, as policies for the roles of who runs it."""
        OperatorPolicies(
            self,
            "Operators",
            installation=installation,
            dead_letters=self._dead_letters(),
            use_key=self._shared.use_key,
        )

    def _dead_letters(self) -> list[str]:
        """The queues that `slipway redrive` empties."""
        names, functions = self._names, ("starter", "stopper", "reconciler")
        subscriptions = ("build", "notices", "notices-alarms", *functions)
        return [
            names.build_dead_letters,
            names.notices_dead_letters,
            *(names.failures(function) for function in functions),
            *(names.subscription_dead_letters(name) for name in subscriptions),
        ]

    def _watch(self) -> None:
        """Alarms and the dashboard."""
        hosts = {
            f"host-{number}": instance_id for number, instance_id in enumerate(self._host_ids, 1)
        }
        settings = self._configuration.alarms
        alarms = Alarms(
            self,
            "Alarms",
            installation=self._names.installation,
            topic=self.alarm_topic.topic,
        )
        for what, queue in (
            ("build-dead-letters", self.build_dead_letters),
            ("notices-dead-letters", self.notices_dead_letters),
        ):
            alarms.not_empty(
                what,
                queue,
                "A build request or a notice was given up. "
                "'slipway redrive' lists it and sends it again.",
            )
        undelivered = {"reconciler": self.undelivered_events}
        for topic in (self.request_topic, self.close_topic, self.alarm_topic):
            undelivered |= topic.undelivered
        for name, queue in undelivered.items():
            alarms.not_empty(
                f"undelivered-{name}",
                queue,
                "SNS or EventBridge could not deliver. "
                "'slipway redrive' lists it and sends it again.",
            )
        for function in (self.starter, self.stopper, self.reconciler, self.notifier):
            alarms.not_empty(
                f"{function.name}-failures",
                function.failures,
                "The function gave up on an event after three tries; its log says why.",
            )
        alarms.oldest_request(self.build_queue, minutes=settings.oldest_request_minutes)
        alarms.awake(hosts, hours=settings.awake_hours)
        alarms.reconciler_silent(
            self.reconciler.function,
            minutes=max(15, 3 * self._configuration.lambdas.reconcile_every_minutes),
        )
        alarms.behind()
        self._tell(alarms)
        Dashboard(
            self,
            "Dashboard",
            name=self._names.installation,
            build_queue=self.build_queue,
            hosts=hosts,
            alarms=list(alarms.all.values()),
            price=self._configuration.build_host.price_per_hour,
        )

    def _tell(self, alarms: Alarms) -> None:
        waiting = ("oldest-request", "tip-ahead")
        if self._shared.differences.composite_alarms:
            alarms.composite(
                "not-deploying",
                waiting,
                quiet="starter-failures",
                description="What is pushed is not deployed. 'slipway status', then "
                "'slipway doctor'. (Silent while the starter's own alarm says why.)",
            )
            alarms.tell([name for name in alarms.all if name not in waiting])
        else:
            alarms.tell(list(alarms.all))

    def _outputs(self) -> None:
        values = {
            "Table": self._names.table,
            "BuildQueueUrl": self.build_queue.queue_url,
            "RequestTopicArn": self.request_topic.topic.topic_arn,
            "CloseTopicArn": self.close_topic.topic.topic_arn,
            "HostIds": cdk.Fn.join(",", self._host_ids),
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
