"""Who is told: a queue for Slack's notifier, and e-mail addresses."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda_event_sources as event_sources
from constructs import Construct

from infra.function import SlipwayFunction
from infra.notices.notice_topics import NoticeTopics
from infra.permissions.arns import Arns
from infra.permissions.statements import (
    Allow,
    decrypt_parameters,
    read_parameters,
    use_table,
    work_on_queue,
)
from infra.queues import dead_letter_queue, work_queue
from infra.requests.topics import Filters
from infra.shared import Shared
from slipway.contracts.messages import SILENT

VISIBILITY = cdk.Duration.minutes(5)
"""Six times the notifier's timeout: what AWS advises for a queue that feeds a function."""

MAX_RECEIVES = 200
"""The notifier lets a notice that Slack does not take come back after 3 s, 6 s … 15 minutes.

200 receives are two days: an outage of a day delays notices and loses none. What nobody can read
uses them up 5 s apart and lies among the dead letters after a quarter of an hour.
"""

BATCH = 10
NOTIFIED: Filters = {"kind": ["deployment", "alert"]}
TOLD: Filters = {**NOTIFIED, SILENT: [{"exists": False}]}
"""The same without what nobody is to be told of, which the notifier leaves out itself."""


class Notices:
    """Made in the stack's own scope.

    Attributes: `queue` and `dead_letters`, `notifier`.
    """

    def __init__(
        self, stack: Construct, *, shared: Shared, arns: Arns, topics: NoticeTopics
    ) -> None:
        self._stack, self._shared, self._arns, self._topics = stack, shared, arns, topics
        self._queue()
        self._notifier()

    def _queue(self) -> None:
        """Close and alarm topic feed it; whoever wants e-mail hears the same."""
        shared = self._shared
        self.dead_letters = dead_letter_queue(
            self._stack,
            "NoticesDeadLetters",
            name=shared.names.notices_dead_letters,
            differences=shared.differences,
            key=shared.key,
        )
        self.queue = work_queue(
            self._stack,
            "Notices",
            name=shared.names.notices_queue,
            visibility=VISIBILITY,
            dead_letters=self.dead_letters,
            max_receive_count=MAX_RECEIVES,
            differences=shared.differences,
            key=shared.key,
        )
        close, alarm = self._topics.close, self._topics.alarm
        close.to_queue(self.queue, only=NOTIFIED)
        alarm.to_queue(self.queue)
        by_path = any(pipeline.paths for pipeline in shared.configuration.pipelines)
        for address in shared.configuration.notices.emails:
            close.to_email(address, only=TOLD if by_path else NOTIFIED)
            alarm.to_email(address)

    def _notifier(self) -> None:
        self.notifier = SlipwayFunction(
            self._stack,
            "Notifier",
            name="notifier",
            shared=self._shared,
            description="Slipway: notices go to Slack.",
            statements=self._of_notifier(),
            timeout=cdk.Duration.seconds(50),
        )
        self.notifier.function.add_event_source(
            event_sources.SqsEventSource(
                self.queue,
                batch_size=BATCH,
                report_batch_item_failures=True,
                # Slack takes one message a second: more at once would only meet its 429.
                max_concurrency=2,
            )
        )

    def _of_notifier(self) -> list[Allow]:
        installation, names = self._arns.installation, self._shared.names
        own = {p.webhook_parameter for p in installation.pipelines if p.webhook_parameter}
        parameters = sorted(own | {names.webhook_parameter()})
        webhooks = [self._arns.parameter(name) for name in parameters]
        return [
            # It lets a notice wait that Slack does not take.
            work_on_queue(
                "ReadNotices", self._arns.queue(names.notices_queue), "ChangeMessageVisibility"
            ),
            use_table(
                self._arns.table, ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem")
            ),
            read_parameters("ReadWebhook", webhooks),
            decrypt_parameters(webhooks, self._arns.any_key_anywhere, installation.region),
        ]
