"""The prod stack watched: an alarm for each way in which Slipway may be in trouble, a dashboard."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.following.follow_queue import FollowQueue
from infra.following.follower import Follower
from infra.hosts.keepers import HostKeepers
from infra.notices.notice_topics import NoticeTopics
from infra.notices.notices import Notices
from infra.requests.request_queue import Requests
from infra.shared import Shared
from infra.watching.alarms import Alarms
from infra.watching.dashboard import Dashboard


class Watch:
    """Made in the stack's own scope. `hosts`: a name for each instance's id."""

    def __init__(
        self,
        stack: Construct,
        *,
        shared: Shared,
        hosts: Mapping[str, str],
        requests: Requests,
        topics: NoticeTopics,
        notices: Notices,
        keepers: HostKeepers,
        follow: FollowQueue,
        follower: Follower,
    ) -> None:
        self._shared, self._hosts = shared, hosts
        self._requests, self._keepers = requests, keepers
        self._follow, self._follower = follow, follower
        self._topics, self._notices = topics, notices
        self._alarms = Alarms(
            stack,
            "Alarms",
            installation=shared.names.installation,
            topic=topics.alarm.topic,
        )
        self._given_up()
        self._standing_still()
        self._tell()
        Dashboard(
            stack,
            "Dashboard",
            name=shared.names.installation,
            build_queue=requests.queue,
            hosts=hosts,
            alarms=list(self._alarms.all.values()),
            price=shared.configuration.build_host.price_per_hour,
            builds=shared.configuration.build_host.builds,
        )

    def _given_up(self) -> None:
        """Whatever lies in a queue of what was given up on."""
        for what, queue in (
            ("build-dead-letters", self._requests.dead_letters),
            ("follow-dead-letters", self._follow.dead_letters),
            ("notices-dead-letters", self._notices.dead_letters),
        ):
            self._alarms.not_empty(
                what,
                queue,
                "A build request, a look at a rollout or a notice was given up. "
                "'slipway redrive' lists it and sends it again.",
            )
        for name, queue in self._undelivered().items():
            self._alarms.not_empty(
                f"undelivered-{name}",
                queue,
                "SNS or EventBridge could not deliver. "
                "'slipway redrive' lists it and sends it again.",
            )
        keepers = self._keepers
        for function in (
            keepers.starter,
            keepers.stopper,
            keepers.reconciler,
            self._follower.function,
            self._notices.notifier,
        ):
            self._alarms.not_empty(
                f"{function.name}-failures",
                function.failures,
                "The function gave up on an event after three tries; its log says why.",
            )

    def _undelivered(self) -> dict[str, sqs.Queue]:
        """By the name of who should have had it."""
        undelivered = {"reconciler": self._keepers.undelivered_events}
        for topic in (self._requests.topic, self._topics.close, self._topics.alarm):
            undelivered |= topic.undelivered
        return undelivered

    def _standing_still(self) -> None:
        """Work that waits, hosts that do not sleep, a net that is not there, tips not run."""
        alarms, configuration = self._alarms, self._shared.configuration
        alarms.oldest_request(
            self._requests.queue, minutes=configuration.alarms.oldest_request_minutes
        )
        alarms.awake(self._hosts, hours=configuration.alarms.awake_hours)
        alarms.reconciler_silent(
            self._keepers.reconciler.function,
            minutes=max(15, 3 * configuration.lambdas.reconcile_every_minutes),
        )
        alarms.behind()

    def _tell(self) -> None:
        alarms = self._alarms
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
