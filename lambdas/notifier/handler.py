"""Notices queue → Slack: tell people, each notice once, late rather than never.

The queue holds raw bodies of close notices (close topic) and of CloudWatch alarms (alarm topic).
A record that fails comes back by itself, with growing pauses; the others of its batch are done
(ReportBatchItemFailures). A body that nobody can read comes back every few seconds, until the
queue's maxReceiveCount puts it among the notices dead letters, which raise an alarm.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.notifier.alarms import alarm_notice, is_alarm
from lambdas.notifier.delivery import Delivery, Verdict
from lambdas.notifier.measures import measure
from lambdas.notifier.slack import SlackClient
from lambdas.notifier.webhooks import Webhooks
from lambdas.shared.clients import client, installation
from lambdas.shared.observability import about, logger, observed
from slipway.contracts.errors import InvalidMessage, SlipwayError
from slipway.contracts.messages import CloseNotice
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import Deployments

FIRST_PAUSE = 3.0
LONGEST_PAUSE = 900.0
"""Seconds between tries: a day of outage is about a hundred receives, each message by itself."""
UNREADABLE_PAUSE = 5.0
"""Seconds: no later try helps (save by a newer notifier), and soon an alarm is to tell of it."""
LONGEST_VISIBILITY = 42_000.0
"""Seconds: SQS allows 12 h from the receive."""

_QUICK = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 3})

Remaining = Callable[[], float]


@dataclass(frozen=True)
class World:
    """What the function acts on, for as long as its process lives; `sqs` is botocore's client.

    `deployments` is read for the time to restore; None: it is not measured.
    """

    delivery: Delivery
    sqs: Any
    deployments: Deployments | None = None


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """SQS event in, the ids of the records that are to come back out."""

    def remaining() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    return notify(event, world(), remaining)


def notify(event: dict[str, Any], world: World, remaining: Remaining) -> dict[str, Any]:
    """Deliver each record by itself; those that failed are in `batchItemFailures`."""
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        about(None)
        verdict = _verdict(record, world, remaining)
        if verdict.done:
            logger.info("notice done", extra={"outcome": verdict.why})
            continue
        pause = pause_of(verdict, _receives(record))
        logger.warning("notice comes back", extra={"reason": verdict.why, "pause_seconds": pause})
        _come_back_after(world.sqs, record, pause)
        failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _verdict(record: Mapping[str, Any], world: World, remaining: Remaining) -> Verdict:
    """What becomes of one record; whatever goes wrong with it must not hold up the others."""
    try:
        notice = read_notice(record["body"])
        if notice is None:
            return Verdict(done=True, why="the alarm ended no trouble")
        about(notice.result.request_id if notice.result else None)
        if notice.result and _receives(record) == 1:
            measure(notice.result, world.deployments)
        return world.delivery.deliver(notice, remaining)
    except InvalidMessage as error:
        return Verdict(done=False, why=f"nobody can read it: {error}", unreadable=True)
    except SlipwayError as error:
        return Verdict(done=False, why=str(error))
    except (ClientError, BotoCoreError) as error:
        return Verdict(done=False, why=f"AWS failed: {error}")
    except Exception:  # noqa: BLE001 - logged; one bad notice must not hold up its batch
        logger.exception("a notice met an error in the notifier itself")
        return Verdict(done=False, why="an error in the notifier itself")


def _receives(record: Mapping[str, Any]) -> int:
    """How often the record was received, this time included."""
    return int(record["attributes"]["ApproximateReceiveCount"])


def read_notice(body: str) -> CloseNotice | None:
    """The notice in a body; None for an alarm's change that is not worth one."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage("$", f"is not JSON: {error}") from None
    if isinstance(data, Mapping) and is_alarm(data):
        return alarm_notice(data)
    return CloseNotice.from_json(body)


def pause_of(verdict: Verdict, receives: int) -> float:
    """Seconds until the message is received again; `receives` counts this one.

    Slack's own word (Retry-After) counts; else the pause doubles up to `LONGEST_PAUSE`.
    """
    if verdict.unreadable:
        return UNREADABLE_PAUSE
    growing = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(receives - 1, 20))
    return min(verdict.wait + 1 if verdict.wait else growing, LONGEST_VISIBILITY)


def _come_back_after(sqs: Any, record: Mapping[str, Any], pause: float) -> None:
    """Set the message's visibility; if that fails, the queue's own visibility timeout holds."""
    try:
        sqs.change_message_visibility(
            QueueUrl=queue_url(record["eventSourceARN"], sqs.meta.endpoint_url),
            ReceiptHandle=record["receiptHandle"],
            VisibilityTimeout=int(pause),
        )
    except (ClientError, BotoCoreError) as error:
        logger.warning("the message's visibility was not changed", extra={"error": str(error)})


def queue_url(queue_arn: str, endpoint: str) -> str:
    """The queue's URL at `endpoint`, without asking SQS for it."""
    account, name = queue_arn.split(":")[4:6]
    return f"{endpoint.rstrip('/')}/{account}/{name}"


@functools.cache
def world() -> World:
    """Clients and settings, made at the first invocation."""
    settings = installation()
    table = Table(client("dynamodb", _QUICK), settings.names.table)
    webhooks = Webhooks(client("ssm", _QUICK), allow_local=settings.mode == "local")
    delivery = Delivery(
        installation=settings,
        notices=table.notices,
        webhooks=webhooks,
        post=SlackClient().post,
        clock=time.time,
        sleep=time.sleep,
    )
    return World(delivery, client("sqs", _QUICK), table.deployments)
