"""Says alerts on the close topic: each once, and its end once.

The alert rows are the outbox. Publish first, mark afterwards: what crashes in between is published
again under the same notice id, which the notifier posts once.
"""

from __future__ import annotations

from typing import cast

from lambdas.shared.services import Services
from slipway.contracts.messages import Alert, AlertKind, CloseNotice, sns_attributes
from slipway.contracts.notice_text import subject, texts_by_protocol
from slipway.contracts.table.alerts import AlertRow

OURS: frozenset[AlertKind] = frozenset(
    {
        "no_heartbeat",
        "no_progress",
        "start_failed",
        "awake_long",
        "drift_skipped",
        "not_followed",
        "builders_refused",
        "builder_silent",
    }
)
"""The kinds that this Lambda announces; who raises others says them."""


def say_alerts(services: Services) -> None:
    """Publish what is raised and unsaid, and the end of what was said."""
    for row in services.table.alerts.all():
        if row.kind not in OURS:
            continue
        if row.over_at:
            _say_over(services, row)
        elif not row.said_at:
            _publish(services, row, recovered=False)
            services.table.alerts.said(row, services.now())


def _say_over(services: Services, row: AlertRow) -> None:
    if row.said_at:
        _publish(services, row, recovered=True)
    services.table.alerts.forget(row)


def _publish(services: Services, row: AlertRow, *, recovered: bool) -> None:
    end = "/over" if recovered else ""
    notice = CloseNotice(
        kind="alert",
        notice_id=f"alert/{row.kind}/{row.subject}/{row.raised_at:.3f}{end}",
        alert=Alert(
            kind=cast(AlertKind, row.kind),
            subject=row.subject,
            text=row.text,
            at=row.over_at if recovered else row.raised_at,
            recovered=recovered,
        ),
    )
    services.sns.publish(
        TopicArn=services.installation.close_topic_arn,
        Message=texts_by_protocol(notice),
        MessageStructure="json",
        Subject=subject(notice),
        MessageAttributes=sns_attributes(notice.attributes),
    )
