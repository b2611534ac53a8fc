"""What following one rollout costs: ours, Step Functions, durable functions, a host that waits.

Prices: us-east-1, US dollars, without free tiers, from AWS's price pages as read in September to
November 2026. Calls of ECS and CodeDeploy, and events of AWS's own services, cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from infra.function import MEMORY
from lambdas.follower.handler import GROWTH
from slipway.contracts.installation import Limits

MILLION = 1_000_000
LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000133334  # arm64
SQS_REQUEST = 0.40 / MILLION
SNS_PUBLISH = 0.50 / MILLION
WRITE_UNIT = 0.625 / MILLION  # on demand; 1 KB, twice in a transaction
READ_UNIT = 0.125 / MILLION  # on demand; 4 KB, read consistently
LOGS_GB = 0.50
TRANSITION = 0.025 / 1000  # Step Functions, standard workflow
DURABLE_OPERATION = 8.00 / MILLION

LOOK_SECONDS = 0.3
ROW_KB = 4.0
"""The deployment's row with what is known of the rollout: in the tests' scenarios 3.3 KB at the
median, 4.8 at most."""
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
        age += min(limits.follow_longest, max(limits.follow_first, age / GROWTH))
        count += 1
    return count


@dataclass(frozen=True)
class Look:
    """What one look takes in which nothing has changed, in dollars by service.

    SQS: the next message, its receipt, its deletion. DynamoDB: the row twice and the lock read,
    the claim taken and released; a write is charged for the whole row.
    """

    lambda_: float = LAMBDA_REQUEST + LOOK_SECONDS * MEMORY["follower"] / 1024 * LAMBDA_GB_SECOND
    sqs: float = 3 * SQS_REQUEST
    reads: float = (2 * math.ceil(ROW_KB / 4) + 1) * READ_UNIT
    writes: float = 2 * math.ceil(ROW_KB) * WRITE_UNIT
    logs: float = LOG_KB / 1024**2 * LOGS_GB

    @property
    def total(self) -> float:
        return self.lambda_ + self.sqs + self.reads + self.writes + self.logs


def beginning_and_end() -> float:
    """The hand-over and the outcome: a transaction each (row, lock, request, want), the notice."""
    transaction = 2 * (math.ceil(ROW_KB) + 3) * WRITE_UNIT
    return 2 * transaction + CHANGES * math.ceil(ROW_KB) * WRITE_UNIT + 2 * SNS_PUBLISH


def followed(minutes: float) -> float:
    """$ of all calls that follow one rollout of so many minutes, its beginning and its end."""
    return (looks(minutes) + EVENTS) * Look().total + beginning_and_end()


def step_functions(minutes: float) -> float:
    """$ of the same looks in a standard workflow: wait, look, choose; its start and its end."""
    return looks(minutes) * (3 * TRANSITION + Look().lambda_) + 2 * TRANSITION


def durable_function(minutes: float) -> float:
    """$ of the same looks in a durable function: a step and a wait each; what it keeps left out."""
    return looks(minutes) * (2 * DURABLE_OPERATION + Look().lambda_) + DURABLE_OPERATION
