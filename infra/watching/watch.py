"""The prod stack watched: an alarm for each way in which Slipway may be in trouble, a dashboard."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from infra.following.follow_queue import FollowQueue
from infra.function import SlipwayFunction
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
        follow: FollowQueue,
        reconciler: SlipwayFunction,
    ) -> None:
        self._shared, self._hosts = shared, hosts
        self._requests, self._follow, self._notices = requests, follow, notices
        self._alarms = Alarms(
            stack,
            "Alarms",
            installation=shared.names.installation,
            topic=topics.alarm.topic,
        )
        self._given_up()
        self._standing_still(reconciler)
        of_hosts, builders = shared.configuration.hosts, shared.configuration.builders
        Dashboard(
            stack,
            "Dashboard",
            name=shared.names.installation,
            build_queue=requests.queue,
            hosts=hosts,
            alarms=list(self._alarms.all),
            price=of_hosts.price_per_hour if of_hosts else None,
            builds=of_hosts.builds if of_hosts else None,
            project=shared.names.builder_project if builders.uses_code_build else None,
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
        self._alarms.not_empty(
            "undelivered",
            self._shared.undelivered,
            "SNS or EventBridge could not deliver. 'slipway redrive' lists it and sends it again.",
        )
        self._alarms.not_empty(
            "failures",
            self._shared.failures,
            "A function gave up on an event after three tries. 'slipway redrive --dry-run' says "
            "which; its log says why.",
        )

    def _standing_still(self, reconciler: SlipwayFunction) -> None:
        """Work that waits, hosts that do not sleep, a net that is not there, tips not run."""
        alarms, configuration = self._alarms, self._shared.configuration
        alarms.oldest_request(
            self._requests.queue, minutes=configuration.alarms.oldest_request_minutes
        )
        alarms.awake(self._hosts, hours=configuration.alarms.awake_hours)
        alarms.reconciler_silent(
            reconciler.function,
            minutes=max(15, 3 * configuration.lambdas.reconcile_every_minutes),
        )
        alarms.behind()
