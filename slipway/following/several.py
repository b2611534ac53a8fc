"""What comes next where a deployment has several services. Pure.

They are rolled out one after the other, in order, or side by side. If one fails, those that have
succeeded go back to what they ran, the last one first; those that have not begun never do. Nothing
waits for a revision that failed to be deregistered: that comes last of all. Their companions
(scheduled tasks, and definitions alone) come after them in the same way: seen before any service
begins, changed one after the other once all services are steady and proved. All of it follows from
the states of the rollouts. So whoever goes on after a crash comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from slipway.contracts.sentences import COMPANIONS, cancelled_by
from slipway.following.state import Followed, Part
from slipway.rollout import RolloutResult
from slipway.rollout.cancelling import cancel, ends_first
from slipway.rollout.state import Advanced, RolloutState, StepName
from slipway.rollout.undoing import can_be_undone, undo

NEWER = "a newer request"
"""Who stops a rollout that gives way."""
_UNTIL_TASK_IS_OVER: frozenset[StepName] = frozenset(
    {
        "read", "target", "base", "verify", "group", "register", "alarms", "task", "task_wait",
        "cancel_task",
    }
)  # fmt: skip
_PROVES_ALL: frozenset[StepName] = frozenset({"post_task", "bake"})
"""The steps in which what is proved for all begins."""

Numbered = tuple[int, Advanced]


def name_of(part: Part, parts: tuple[Part, ...] | None) -> str:
    """A service's name for people; with its cluster where another of them has the same."""
    alike = [o for o in parts or () if (o.kind, o.service) == (part.kind, part.service)]
    name = f"{part.cluster}/{part.service}" if len(alike) > 1 else part.service
    return name if part.kind is None else f"{COMPANIONS[part.kind]} {name}"


def end_of(state: RolloutState) -> RolloutResult | None:
    """How a rollout ended, also while its revision is still to be deregistered; None: not yet."""
    return state.ending if state.step == "discard" else state.result


def in_hand(followed: Followed) -> tuple[int, ...]:
    """The rollouts of which steps are taken now, by number; none: all is over."""
    rollouts = followed.rollouts
    there = [number for number, state in enumerate(rollouts) if state.result is None]
    there = [number for number in there if not _waits_for_others(followed, number)]
    if gives_way(followed):
        return tuple(n for n in there if ends_first(rollouts[n]) or end_of(rollouts[n]) is not None)
    unseen = [number for number in there if rollouts[number].step == "sight"]
    if unseen:
        return tuple(unseen[:1])
    services = [number for number in there if not rollouts[number].plan.is_companion]
    if followed.together and not _waits_for_its_task(rollouts[0]):
        if len(services) == len(there):
            return tuple(there)
        going_on = [number for number in services if end_of(rollouts[number]) is None]
        if going_on:  # what a companion may still name is deregistered once that is over
            return tuple(going_on)
    return tuple(sorted(there, key=lambda n: end_of(rollouts[n]) is not None)[:1])


def is_to_be_told(followed: Followed) -> bool:
    """Whether nothing but revisions that failed is left: then the outcome stands, and no newer
    request takes its place.
    """
    there = [followed.rollouts[number] for number in in_hand(followed)]
    return bool(there) and all(end_of(state) is not None for state in there)


def gives_way(followed: Followed) -> bool:
    """Whether one of several was stopped for a newer request: then only what must end goes on."""
    return len(followed.rollouts) > 1 and any(_is_stopped(state) for state in followed.rollouts)


def failed_one(followed: Followed) -> int | None:
    """The number of the rollout that failed by itself, and not because another one has."""
    for number, state in enumerate(followed.rollouts):
        end = end_of(state)
        if end is not None and not end.done and state.cancelled is None:
            return number
    return None


def consequences(followed: Followed, now: float) -> tuple[Numbered, ...]:
    """What the failure of one (or a cancel) makes of the others, each with its next step."""
    if len(followed.rollouts) == 1 or gives_way(followed):
        return ()
    why = _why(followed)
    if why is None:
        return ()
    stopped = tuple(_stopped(followed, why[0], now))
    return stopped or tuple(_undone(followed, *why, now))


def _why(followed: Followed) -> tuple[str, str] | None:
    """Who asks for the end of the others, and the cause that is told."""
    number = failed_one(followed)
    if number is not None:
        name = name_of((followed.parts or ())[number], followed.parts)
        return f"the failure of {name}", f"taken back because {name} was not rolled out"
    if followed.cancelled_by is not None:
        return followed.cancelled_by, cancelled_by(followed.cancelled_by)
    return None


def _stopped(followed: Followed, by: str, now: float) -> Iterator[Numbered]:
    """Those that are not over; what has not begun never does."""
    for number, state in enumerate(followed.rollouts):
        if state.result is None and state.cancelled is None:
            asked = cancel(state, by, now)
            if asked.state is not state:
                yield number, asked


def _undone(followed: Followed, by: str, cause: str, now: float) -> Iterator[Numbered]:
    """Those that have succeeded: all at once, or the last one first, each once none is open."""
    there = [
        number
        for number, state in enumerate(followed.rollouts)
        if state.cancelled is None and can_be_undone(state)
    ]
    if not followed.together:
        is_open = any(end_of(state) is None for state in followed.rollouts)
        there = [] if is_open else there[-1:]
    for number in there:
        yield number, undo(followed.rollouts[number], by, cause, now)


def _waits_for_its_task(first: RolloutState) -> bool:
    """The task before the services change is one for all: nothing else begins before it is over."""
    is_open = first.result is None and first.plan.task is not None
    return is_open and first.step in _UNTIL_TASK_IS_OVER


def _waits_for_others(followed: Followed, number: int) -> bool:
    """What is proved for all services comes once all the others are over; companions wait for that:
    no scheduled task is set to what is not proved.
    """
    others = (
        state
        for n, state in enumerate(followed.rollouts)
        if n != number and not state.plan.is_companion
    )
    is_for_all = followed.rollouts[number].step in _PROVES_ALL
    return is_for_all and any(end_of(state) is None for state in others)


def _is_stopped(state: RolloutState) -> bool:
    return state.cancelled is not None and state.cancelled.by == NEWER
