"""How a deployment of several services ended: one outcome, and what each of them runs now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from slipway.contracts.messages import ServiceOutcome, Status
from slipway.following.outcome import Ended
from slipway.following.several import end_of, failed_one, gives_way, name_of
from slipway.following.state import Followed, Part
from slipway.rollout import RolloutResult, short
from slipway.rollout.actions import Change
from slipway.rollout.api import Refused, WrongForAws
from slipway.rollout.discarding import kept
from slipway.rollout.state import Advanced, RolloutState, unsure_of_intent
from slipway.rollout.telling import finish
from slipway.rollout.unfinished import service_changed

ByItself = Literal["failed", "unwatched"]
"""How one of several ends that its own steps do not end: never going to be right, or given up."""


def with_services(ended: Ended, followed: Followed) -> Ended:
    """`ended` with what each of several services runs as far as it is known; of one, as it is."""
    return ended if followed.parts is None else of_services(ended, services_of(followed))


def of_services(ended: Ended, services: Sequence[ServiceOutcome]) -> Ended:
    """`ended` with these services, which its task definitions then name in this order; their
    companions are not among those.
    """
    alone = [service for service in services if service.kind is None]
    return replace(
        ended,
        services=tuple(services),
        before=_joined(s.before for s in alone),
        after=", ".join(s.after for s in alone if s.after) or None,
        now_running=_joined(s.now for s in alone),
    )


def services_of(followed: Followed) -> tuple[ServiceOutcome, ...]:
    """Each service, with what it ran and what it runs.

    One that ran before what it was to run is as new as it is old: where the others go back, it
    runs what ran before.
    """
    parts = followed.parts or ()
    goes_back = failed_one(followed) is not None or followed.cancelled_by is not None
    found = [_service(part, state) for part, state in zip(parts, followed.rollouts, strict=True)]
    return tuple(
        replace(one, after=None) if goes_back and one.before == one.after else one for one in found
    )


def of_several(followed: Followed) -> Ended:
    """The outcome of the whole, once nothing of it is to be done any more.

    Good only if all are; `rolled_back` only if each runs what it ran before.
    """
    status = _status(followed)
    good = status in ("succeeded", "unchanged")
    ended = Ended(
        status=status,
        stage="close" if good else followed.stage,
        cause=None if good else _cause(followed, status),
    )
    return with_services(ended, followed)


def over_by_itself(
    step: Advanced, outcome: ByItself, cause: str, error: Exception, now: float
) -> RolloutState:
    """A rollout over by `error`, for its own steps could not end it.

    What runs is known if nothing was changed. A change under way may have been taken, unless AWS
    has refused that very one. Where only its revision is left to be deregistered, that stays.
    """
    if end_of(step.state) is not None:
        return kept(step.state, str(error), now).state
    makes = any(isinstance(action, Change) for action in step.actions)
    refused = makes and isinstance(error, Refused | WrongForAws)
    state = step.state if refused else unsure_of_intent(step.state)
    ending = RolloutResult(
        outcome=outcome,
        cause=cause,
        before=state.before,
        after=state.after,
        deployment=state.deployment,
        running=None if service_changed(state) else state.before,
    )
    return finish(state, now, ending).state


def failed_result(followed: Followed) -> RolloutResult | None:
    """The result of the rollout that failed by itself."""
    number = failed_one(followed)
    return None if number is None else end_of(followed.rollouts[number])


def lines_of(followed: Followed) -> list[str]:
    """Each rollout's own lines, with the name of its service."""
    parts = followed.parts or ()
    return [
        f"{name_of(part, parts)}: {line}"
        for part, state in zip(parts, followed.rollouts, strict=True)
        if (result := end_of(state)) is not None
        for line in (*result.changes, *result.warnings, *result.skipped, result.cause)
    ]


def _status(followed: Followed) -> Status:
    outcomes = {end.outcome if (end := end_of(s)) else None for s in followed.rollouts}
    if gives_way(followed):
        return "superseded"
    if "unwatched" in outcomes:
        return "gave_up"
    if outcomes == {"unchanged"}:
        return "unchanged"
    if outcomes <= {"succeeded", "unchanged"}:
        return "succeeded"
    return _status_of_failure(followed)


def _status_of_failure(followed: Followed) -> Status:
    number = failed_one(followed)
    changed = [_is_changed(state) for state in followed.rollouts]
    if number is None and not any(changed):
        return "cancelled"
    if number is not None and changed.count(True) <= 1:
        result = end_of(followed.rollouts[number])
        if result is not None and result.outcome == "superseded":
            return "superseded"
    results = [end for state in followed.rollouts if (end := end_of(state)) is not None]
    is_proven = all(result.restored is not False for result in results)
    is_old = is_proven and all(service.runs == "before" for service in services_of(followed))
    return "rolled_back" if is_old and any(changed) else "failed"


def _cause(followed: Followed, status: Status) -> str:
    """Why it failed; and of each other service that does not run what it ran, why not."""
    if status == "superseded" and gives_way(followed):
        return "a newer request took its place"
    failed, services = failed_one(followed), services_of(followed)
    told = [] if failed is None else [failed]
    told += [
        number
        for number, service in enumerate(services)
        if number != failed and (service.runs != "before" or failed is None)
    ]
    causes = [_cause_of(followed, number) for number in told]
    return "; ".join(dict.fromkeys(filter(None, causes)))


def _cause_of(followed: Followed, number: int) -> str:
    result, parts = end_of(followed.rollouts[number]), followed.parts or ()
    if result is None or result.done or not result.cause:
        return ""
    return f"{name_of(parts[number], parts)}: {result.cause}"


def _service(part: Part, state: RolloutState) -> ServiceOutcome:
    result, changed = end_of(state), _is_changed(state)
    before = (result and result.before) or state.before or part.ran
    after = (result and result.after) or state.after
    now = result.running if result is not None else None
    is_seen = part.kind is not None and result is not None
    if not changed and not is_seen and (result is None or not result.done):
        stays = part.ran in (None, before) and not part.moves
        now = before if stays else None  # else it was on its way elsewhere
    return ServiceOutcome(
        cluster=part.cluster,
        service=part.service,
        before=_short(before),
        after=_short(after),
        now=_short(now),
        touched=changed,
        kind=part.kind,
    )


def _is_changed(state: RolloutState) -> bool:
    """Whether its service was changed, or may have been; a cancel has looked for that."""
    end = end_of(state)
    if end is not None and end.outcome == "cancelled":
        return False
    return service_changed(unsure_of_intent(state))


def _joined(names: Iterable[str | None]) -> str | None:
    """All of them; None where one is not known."""
    there = list(names)
    return None if None in there or not there else ", ".join(str(name) for name in there)


def _short(task_definition: str | None) -> str | None:
    return short(task_definition) if task_definition else None
