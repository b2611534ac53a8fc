"""Gives up on a request of a pipeline that is configured no more: a dead letter, and an outcome."""

from __future__ import annotations

from lambdas.decide.situation import GiveUp
from lambdas.shared.observability import about, logger
from lambdas.shared.services import Services
from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import BuildRequest, DeploymentResult, FollowMessage
from slipway.contracts.requesting import dead_letter
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.requests import Settled
from slipway.contracts.table.unbegun import ended_before
from slipway.following.record import LOOKED_BACK, tip_request_of


def give_up(services: Services, action: GiveUp) -> None:
    """Kept as a dead letter, then recorded; its want and its row go last. Safe to do twice: what
    has its outcome gets no dead letter more.

    A deployment that was begun for it ends so, too, and the follower tells of that: of one at a
    time. Those of older pushes go first, whose want this one may have taken.
    """
    about(action.request_id)
    if services.table.locks.get(action.pipeline).untold is not None:
        return
    open_rows = _open_deployments(services, action.pipeline)
    older = [row for row in open_rows if row.request_id != action.request_id]
    for row in older:
        request = tip_request_of(row)
        if request is not None:
            _end(services, row, request.to_json(), action.why)
            return
    own = [row for row in open_rows if row.request_id == action.request_id]
    if _is_ended(services, action, own):
        _clear(services, action)


def _open_deployments(services: Services, pipeline: str) -> list[DeploymentRow]:
    """Those without an outcome whose rollouts are not followed."""
    rows = services.table.deployments.newest(pipeline, LOOKED_BACK)
    return [row for row in rows if row.ended_at is None and row.rollout is None]


def _is_ended(services: Services, action: GiveUp, own: list[DeploymentRow]) -> bool:
    """Give the request its outcome, unless it has one; False if somebody is at it."""
    if own:
        return _end(services, own[0], action.body, action.why)
    requests, kept = services.table.requests, services.installation.limits.settled_kept
    if requests.settled([action.request_id]):
        return True
    recorded = _recorded(services, action)
    if recorded is None:
        dead_letter(services.sqs, services.dead_letters_url, action.body, action.why)
    settled = Settled(
        request_id=action.request_id,
        outcome=recorded.status if recorded is not None else "gave_up",
        pipeline=action.pipeline,
        settled_at=services.now(),
        deployment_id=recorded.deployment_id if recorded is not None else None,
    )
    requests.settle_once(settled, kept=kept)
    return True


def _recorded(services: Services, action: GiveUp) -> DeploymentResult | None:
    """The outcome that the request's deployment has already; the follower tells of it if nobody
    has.
    """
    begun = services.table.requests.deployments_of([action.request_id])
    row = services.table.deployments.get(begun[action.request_id]) if begun else None
    if row is None or row.result is None:
        return None
    if row.announced_at is None:
        message = FollowMessage(deployment_id=row.deployment_id)
        services.sqs.send_message(QueueUrl=services.follow_queue_url, MessageBody=message.to_json())
    return row.result


def _end(services: Services, row: DeploymentRow, body: str, why: str) -> bool:
    """End a deployment that nobody takes up again, with its request if that has no outcome."""
    table, kept = services.table, services.installation.limits.settled_kept
    is_settled = bool(table.requests.settled([row.request_id]))
    if not is_settled:
        dead_letter(services.sqs, services.dead_letters_url, body, why)
    result = ended_before(row, "gave_up", cause=f"given up: {why}", now=services.now())
    ended = table.unbegun.end_left_behind(
        result, changes={}, settled_kept=None if is_settled else kept
    )
    if not ended:
        logger.info("somebody is at it", extra={"pipeline": row.pipeline})
    return ended


def _clear(services: Services, action: GiveUp) -> None:
    try:
        services.table.wants.clear([BuildRequest.from_json(action.body)])
    except InvalidMessage as error:  # of a newer version: the dead letter has it
        logger.warning("not a request", extra={"problem": str(error)})
    if action.row is not None:
        services.table.pending.delete(action.row)
