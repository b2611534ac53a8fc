"""What a deployment from the command line needs of the outside: clients and a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slipway.cli.aws.credentials import Clients, Credentials
from slipway.rollout.clock import SystemClock


@dataclass(frozen=True)
class World:
    """What a deployment needs of the outside; a test puts its own in as the context's object."""

    clients: Callable[[Credentials, Any], Any] = lambda c, on_call: Clients(c, on_call=on_call)
    clock: Any = field(default_factory=SystemClock)
