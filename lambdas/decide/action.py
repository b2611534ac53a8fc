"""Carries actions out: the effects of what `decide` decided, each safe to do twice or too late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.decide.codebuild import on_builder
from lambdas.decide.decision import start_delay
from lambdas.decide.giving_up import give_up
from lambdas.decide.situation import (
    Action,
    Ask,
    EndAlert,
    EndBuilder,
    FindBuilder,
    FollowUp,
    ForgetBuilder,
    GiveUp,
    Host,
    LeaveHost,
    NoteTip,
    RaiseAlert,
    Republish,
    StartBuilder,
    StartHost,
    StopBroken,
    StopBuilder,
    StopIdle,
)
from lambdas.shared.observability import count, logger
from lambdas.shared.refusals import code_of, is_refused
from lambdas.shared.services import Services
from slipway.contracts.errors import WorldFailed
from slipway.contracts.messages import FollowMessage
from slipway.contracts.requesting import needs_builder, publish_request
from slipway.contracts.table.hosts import HostRow

NO_CAPACITY = frozenset(
    {
        *("InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity"),
        *("InsufficientReservedInstanceCapacity", "ReservationCapacityExceeded"),
        *("InsufficientAddressCapacity", "InsufficientFreeAddressesInSubnet"),
        *("VcpuLimitExceeded", "InstanceLimitExceeded"),
        *("PendingVerification", "Unsupported"),
    }
)
"""EC2 has no room for this host now, or the account may have no more (error codes of the EC2 API).

A new account is verified first (PendingVerification); a zone may offer a type no more
(Unsupported).
"""
LOST_RACE = "IncorrectInstanceState"
"""What EC2 answers to a start of a stopping host or a stop of a pending one."""


def carry_out(
    services: Services, actions: Iterable[Action], only: Sequence[type] | None = None
) -> None:
    """Carry out all actions (of the types `only`), each though another fails.

    Raises WorldFailed that names what failed, after all were tried: the invocation is repeated.
    """
    problems: list[str] = []
    for action in actions:
        if only is not None and not isinstance(action, tuple(only)):
            continue
        logger.info("decided", extra={"action": type(action).__name__, "why": action.why})
        try:
            _carry_out(services, action)
        except (ClientError, BotoCoreError, WorldFailed) as error:
            logger.error("failed", extra={"action": type(action).__name__, "error": str(error)})
            problems.append(f"{type(action).__name__}: {error}")
    if problems:
        raise WorldFailed("; ".join(problems))


def _carry_out(services: Services, action: Action) -> None:
    match action:
        case StartHost():
            _start(services, action)
        case StopIdle():
            _stop_idle(services, action)
        case StopBroken():
            _stop_broken(services, action)
        case LeaveHost():
            pass  # that it was decided is in the log
        case StartBuilder() | FindBuilder() | StopBuilder() | EndBuilder() | ForgetBuilder():
            on_builder(services, action)
        case GiveUp():
            give_up(services, action)
        case Republish():
            _republish(services, action)
        case Ask():
            _ask(services, action)
        case FollowUp():
            _follow_up(services, action)
        case NoteTip():
            services.table.pipelines.change(action.pipeline, **action.values)
        case RaiseAlert():
            services.table.alerts.raise_once(
                action.kind, action.subject, services.now(), text=action.why
            )
        case EndAlert():
            services.table.alerts.end(action.alert, services.now())


# --- requests


def _republish(services: Services, action: Republish) -> None:
    """Publish first: what crashes before the want is touched is published once more, no harm."""
    topic = services.installation.request_topic_arn
    publish_request(services.sns, topic, action.want.request, builder=action.want.builder)
    services.table.wants.touch(action.want, services.now())


def _ask(services: Services, action: Ask) -> None:
    """The want first: if what follows is lost, rule 5 publishes it; the note `again` goes last."""
    request, topic = action.request, services.installation.request_topic_arn
    builder = needs_builder(request, services.installation)
    if services.table.wants.note(request, services.now(), builder=builder):
        publish_request(services.sns, topic, request, builder=builder)
        count("RequestsMade")
    if action.orphan is not None:
        services.table.locks.take_orphaned_again(action.orphan, services.now())


def _follow_up(services: Services, action: FollowUp) -> None:
    """'Look now': whoever follows the deployment takes a step, unless somebody does already."""
    message = FollowMessage(deployment_id=action.deployment_id)
    services.sqs.send_message(QueueUrl=services.follow_queue_url, MessageBody=message.to_json())


# --- starting


def _start(services: Services, action: StartHost) -> None:
    """Start the host, or if EC2 has no capacity for it, the first of the others that it has."""
    for host in (action.host, *action.others):
        try:
            services.ec2.start_instances(InstanceIds=[host.host_id])
        except ClientError as error:
            if code_of(error) == LOST_RACE:
                logger.info("another start or stop was quicker", extra={"host_id": host.host_id})
                return
            if code_of(error) not in NO_CAPACITY:
                raise
            _no_capacity(services, host, error)
            continue
        _note_start(services, host)
        return


def _note_start(services: Services, host: Host) -> None:
    now = services.now()
    silent = host.row.silent_boots + 1
    services.table.hosts.note_start(
        host.row, now, silent_boots=silent, next_start_at=now + start_delay(silent)
    )


def _no_capacity(services: Services, host: Host, error: ClientError) -> None:
    """Said once; the want row stays, so that the next decision tries again."""
    logger.warning("no capacity", extra={"host_id": host.host_id, "error": str(error)})
    said = error.response.get("Error", {}).get("Message") or "no more is said"
    text = (
        f"EC2 could not start the host: {code_of(error)} ({said}); tried again every five minutes"
    )
    services.table.alerts.raise_once("start_failed", host.host_id, services.now(), text=text)


# --- stopping


def _stop_idle(services: Services, action: StopIdle) -> None:
    notice = action.notice
    claimed = services.table.hosts.claim_stop(
        notice.host_id,
        notice.boot,
        notice.idle_number,
        services.now(),
        claim=services.installation.limits.stop_claim,
    )
    if not claimed:
        logger.info("the host was quicker", extra={"host_id": notice.host_id})
        return
    _send_stop(services, notice.host_id, notice.boot, was_idle=True)


def _stop_broken(services: Services, action: StopBroken) -> None:
    row: HostRow = action.host.row
    claimed = services.table.hosts.claim_broken(
        row,
        services.now(),
        claim=services.installation.limits.stop_claim,
        unchanged=action.unchanged,
    )
    if not claimed:
        logger.info("the host was quicker", extra={"host_id": row.host_id})
        return
    _send_stop(services, row.host_id, row.boot, was_idle=False)


def _send_stop(services: Services, host_id: str, boot: str, *, was_idle: bool) -> None:
    """StopInstances under a claim. Only an answer that says 'not done' takes the claim back:
    without an answer the host may be stopping, and the claim must stand until it has lapsed.
    """
    try:
        services.ec2.stop_instances(InstanceIds=[host_id])
    except ClientError as error:
        if was_idle and is_refused(error):
            services.table.hosts.take_back_claim(host_id, boot)
        if code_of(error) == LOST_RACE:
            logger.info("EC2 is changing the host's state", extra={"host_id": host_id})
            return
        raise
    services.table.hosts.stop_sent(host_id, boot)
