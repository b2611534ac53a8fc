"""Takes in what the queue holds: by pipeline the requests to work on, the others ended at once.

Superseded and long settled requests go, poison becomes a dead letter, a paused pipeline's requests
are given back. A queue that holds more than this host has slots for is not emptied: what is
received wears out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from build_agent.host.parallel import Parallel
from build_agent.host.stop import Stop
from build_agent.queue.inbox import Delivery, Inbox, Message
from build_agent.queue.lease import Keeper
from build_agent.queue.settle import Settler
from build_agent.queue.supersede import Kept, keep_begun
from build_agent.telling.logs import Log
from slipway.contracts.errors import InvalidMessage
from slipway.contracts.installation import Installation
from slipway.contracts.requesting import parse_request
from slipway.contracts.table import Table
from slipway.contracts.table.pipelines import PipelineRow
from slipway.following.backoff import PAUSED_DELAY
from slipway.following.closing import Closer


class Intake:
    """What was received, sorted by pipeline: held, superseded, settled already, or no request."""

    def __init__(
        self,
        *,
        installation: Installation,
        table: Table,
        inbox: Inbox,
        keeper: Keeper,
        settler: Settler,
        closer: Closer,
        parallel: Parallel,
        log: Log,
        stop: Stop,
    ) -> None:
        self._known = {pipeline.name: pipeline for pipeline in installation.pipelines}
        self._table = table
        self._inbox = inbox
        self._keeper = keeper
        self._settler = settler
        self._closer = closer
        self._parallel = parallel
        self._log = log
        self._stop = stop

    def collect(
        self,
        wait: float,
        begin_work: Callable[[], bool],
        *,
        room: int,
        under_way: Collection[str] = (),
    ) -> dict[str, Kept] | None:
        """What the queue holds, by pipeline; waits up to `wait` seconds for the first of it.

        All of it, or until it is for more than `room` pipelines besides those `under_way`.
        `begin_work` is asked once there is something to do. None: it said no, a stop is claimed.
        What was received is held, whatever this raises.
        """
        messages = self._inbox.receive(wait)
        self._keeper.hold(messages)
        if not messages:
            return {}
        rows = self._table.pipelines.all()
        kept: dict[str, Kept] = {}
        begun = False
        while messages and not self._stop.requested:
            deliveries, poison = self._sort_out(messages, rows)
            if (deliveries or poison) and not begun:
                begun = begin_work()
                if not begun:
                    return None
            for message, why in poison:
                self._dead_letter(message, why)
            waiting = {*kept, *(delivery.pipeline for delivery in deliveries)} - {*under_way}
            if len(waiting) > room:
                self._fold(kept, deliveries)
                break
            messages = self._fold_and_receive(kept, deliveries, len(messages))
        return kept

    def _fold_and_receive(
        self, kept: dict[str, Kept], deliveries: list[Delivery], last: int
    ) -> list[Message]:
        """Take these in while what else is there is received: both wait for AWS most of the time.

        What was received is held before either's error is raised.
        """

        def receive() -> list[Message]:
            more = self._inbox.receive_more(last)
            self._keeper.hold(more)
            return more

        _, more = self._parallel([lambda: self._fold(kept, deliveries), receive])
        received: list[Message] = more
        return received

    def _sort_out(
        self, messages: Iterable[Message], rows: dict[str, PipelineRow]
    ) -> tuple[list[Delivery], list[tuple[Message, str]]]:
        """Requests, and what is none with the reason; a paused pipeline's are given back."""
        deliveries: list[Delivery] = []
        poison: list[tuple[Message, str]] = []
        paused: list[Message] = []
        for message in messages:
            try:
                request = parse_request(message.body)
            except InvalidMessage as error:
                poison.append((message, str(error)))
                continue
            if request.pipeline not in self._known:
                poison.append((message, f"pipeline {request.pipeline!r} is not configured"))
            elif rows.get(request.pipeline, PipelineRow(pipeline=request.pipeline)).paused:
                paused.append(message)
            else:
                deliveries.append(Delivery(request, [message]))
        self._settler.give_back(paused, PAUSED_DELAY)
        return deliveries, poison

    def _fold(self, kept: dict[str, Kept], deliveries: list[Delivery]) -> None:
        """Take these in; settle and delete the superseded and the long settled at once."""
        if not deliveries:
            return
        ids = [delivery.request_id for delivery in deliveries]
        settled = self._table.requests.settled(ids)
        begun = self._table.requests.deployments_of(ids)
        superseded: list[Delivery] = []
        for delivery in deliveries:
            if delivery.request_id in settled:
                self._settler.forget(delivery)
                continue
            delivery.deployment_id = begun.get(delivery.request_id)
            filtered = bool(self._known[delivery.pipeline].paths)
            mine = kept.setdefault(delivery.pipeline, Kept(filtered=filtered))
            older = mine.take(delivery)
            if older is not None and older.deployment_id is not None:
                keep_begun(mine, older)
            elif older is not None:
                superseded.append(older)
                mine.superseded += 1
        self._settler.supersede(superseded)

    def _dead_letter(self, message: Message, why: str) -> None:
        """A message that is no request: kept for a person, said, and only then deleted."""
        self._log.warning("dead letter", message_id=message.message_id, why=why)
        self._inbox.dead_letter(message.body, why)
        text = f"a message on the build queue cannot be read and was given up on: {why}"
        self._closer.dead_letter(message.message_id, text)
        self._settler.delete([message])
