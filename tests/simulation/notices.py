"""The notices queue and the notifier that Slack is told by."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lambdas.notifier.delivery import Delivery
from lambdas.notifier.handler import World as NotifierWorld
from lambdas.notifier.handler import notify as handle
from slipway.contracts.table import Table
from tests.aws.answers import AwsFake
from tests.simulation.aws import Caller
from tests.simulation.clockwork import Killed

if TYPE_CHECKING:
    from tests.simulation.world import World


class Notices:
    """What the notices queue holds is delivered until the notifier has taken it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._delivery = self._make_delivery()

    def _make_delivery(self) -> Delivery:
        return Delivery(
            installation=self._world.installation,
            notices=self._world.table.notices,
            webhooks=SimpleNamespace(  # type: ignore[arg-type]
                url=lambda parameter: "https://slack.example"
            ),
            post=self._world.slack.post,
            clock=self._world.clockwork.now,
            sleep=lambda seconds: None,
        )

    def notify(self, text: str, receives: int = 1) -> None:
        """The notices queue: a record that fails comes back when its visibility says so."""
        self._world.under_way += 1
        notice_id = json.loads(text)["notice_id"]
        pauses: list[float] = []
        caller = Caller("notifier", self._world.weather, self._world.clockwork)
        if self._world.weather.happens("Lambda crashes", 0.1):
            caller.calls_left = self._world.dice.randint(0, 3)
        self._delivery._notices = Table(
            caller.client("dynamodb", self._world.dynamodb), "t"
        ).notices
        sqs = _NoticesQueue(pauses)
        record = {
            "body": text,
            "messageId": "1",
            "receiptHandle": "1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:222222222222:slipway-notices",
            "attributes": {"ApproximateReceiveCount": str(receives)},
        }
        self._world.slack.about = notice_id
        before = self._world.slack.posted.get(notice_id, 0)
        done = False
        try:
            answer = handle({"Records": [record]}, NotifierWorld(self._delivery, sqs), lambda: 50.0)
            done = not answer["batchItemFailures"]
        except Killed:
            pass
        if not done and self._world.slack.posted.get(notice_id, 0) > before:
            self._world.slack.excused.add(notice_id)
        self._world.under_way -= 1
        if not done:
            pause = max(pauses[-1] if pauses else 300.0, 1.0)
            self._world.under_way += 1
            self._world.clockwork.after(pause, lambda: self._notify_again(text, receives + 1))

    def _notify_again(self, text: str, receives: int) -> None:
        self._world.under_way -= 1
        self.notify(text, receives)


class _NoticesQueue(AwsFake, service="sqs"):
    """Keeps for how long a notice is put aside."""

    meta = SimpleNamespace(endpoint_url="https://sqs.example")

    def __init__(self, pauses: list[float]) -> None:
        self._pauses = pauses

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> dict[str, Any]:
        self._pauses.append(VisibilityTimeout)
        return {}
