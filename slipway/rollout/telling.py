"""What a rollout tells while it works, and its result, each with the time it took so far."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

from slipway.rollout.actions import Action, Tell
from slipway.rollout.judge import Look
from slipway.rollout.plan import Outcome, Progress, RolloutResult, Step, short
from slipway.rollout.state import Advanced, RolloutState, made, on
from slipway.rollout.unfinished import task_not_undone

_FAILED = frozenset({"rolled_back", "crash_loop", "timed_out", "failed", "cancelled"})


def enter(
    state: RolloutState,
    step: Step,
    now: float,
    *,
    note: str = "",
    task_definition: str | None = None,
) -> tuple[RolloutState, Tell]:
    """A new step begins: its time is counted, and it is told."""
    begun = replace(_counted(state, now), told=step, told_at=now)
    told = Progress(step=step, elapsed=0.0, note=note, task_definition=task_definition)
    return tell(begun, now, told)


def tell(state: RolloutState, now: float, progress: Progress) -> tuple[RolloutState, Tell]:
    """A line of progress, and whether it is another one than the last."""
    revision = short(progress.task_definition) if progress.task_definition else None
    line = zlib.crc32(repr(progress).encode())
    whole = replace(progress, elapsed=now - state.begun, revision=revision)
    return replace(state, line=line), Tell(progress=whole, is_new=line != state.line)


def progress_of(
    look: Look, task_definition: str, identifier: str, *, healthy: bool, step: Step = "wait"
) -> Progress:
    """What a look says to somebody who waits."""
    mine = look.service.deployment(identifier)
    counts: dict[str, Any] = {}
    if mine is not None:
        counts = {
            "desired": mine.desired,
            "running": mine.running,
            "pending": mine.pending,
            "failed": mine.failed,
        }
    others_left = len(look.service.deployments) > 1
    waiting: Step = "drain" if healthy and others_left and step == "wait" else step
    return Progress(
        step=waiting,
        elapsed=0.0,
        task_definition=task_definition,
        stage=look.ours.stage if look.ours else None,
        **counts,
    )


def over(
    state: RolloutState, now: float, *actions: Action, outcome: Outcome, cause: str, **members: Any
) -> Advanced:
    """The rollout is over, like this."""
    return finish(state, now, RolloutResult(outcome=outcome, cause=cause, **members), *actions)


def finish(state: RolloutState, now: float, ending: RolloutResult, *actions: Action) -> Advanced:
    """The same with `ending`, and all that was noted on the way.

    A revision that failed and is to go is deregistered first.
    """
    state, ending = _of_undoing(state, ending)
    if discards(state, ending):
        note = f"deregistering {short(state.after)}, {end_of_revision(state)}"
        state, told = enter(state, "prune", now, note=note, task_definition=state.after)
        waiting = replace(
            state, step="discard", ending=ending, intent=None, following=None, look_at=now
        )
        return on(waiting, *actions, told)
    result = with_notes(state, now, ending)
    ended = replace(
        state, step="over", result=result, intent=None, following=None, ending=None, told=None
    )
    return on(ended, *actions)


def discards(state: RolloutState, ending: RolloutResult) -> bool:
    """Whether the revision that was registered for this rollout is to be deregistered.

    Not where it runs, where it is not known what runs, and where another deployment took over:
    then it has not failed.
    """
    if not state.plan.discard_failed or not state.registers or state.after is None:
        return False
    if state.plan.is_companion and "register_task_definition" not in made(state):
        return False  # it was there before
    if state.step in ("discard", "prune") or ending.running in (None, state.after):
        return False
    return ending.outcome in _FAILED


def end_of_revision(state: RolloutState) -> str:
    """Why its revision is to go: it may have failed nobody."""
    return "which failed" if state.cancelled is None else "which was taken back"


def with_notes(state: RolloutState, now: float, ending: RolloutResult) -> RolloutResult:
    """`ending` with what was noted on the way, and the seconds by step."""
    not_undone = task_not_undone(state, ending)
    return replace(
        ending,
        changes=state.changes,
        warnings=(*state.warnings, *([not_undone] if not_undone else [])),
        skipped=state.skipped,
        timings=_counted(state, now).timings,
    )


def _of_undoing(state: RolloutState, ending: RolloutResult) -> tuple[RolloutState, RolloutResult]:
    """The end of a deployment that was to bring back what ran, as that of the rollout itself, and
    the state as it was for that one: its own revision is the one that fails.
    """
    success, failure = state.undoes, state.failure
    if success is None or failure is None:
        return state, ending
    kept: tuple[Outcome, ...] = ("superseded", "unwatched")
    outcome: Outcome = ending.outcome if ending.outcome in kept else "failed"
    text = f"rolling back to {short(success.before)} failed: {ending.cause}"
    if ending.done:
        outcome, text = "rolled_back", f"rolled back: {short(success.before)} runs again"
    result = replace(
        ending,
        outcome=outcome,
        cause=f"{failure.cause}; {text}",
        before=success.before,
        after=success.after,
        restored=None if outcome in kept else ending.done,
    )
    turned = replace(state, before=success.before, after=success.after, undoes=None)
    return turned, result


def _counted(state: RolloutState, now: float) -> RolloutState:
    """The time of the step that ends counted."""
    if state.told is None:
        return state
    spent = state.timings.get(state.told, 0.0) + now - state.told_at
    return replace(state, timings={**state.timings, state.told: spent}, told=None)
