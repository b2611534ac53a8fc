"""Build queue → a pending row for each request, where builds of CodeBuild alone are configured.

The starter writes the row of the request that the topic tells it. The queue keeps the same request
until the reconciler drains it: where the starter was lost, that writes the row. So no poller is
paid for while nothing happens. A message whose row cannot be written comes back by itself; a body
that is no request goes to the dead letters, which raise an alarm.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.shared.observability import about, logger
from lambdas.shared.services import Services
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.messages import BuildRequest
from slipway.contracts.requesting import configured, dead_letter, parse_request

TEN = 10
"""Messages of one call (API reference, ReceiveMessage and DeleteMessageBatch)."""
HELD = 60
"""Seconds until a message that was received and not deleted is received again."""
LONGEST = 20.0
"""Seconds after which the rest is left to the next one who drains."""


def drain(world: Services) -> None:
    """Take what lies in the build queue, until it is empty; nothing where hosts do that.

    SQS's errors pass through.
    """
    if world.installation.builders.uses_hosts:
        return
    until = world.now() + LONGEST
    while messages := _receive(world):
        _delete(world, [message for message in messages if _is_taken(message, world)])
        if world.now() > until:
            return


def _receive(world: Services) -> list[dict[str, Any]]:
    answer = world.sqs.receive_message(
        QueueUrl=world.queue_url,
        MaxNumberOfMessages=TEN,
        WaitTimeSeconds=0,
        VisibilityTimeout=HELD,
    )
    return list(answer.get("Messages") or [])


def _delete(world: Services, messages: list[dict[str, Any]]) -> None:
    """One that SQS does not delete comes again, and is found settled or pending."""
    entries = [
        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
        for number, message in enumerate(messages)
    ]
    if entries:
        world.sqs.delete_message_batch(QueueUrl=world.queue_url, Entries=entries)


def _is_taken(message: dict[str, Any], world: Services) -> bool:
    """Whether the message may be deleted."""
    about(None)
    body = str(message.get("Body", ""))
    try:
        try:
            request = parse_request(body)
            configured(request, world.installation)
            take(request, world)
        except InvalidMessage as poison:
            logger.warning("dead letter", extra={"why": str(poison)})
            dead_letter(world.sqs, world.dead_letters_url, body, str(poison))
    except (ClientError, BotoCoreError, WorldFailed) as error:
        logger.warning("a message comes back", extra={"error": str(error)})
        return False
    return True


def take(request: BuildRequest, world: Services) -> bool:
    """A row for the request; False where it has one, or its outcome."""
    about(request.request_id)
    if world.table.requests.settled([request.request_id]):
        logger.info("settled before", extra={"pipeline": request.pipeline})
        return False
    added = world.table.pending.add(request, world.now())
    logger.info("pending" if added else "was pending", extra={"pipeline": request.pipeline})
    return added
