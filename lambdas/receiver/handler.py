"""Build queue → a pending row for each request, and a builder started for its pipeline.

Only where builds of CodeBuild alone are configured. A record that fails comes back by itself
(ReportBatchItemFailures); a body that is no request goes to the dead letters, which raise an alarm.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.decide.action import carry_out
from lambdas.decide.decision import decide
from lambdas.decide.situation import FindBuilder, StartBuilder
from lambdas.decide.snapshot import gather
from lambdas.shared.observability import about, logger, observed
from lambdas.shared.services import Services, services
from slipway.contracts.errors import InvalidMessage, WorldFailed
from slipway.contracts.messages import BuildRequest
from slipway.contracts.requesting import configured, dead_letter, parse_request


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """SQS event in, the ids of the records that are to come back out."""
    del context
    return receive(event, services())


def receive(event: dict[str, Any], world: Services) -> dict[str, Any]:
    """Write each record's row, then decide once: its starter may have been lost.

    Where even the decision fails the rows are there: the reconciler finds them.
    """
    failed = [
        {"itemIdentifier": record["messageId"]}
        for record in event["Records"]
        if not _is_taken(record, world)
    ]
    try:
        carry_out(world, decide(gather(world)), only=(StartBuilder, FindBuilder))
    except (ClientError, BotoCoreError, WorldFailed) as error:
        logger.error("no builder was started", extra={"error": str(error)})
    return {"batchItemFailures": failed}


def _is_taken(record: dict[str, Any], world: Services) -> bool:
    """Whether the record's message may be deleted."""
    about(None)
    body = str(record.get("body", ""))
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


def take(request: BuildRequest, world: Services) -> None:
    """A row for the request. One that is there is shown: `resume` sends such a message again."""
    about(request.request_id)
    now = world.now()
    if world.table.requests.settled([request.request_id]):
        logger.info("settled before", extra={"pipeline": request.pipeline})
        return
    added = world.table.pending.add(request, now)
    if not added:
        world.table.pending.show(request, now)
    logger.info("pending" if added else "was pending", extra={"pipeline": request.pipeline})
