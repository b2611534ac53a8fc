"""What is said on the close topic: an outcome, 'this host is idle', or trouble."""

from __future__ import annotations

import re
from typing import Any, Protocol

from slipway.contracts.installation import Installation
from slipway.contracts.messages import (
    SILENT,
    Alert,
    CloseNotice,
    DeploymentResult,
    sns_attributes,
)
from slipway.contracts.notice_text import subject, texts_by_protocol
from slipway.contracts.sentences import is_silent

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9:_./-]")


class Clock(Protocol):
    """Seconds since the epoch."""

    def now(self) -> float: ...


class Host(Protocol):
    """Who says it, where that is a host."""

    @property
    def host_id(self) -> str: ...
    @property
    def boot(self) -> str: ...


class Closer:
    """Publishes close notices; whoever subscribes by e-mail reads a text instead of JSON."""

    def __init__(
        self, sns: Any, installation: Installation, host: Host | None, clock: Clock
    ) -> None:
        self._sns = sns
        self._installation = installation
        self._host = host
        self._clock = clock

    def deployment(self, result: DeploymentResult) -> None:
        """Announce an outcome; the notice's id is the deployment's: said twice, posted once."""
        pipeline = self._installation.find(result.pipeline)
        told = pipeline is not None and pipeline.notify_untouched
        self._publish(
            CloseNotice(
                kind="deployment",
                notice_id=result.deployment_id,
                host_id=self._host.host_id if self._host else None,
                boot=self._host.boot if self._host else None,
                result=result,
            ),
            silent=is_silent(result, told=told),
        )

    def idle(self, number: int) -> None:
        """Say that this host has been idle for an idle period, its `number`th of this boot.

        ValueError where it is no host that speaks.
        """
        if self._host is None:
            raise ValueError("only a host is idle")
        notice_id = _NOT_IN_ID.sub("-", f"idle:{self._host.host_id}:{self._host.boot}:{number}")
        self._publish(
            CloseNotice(
                kind="idle",
                notice_id=notice_id,
                host_id=self._host.host_id,
                boot=self._host.boot,
                idle_number=number,
            )
        )

    def dead_letter(self, message_id: str, text: str) -> None:
        """Say that a message was given up on."""
        alert = Alert(
            kind="dead_letter",
            subject=self._installation.names.build_dead_letters,
            text=text,
            at=self._clock.now(),
        )
        notice_id = _NOT_IN_ID.sub("-", f"dead_letter:{message_id}")[:200]
        self._publish(CloseNotice(kind="alert", notice_id=notice_id, alert=alert))

    def _publish(self, notice: CloseNotice, *, silent: bool = False) -> None:
        attributes = notice.attributes | ({SILENT: "yes"} if silent else {})
        self._sns.publish(
            TopicArn=self._installation.close_topic_arn,
            Message=texts_by_protocol(notice, commit_url=self._commit_url(notice)),
            MessageStructure="json",
            MessageAttributes=sns_attributes(attributes),
            Subject=subject(notice),
        )

    def _commit_url(self, notice: CloseNotice) -> str | None:
        if notice.result is None:
            return None
        pipeline = self._installation.find(notice.result.pipeline)
        return pipeline.commit_url if pipeline else None
