"""Close topic, idle notices → StopInstances, if nothing speaks against it."""

from __future__ import annotations

from typing import Any

from lambdas.decide.action import carry_out
from lambdas.decide.decision import decide
from lambdas.decide.situation import IdleNotice, LeaveHost, StopIdle
from lambdas.decide.snapshot import gather
from lambdas.shared.envelopes import sns_messages
from lambdas.shared.observability import observed
from lambdas.shared.services import Services, services
from slipway.contracts.messages import CloseNotice


@observed
def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda entry point. Its timeout must be shorter than the stop claim (120 s)."""
    del context
    stop(event, services())


def stop(event: dict[str, Any], world: Services) -> None:
    """Decide about each idle notice of the event; other notices are not for the stopper."""
    for message in sns_messages(event):
        notice = idle_notice(CloseNotice.from_json(message.text))
        if notice is not None:
            actions = decide(gather(world, notice=notice, counts=True))
            carry_out(world, actions, only=(StopIdle, LeaveHost))


def idle_notice(notice: CloseNotice) -> IdleNotice | None:
    """The notice's host, boot and idle number, or None where it is not about an idle host."""
    if notice.host_id is None or notice.boot is None or notice.idle_number is None:
        return None
    return IdleNotice(host_id=notice.host_id, boot=notice.boot, idle_number=notice.idle_number)
