"""What following one rollout costs elsewhere: Step Functions, durable functions.

Ours is `slipway/cost/following.py`; prices as there, without free tiers.
"""

from __future__ import annotations

from slipway.cost.following import Look, looks

TRANSITION = 0.025 / 1000  # Step Functions, standard workflow
DURABLE_OPERATION = 8.00 / 1_000_000


def step_functions(minutes: float) -> float:
    """$ of the same looks in a standard workflow: wait, look, choose; its start and its end."""
    return looks(minutes) * (3 * TRANSITION + Look().lambda_) + 2 * TRANSITION


def durable_function(minutes: float) -> float:
    """$ of the same looks in a durable function: a step and a wait each; what it keeps left out."""
    return looks(minutes) * (2 * DURABLE_OPERATION + Look().lambda_) + DURABLE_OPERATION
