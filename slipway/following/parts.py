"""What a follower works with, whatever process it is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slipway.contracts.installation import Installation
from slipway.contracts.messages import FollowMessage
from slipway.contracts.table import Table
from slipway.following.ending import Ending
from slipway.rollout import Progress, RolloutPlan
from slipway.rollout.roll_out import take
from slipway.rollout.state import Advanced

Guard = Callable[[], None]
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class FollowerParts:
    """What a follower works with.

    `name`: who claims; what stands before a `/` is shown to people. `means(plan, guard,
    on_progress)` makes the rollout's `Means`, `take` its step (`slipway/rollout`). `send(message,
    delay)` puts a message on the follow queue.
    """

    name: str
    installation: Installation
    table: Table
    now: Callable[[], float]
    means: Callable[[RolloutPlan, Guard, OnProgress], Any]
    send: Callable[[FollowMessage, float], None]
    ending: Ending
    jitter: Callable[[], float]
    take: Callable[[Advanced, Any], Advanced | None] = take
