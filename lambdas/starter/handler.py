"""Request topic → a want row, and a host awake or a builder started if the want needs one.

Where there are no hosts, the pending row that the builder works from comes from here, too.
"""

from __future__ import annotations

from typing import Any

from lambdas.decide.action import carry_out
from lambdas.decide.decision import decide
from lambdas.decide.situation import FindBuilder, LeaveHost, StartBuilder, StartHost
from lambdas.decide.snapshot import gather
from lambdas.shared.envelopes import sns_messages
from lambdas.shared.observability import about, logger, observed
from lambdas.shared.receiving import take
from lambdas.shared.services import Services, services
from slipway.contracts.errors import InvalidMessage
from slipway.contracts.messages import BuildRequest
from slipway.contracts.requesting import BUILDER, NOT_NEEDED, configured


@observed
def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda entry point; SNS retries what it raises, then the failure queue alarms."""
    del context
    start(event, services())


def start(event: dict[str, Any], world: Services) -> None:
    """Note every request of the event, then decide once.

    Raises InvalidMessage for a message that is not a request of a pipeline of ours, after the
    others were noted.
    """
    problem: InvalidMessage | None = None
    for message in sns_messages(event):
        try:
            request = _request(message.text, world)
            needed = message.attributes.get(BUILDER) != NOT_NEEDED
            note_want(request, world, builder=needed)
            if needed and not world.installation.builders.uses_hosts:
                _receive(request, world)
        except InvalidMessage as error:
            logger.error("not a build request", extra={"problem": str(error)})
            problem = error
    carry_out(world, decide(gather(world)), only=(StartHost, LeaveHost, StartBuilder, FindBuilder))
    if problem is not None:
        raise problem


def note_want(request: BuildRequest, world: Services, *, builder: bool = True) -> None:
    """The want row comes first: whatever is lost after it, the reconciler finds it.

    `builder` is what the queues' filters went by, too: the want says which of them has the request.
    """
    about(request.request_id)
    noted = world.table.wants.note(request, world.now(), builder=builder)
    logger.info(
        "request" if noted else "the request is settled, or a newer one's want stands",
        extra={"pipeline": request.pipeline, "reason": request.reason, "builder": builder},
    )


def _receive(request: BuildRequest, world: Services) -> None:
    """A row for it; one that is there is shown: `resume` sends such a request again."""
    if not take(request, world):
        world.table.pending.show(request, world.now())


def _request(text: str, world: Services) -> BuildRequest:
    request = BuildRequest.from_json(text)
    configured(request, world.installation)
    return request
