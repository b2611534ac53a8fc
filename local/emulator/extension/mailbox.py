"""Gap closed: SNS's e-mail deliveries are only logged. Here they are kept, for a page to show."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ministack.services import sns

from local.emulator.extension.private import need, wrap

KEPT = 1000


class Mailbox:
    """The last e-mails that SNS would have sent."""

    def __init__(self) -> None:
        self._emails: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def emails(self) -> list[dict[str, Any]]:
        """`to`, `subject`, `body`, `topic_arn`, `sent_at` (Unix seconds) of each, oldest first."""
        return list(self._emails)

    def keep(self, to: str, subject: str, body: str, topic_arn: str) -> None:
        """Keep one; AWS uses a subject of its own where there is none."""
        self._emails.append(
            {
                "to": to,
                "subject": subject or "AWS Notification Message",
                "body": body,
                "topic_arn": topic_arn,
                "sent_at": time.time(),
            }
        )


def install() -> Mailbox:
    """Keep what ministack's SNS only logs."""
    for name in (
        "_topic_by_arn_any_scope",
        "_resolve_message_for_protocol",
        "_matches_filter_policy",
    ):
        need(sns, name)
    mailbox = Mailbox()

    def keeping(fanout: Callable[..., Any]) -> Callable[..., Any]:
        # ministack's own signature, so that whoever calls it by position or by name is served.
        def fan_out(  # noqa: PLR0917
            topic_arn: str,
            msg_id: str,
            message: str,
            subject: str,
            message_structure: str = "",
            message_attributes: dict[str, Any] | None = None,
            **fifo: str,
        ) -> Any:
            attributes = message_attributes or {}
            topic = sns._topic_by_arn_any_scope(topic_arn) or {}
            for subscription in topic.get("subscriptions", []):
                if subscription.get("protocol") != "email":
                    continue
                text = sns._resolve_message_for_protocol(message, message_structure, "email")
                if sns._matches_filter_policy(subscription, attributes, text):
                    mailbox.keep(subscription["endpoint"], subject, text, topic_arn)
            return fanout(
                topic_arn, msg_id, message, subject, message_structure, attributes, **fifo
            )

        return fan_out

    wrap(sns, "_fanout", keeping)
    return mailbox
