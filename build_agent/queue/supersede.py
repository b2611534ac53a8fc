"""Which requests a worker keeps of those it received: one tip a pipeline, all named ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from build_agent.queue.inbox import Delivery, Message
from slipway.contracts.messages import BuildRequest
from slipway.following.told import is_found


def is_newer(one: BuildRequest, other: BuildRequest) -> bool:
    """By the time of the push; the id decides between equal times, so that all decide alike."""
    return (one.pushed_at, one.request_id) > (other.pushed_at, other.request_id)


@dataclass
class Kept:
    """What is held of one pipeline. `superseded` counts the tip requests dropped for `tip`.

    `filtered`: paths decide on its pushes. Then no push takes the place of what an operator asked
    for: it may concern another pipeline, and would be answered with 'unchanged'.
    """

    filtered: bool = False
    tip: Delivery | None = None
    named: dict[str, Delivery] = field(default_factory=dict)
    begun: dict[str, Delivery] = field(default_factory=dict)
    """Older tip requests whose deployment had begun: they are ended under the pipeline's lock."""
    superseded: int = 0

    def take(self, delivery: Delivery) -> Delivery | None:
        """Keep `delivery`; the older tip request that is superseded by that, if any."""
        request = delivery.request
        if not request.is_tip:
            _join(self.named, delivery)
            return None
        if self.tip is None:
            self.tip = delivery
            return None
        if self.tip.request_id == delivery.request_id:
            self.tip.messages += delivery.messages
            return None
        older = delivery
        if is_newer(request, self.tip.request):
            older, self.tip = self.tip, delivery
        if self.filtered and not is_found(older.request) and is_found(self.tip.request):
            _join(self.named, older)
            return None
        return older

    def in_order(self) -> list[Delivery]:
        """Oldest push first, so that a rollback and a push take effect as they were asked.

        A tip request comes after a newer rollback as well: that took its place, and would else
        wait until the rollout that it is to end is over.
        """
        rollbacks = [d.request.pushed_at for d in self.named.values() if _is_rollback(d)]

        def place(delivery: Delivery) -> tuple[float, bool, str]:
            is_tip = delivery is self.tip
            asked = max([delivery.request.pushed_at, *(rollbacks if is_tip else [])])
            return asked, is_tip, delivery.request_id

        return sorted([*self.named.values(), *([self.tip] if self.tip else [])], key=place)

    @property
    def all(self) -> list[Delivery]:
        return [*self.begun.values(), *self.in_order()]

    @property
    def messages(self) -> list[Message]:
        return [message for delivery in self.all for message in delivery.messages]

    @property
    def builds(self) -> bool:
        """Whether a build slot is needed; none for what ran before (a rollback)."""
        return any(d.request.target.kind != "deployment" for d in self.all)

    @property
    def since(self) -> float:
        """When the oldest of the pushes came, in seconds since the epoch."""
        return min((d.request.pushed_at for d in self.all), default=float("inf"))


def _is_rollback(delivery: Delivery) -> bool:
    return delivery.request.reason == "rollback"


def _join(held: dict[str, Delivery], delivery: Delivery) -> None:
    """Another delivery of the same request is held beside the first."""
    first = held.setdefault(delivery.request_id, delivery)
    if first is not delivery:
        first.messages += delivery.messages


def keep_begun(kept: Kept, delivery: Delivery) -> None:
    """Keep a request whose deployment has begun: no newer one drops it."""
    _join(kept.begun, delivery)
