"""Deregister old revisions, never one that anything still needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from slipway.rollout.actions import Deregister
from slipway.rollout.looks import Deregistered, Look, Refusal, Revisions, of_kind
from slipway.rollout.service import Service
from slipway.rollout.state import Advanced, RolloutState, intend, sure
from slipway.rollout.telling import finish


def prune(state: RolloutState, look: Look, now: float) -> Advanced:
    """Keep the newest ACTIVE revisions of the live family and those that are needed.

    A failure never undoes the success: it is a warning.
    """
    if isinstance(look, Revisions):
        gone = tuple(arn for arn in state.deregistering if arn not in look.active)
        outdated = outdated_of(state, sure(look.service), look.active, used=look.used)
        if not outdated:
            return _end(state, gone, None, now)
        state = replace(state, deregistering=(*gone, *outdated))
        return intend(state, now, Deregister(revisions=tuple(outdated)))
    if isinstance(look, Deregistered):
        before = tuple(arn for arn in state.deregistering if arn not in look.asked)
        return _end(state, (*before, *look.revisions), look.problem, now)
    look = of_kind(Refusal, look)
    return _end(state, (), look.text, now)


def outdated_of(
    state: RolloutState,
    now: Service,
    active: Iterable[str],
    *,
    used: frozenset[str] = frozenset(),
) -> list[str]:
    """Which revisions to deregister.

    Needed are the live and the previous one, and every one that a deployment of this service, or of
    another of its cluster (`used`), names.
    """
    needed = {state.after or "", state.before or "", now.proven} | now.named_definitions | used
    return surplus(active, keep=state.plan.max_definitions or 1, needed=needed)


def surplus(revisions: Iterable[str], *, keep: int, needed: Iterable[str]) -> list[str]:
    """Which of one family's `revisions` (ARNs, any order) to deregister, the oldest first."""
    newest_first = sorted(revisions, key=_number, reverse=True)
    protected = set(needed)
    return [arn for arn in reversed(newest_first[keep:]) if arn not in protected]


def _end(state: RolloutState, gone: tuple[str, ...], problem: str | None, now: float) -> Advanced:
    if problem is not None:
        warning = f"old revisions were not all deregistered: {problem}"
        state = replace(state, warnings=(*state.warnings, warning))
    return finish(state, now, replace(sure(state.ending), deregistered=gone))


def _number(arn: str) -> int:
    digits = arn.rpartition(":")[2]
    return int(digits) if digits.isdigit() else 0


STEPS: Mapping[str, Any] = {"prune": prune}
