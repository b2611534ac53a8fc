"""What it costs to follow one rollout from its deployment's row, all calls counted.

Calls of ECS and CodeDeploy, and events of AWS's own services, cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from slipway.contracts.installation import Limits
from slipway.cost.prices import OF_AWS, Prices
from slipway.following.backoff import look_pause

FOLLOWER_MB = 512
"""The follower's memory, as `infra/function.py` gives it."""
LOOK_SECONDS = 0.3
ROW_KB = 4.0
"""The deployment's row with what is known of the rollout. Over the looks of an hour it has 3.3 KB
with one commit to tell of, 4.5 with ten; in the few writes of a way back up to 0.8 more
(`tests/unit/slipway/cost/test_row_size.py`)."""
LOG_KB = 1.0
"""Of one invocation: Lambda's own three lines, and the count of the step."""

CHANGES = 20
"""Writes of a rollout that are not a look's: each intent before a change, stages, details."""
EVENTS = 10
"""ECS's and CodeDeploy's events about it, a pause hook's included: each calls for a look."""


def looks(minutes: float) -> int:
    """How often the follow queue calls in a rollout of so many minutes, as the handler does it."""
    limits, age, count = Limits(), 0.0, 0
    while age < 60 * minutes:
        age += look_pause(age, limits)
        count += 1
    return count


@dataclass(frozen=True)
class Look:
    """What one look takes in which nothing has changed, in dollars by service.

    SQS: the next message, its receipt, its deletion. DynamoDB: the row twice and the lock read,
    the claim taken and released; a write is charged for the whole row.
    """

    prices: Prices = OF_AWS

    @property
    def lambda_(self) -> float:
        seconds = LOOK_SECONDS * FOLLOWER_MB / 1024 * self.prices.lambda_gb_second
        return self.prices.lambda_request + seconds

    @property
    def sqs(self) -> float:
        return 3 * self.prices.sqs_request

    @property
    def reads(self) -> float:
        return (2 * math.ceil(ROW_KB / 4) + 1) * self.prices.read_unit

    @property
    def writes(self) -> float:
        return 2 * math.ceil(ROW_KB) * self.prices.write_unit

    @property
    def logs(self) -> float:
        return LOG_KB / 1024**2 * self.prices.logs_gb

    @property
    def total(self) -> float:
        return self.lambda_ + self.sqs + self.reads + self.writes + self.logs


def beginning_and_end(prices: Prices) -> float:
    """The hand-over and the outcome: a transaction each (row, lock, request, want), the notice."""
    transaction = 2 * (math.ceil(ROW_KB) + 3) * prices.write_unit
    changes = CHANGES * math.ceil(ROW_KB) * prices.write_unit
    return 2 * transaction + changes + 2 * prices.sns_publish


def followed(minutes: float, prices: Prices = OF_AWS) -> float:
    """$ of all calls that follow one rollout of so many minutes, its beginning and its end."""
    return (looks(minutes) + EVENTS) * Look(prices).total + beginning_and_end(prices)
