"""Events of hosts and builds that are over, and every five minutes → decide again: for events and
invocations get lost.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.decide.action import carry_out
from lambdas.decide.codebuild import IN_PROGRESS
from lambdas.decide.decision import decide
from lambdas.decide.snapshot import BuildEnd, gather
from lambdas.reconciler.announcement import say_alerts
from lambdas.shared.observability import logger, observed
from lambdas.shared.receiving import drain
from lambdas.shared.services import Services, services
from slipway.contracts.errors import InvalidMessage, WorldFailed

EC2_EVENT = "EC2 Instance State-change Notification"
BUILD_EVENT = "CodeBuild Build State Change"


@observed
def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda entry point."""
    del context
    reconcile(event, services())


def reconcile(event: dict[str, Any], world: Services) -> None:
    """Decide on all there is, carry it out, say new alerts. A foreign host's event is skipped.

    Where there are no hosts, what lies in the build queue comes first.
    """
    host_id, state = _ec2_event(event)
    if host_id is not None and host_id not in world.hosts:
        logger.info("not a host of ours", extra={"host_id": host_id})
        return
    _drain(world)
    stopped = host_id if state == "stopped" else None
    build_end = _build_event(event)
    try:
        seen = gather(world, stopped=stopped, counts=True, upkeep=True, build_end=build_end)
        carry_out(world, decide(seen))
    except WorldFailed:
        say_alerts(world)
        raise
    say_alerts(world)


def _drain(world: Services) -> None:
    """What a starter left in the build queue; hosts and builders are looked after all the same."""
    try:
        drain(world)
    except (ClientError, BotoCoreError) as error:
        logger.error("the build queue is not drained", extra={"error": str(error)})


def _build_event(event: dict[str, Any]) -> BuildEnd | None:
    """The build that CodeBuild's event says is over; nothing for any other event.

    Its `build-id` is an ARN; the API calls the same build by what stands after `build/`.
    """
    if event.get("detail-type") != BUILD_EVENT:
        return None
    detail = event.get("detail")
    if not isinstance(detail, dict) or not isinstance(detail.get("build-id"), str):
        raise InvalidMessage("detail.build-id", "must be a string")
    status = str(detail.get("build-status") or IN_PROGRESS)
    build_id = detail["build-id"].rpartition(":build/")[2]
    return BuildEnd(build_id, status) if status != IN_PROGRESS else None


def _ec2_event(event: dict[str, Any]) -> tuple[str | None, str | None]:
    """Host and state that EC2's event names; nothing for the schedule's."""
    if event.get("detail-type") != EC2_EVENT:
        return None, None
    detail = event.get("detail")
    if not isinstance(detail, dict) or not isinstance(detail.get("instance-id"), str):
        raise InvalidMessage("detail.instance-id", "must be a string")
    return detail["instance-id"], detail.get("state")
