"""How what is held ends: announced, settled, its want cleared, then deleted; or given back.

Whatever ends a step between two of these leaves a request that comes again, and then what was done
is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from build_agent.host.clock import Clock
from build_agent.queue.inbox import Delivery, Inbox, Message
from build_agent.queue.lease import Keeper
from slipway.contracts.installation import Limits
from slipway.contracts.messages import DeploymentResult
from slipway.contracts.table import Table
from slipway.contracts.table.requests import Settled
from slipway.following.record import Recorder


class Settler:
    """Ends requests: noted in the table first, deleted from the queue after it."""

    def __init__(
        self,
        *,
        table: Table,
        inbox: Inbox,
        keeper: Keeper,
        recorder: Recorder,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._table = table
        self._inbox = inbox
        self._keeper = keeper
        self._recorder = recorder
        self._clock = clock
        self._limits = limits

    def close(self, delivery: Delivery, result: DeploymentResult, *, announced: bool) -> None:
        """End the request of a recorded deployment, which is announced first if need be."""
        if not announced:
            self._recorder.announce(result)
        self.settle(delivery, result.status, result.deployment_id)

    def settle(self, delivery: Delivery, outcome: str, deployment_id: str | None) -> None:
        """The request's one outcome (the first stands); then its want goes, then its messages."""
        self._table.requests.settle_once(
            self._settled(delivery, outcome, deployment_id), kept=self._limits.settled_kept
        )
        self.forget(delivery)

    def join(self, delivery: Delivery) -> bool:
        """Settle a request into another worker's run; False if a run of its own was begun."""
        joined = self._table.requests.join(
            self._settled(delivery, "joined", None), kept=self._limits.settled_kept
        )
        if joined:
            self.forget(delivery)
        return joined

    def supersede(self, deliveries: Sequence[Delivery]) -> None:
        """Settle requests for which nothing had begun, a hundred in one call, and delete them.

        A want that one of them left is cleared with the request that took its place (`forget`).
        """
        outcomes = [self._settled(delivery, "superseded", None) for delivery in deliveries]
        self._table.requests.settle(
            {o.request_id: o for o in outcomes}.values(), kept=self._limits.settled_kept
        )
        self.delete(message for d in deliveries for message in d.messages)

    def forget(self, delivery: Delivery) -> None:
        """A settled request: clear the want that it or a settled neighbour left, delete it."""
        want = self._table.wants.get(delivery.request)
        if want is not None and (
            want.request_id == delivery.request_id
            or self._table.requests.settled([want.request_id])
        ):
            self._table.wants.clear([want.request])
        self.delete(delivery.messages)

    def delete(self, messages: Iterable[Message]) -> None:
        """For good: what they asked for has its outcome, or is kept as a dead letter."""
        gone = list(messages)
        if gone:
            self._inbox.delete(gone)
        self._keeper.let_go(gone)

    def give_back(self, messages: Iterable[Message], delay: int = 0) -> None:
        """To the queue in `delay` seconds; what was deleted or given back is none of ours more."""
        held = {message.receipt for message in self._keeper.held}
        back = [message for message in messages if message.receipt in held]
        self._keeper.let_go(back)
        if back:
            self._inbox.give_back(back, delay)

    def _settled(self, delivery: Delivery, outcome: str, deployment_id: str | None) -> Settled:
        return Settled(
            request_id=delivery.request_id,
            outcome=outcome,
            pipeline=delivery.pipeline,
            settled_at=self._clock.now(),
            deployment_id=deployment_id,
        )
