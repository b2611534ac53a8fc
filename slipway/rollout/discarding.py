"""A revision that failed does not stay its family's newest: it is deregistered, last of all.

A stack or a schedule that names the bare family starts the newest ACTIVE revision. So what was
registered for a rollout that failed goes, once what ran before runs again. So does that of one
which was taken back, because somebody cancelled it, or because another service of its pipeline
failed: it failed nobody, but it is of a version that is not to run. It stays where anything still
names it: a service of the cluster, one of their deployments, a running task, a scheduled task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.rollout.actions import Deregister
from slipway.rollout.looks import Deregistered, Look, Refusal, Revisions, of_kind
from slipway.rollout.pace import pause
from slipway.rollout.plan import RolloutResult, short
from slipway.rollout.state import Advanced, RolloutState, intend, on, sure
from slipway.rollout.telling import end_of_revision, finish

PATIENCE = 60.0
"""Seconds for which the failed deployment may still be listed, with its last tasks."""


def discard(state: RolloutState, look: Look, now: float) -> Advanced:
    """Deregister the rollout's own revision, unless something names it.

    A failure changes nothing of the outcome: it is a warning, and the revision stays.
    """
    revision = sure(state.after)
    if isinstance(look, Revisions):
        if revision not in look.active:
            return _end(state, (revision,), None, now)
        named = look.service.named_definitions if look.service is not None else frozenset()
        if revision in look.used | named:
            if now - state.told_at < PATIENCE:
                at = now + pause(state.id, now, now - state.told_at)
                return on(replace(state, intent=None, look_at=at))
            return _end(state, (), "something still names it", now)
        state = replace(state, deregistering=(revision,))
        return intend(state, now, Deregister(revisions=(revision,)))
    if isinstance(look, Deregistered):
        return _end(state, look.revisions, look.problem, now)
    return _end(state, (), of_kind(Refusal, look).text, now)


def kept(state: RolloutState, problem: str, now: float) -> Advanced:
    """The revision stays, for this reason; the rollout is over as it was."""
    return _end(state, (), problem, now)


def _end(state: RolloutState, gone: tuple[str, ...], problem: str | None, now: float) -> Advanced:
    if problem is not None:
        why = end_of_revision(state)
        warning = f"{short(state.after)}, {why}, was not deregistered: {problem}"
        state = replace(state, warnings=(*state.warnings, warning))
    ending = sure(state.ending)
    if problem is not None and state.plan.family is not None:
        ending = _still_newest(state, ending, problem)
    return finish(state, now, replace(ending, deregistered=gone))


def _still_newest(state: RolloutState, ending: RolloutResult, problem: str) -> RolloutResult:
    """A definition alone that stays is what its family's next task runs."""
    cause = f"{ending.cause}; {short(state.after)} stays the newest of its family: {problem}"
    return replace(ending, outcome="failed", cause=cause, running=state.after, restored=False)


STEPS: Mapping[str, Any] = {"discard": discard}
