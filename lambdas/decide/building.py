"""The rules of CodeBuild's builds: one for a pipeline with work, no more than the limit; pure.

As for hosts, what starts one is the state of the world: wants and pending rows say that there is
work, the builder's row whether somebody is at it. CodeBuild's own word that a build is over is
certain: then its lock, and what it held, are free at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from lambdas.decide.situation import (
    Action,
    EndBuilder,
    FindBuilder,
    Snapshot,
    StartBuilder,
)
from lambdas.decide.upkeep import alert_ended, alert_raised
from slipway.contracts.messages import AlertKind
from slipway.contracts.table.builders import PATIENT, BuilderRow
from slipway.contracts.table.pending import NOBODY
from slipway.contracts.table.places import Place

UNANSWERED = 60.0
"""Seconds after which the answer to a StartBuild is missed: the Lambda that asked is long over."""
REFUSED = 900.0
"""Seconds for which CodeBuild may refuse a pipeline's builder before people are told."""
ALERT: AlertKind = "builders_refused"


def builder_actions(snapshot: Snapshot) -> list[Action]:
    """Ends, lost answers, and starts, in this order."""
    if not snapshot.engine.uses_code_build:
        return []
    return [*_ended(snapshot), *_unanswered(snapshot), *_starts(snapshot)]


def builder_alerts(snapshot: Snapshot) -> list[Action]:
    """CodeBuild starts no build for a pipeline, and that for long, or its builds end early; or
    that is over.
    """
    with_work = {name for name, _ in _work(snapshot)}
    actions: list[Action] = []
    for name, row in sorted(snapshot.builders.items()):
        why = _trouble(snapshot, row) if name in with_work else ""
        actions += (
            alert_raised(snapshot, ALERT, name, why)
            if why
            else alert_ended(snapshot, ALERT, name, "a build works for it again, or none has to")
        )
    return actions


def _trouble(snapshot: Snapshot, row: BuilderRow) -> str:
    """What people have to know of a pipeline's builds; empty if nothing."""
    refused = row.refused_since
    if refused is not None and snapshot.now - refused > REFUSED:
        return (
            f"CodeBuild starts no build for {row.pipeline}: the account's limit of builds at the"
            " same time is reached (Service Quotas); tried again as soon as one ends"
        )
    if row.failures > PATIENT or (row.failures == PATIENT and not row.is_live):
        said = f", the last as CodeBuild's {row.status}" if row.status else ""
        return (
            f"{row.failures} builds in a row ended before their work did{said}; tried again, ever"
            " later; the project's builds in CodeBuild's console say why"
        )
    return ""


def _ended(snapshot: Snapshot) -> list[Action]:
    return [
        EndBuilder(builder=snapshot.builders[name], status=status, why=f"CodeBuild says {status}")
        for name, status in sorted(snapshot.build_ends.items())
    ]


def _unanswered(snapshot: Snapshot) -> list[Action]:
    """Rows of which nobody knows whether CodeBuild has a build."""
    return [
        FindBuilder(builder=row, why=f"StartBuild for {name} has no answer")
        for name, row in sorted(snapshot.builders.items())
        if row.state == "asked" and snapshot.now - row.asked_at > UNANSWERED
    ]


def _starts(snapshot: Snapshot) -> list[Action]:
    """The longest waiting first, as many as the limit allows."""
    free = free_places(snapshot)
    waiting = sorted(_waiting(snapshot).items(), key=lambda item: (item[1], item[0]))
    return [
        StartBuilder(
            builder=snapshot.builders.get(name, BuilderRow(pipeline=name)),
            places=_beginning_with(free, name),
            why=f"work for {name} since {snapshot.now - since:.0f} s",
        )
        for name, since in waiting[: len(free)]
    ]


def free_places(snapshot: Snapshot) -> list[Place]:
    """The places that nobody has, within the limit."""
    taken = {place.number: place for place in snapshot.places}
    places = (taken.get(number, Place(number=number)) for number in range(_bound(snapshot)))
    return [place for place in places if _is_free(snapshot, place)]


def _bound(snapshot: Snapshot) -> int:
    """The number below which places are taken: the limit, less the live builders that have none
    below it. Those are of an earlier version, or of a limit that was higher; they only get fewer.
    """
    live = [row.place for name, row in snapshot.builders.items() if name in snapshot.built]
    bound = limit = snapshot.engine.limit
    while True:
        outside = sum(place is None or place >= bound for place in live)
        if limit - outside == bound:
            return max(0, bound)
        bound = limit - outside


def _is_free(snapshot: Snapshot, place: Place) -> bool:
    """Also where CodeBuild says that the build is over: that is noted before others are started."""
    row = snapshot.builders.get(place.pipeline)
    is_over = place.pipeline in snapshot.build_ends
    if is_over and row is not None and row.generation == place.generation:
        return True
    return place.is_free(snapshot.builders)


def _beginning_with(free: list[Place], pipeline: str) -> tuple[Place, ...]:
    """All of them, from one on that the pipeline's name says: two that ask at the same moment
    seldom begin with the same.
    """
    first = zlib.crc32(pipeline.encode()) % len(free)
    return (*free[first:], *free[:first])


def _waiting(snapshot: Snapshot) -> dict[str, float]:
    """Pipelines that need a builder, with since when they wait (seconds since the epoch)."""
    since: dict[str, float] = {}
    patience = _patience(snapshot)
    for name, at in _work(snapshot):
        is_due = not patience or snapshot.now - at >= patience
        if is_due and _is_left_to_us(snapshot, name):
            since[name] = min(at, since.get(name, at))
    return since


def _work(snapshot: Snapshot) -> Iterable[tuple[str, float]]:
    """Every sign of work: wants, notes `again` that nobody holds, pending rows that are free.

    A want whose row was given back for later is none yet: a builder would find nothing to do.
    """
    later = {
        row.request_id
        for row in snapshot.pending
        if row.held_by == NOBODY and row.visible_at > snapshot.now
    }
    for want in snapshot.wants:
        if want.builder and want.request_id not in later:
            yield want.pipeline, want.pushed_at
    for name, lock in snapshot.locks.items():
        if lock.again and not snapshot.followed(name):
            yield name, lock.again_at or snapshot.now
    for row in snapshot.pending:
        builder = snapshot.builders.get(row.pipeline, BuilderRow(pipeline=row.pipeline))
        held = row.held_by == builder.generation and row.pipeline in snapshot.built
        if row.visible_at <= snapshot.now or (row.held_by and not held):
            yield row.pipeline, row.since


def _patience(snapshot: Snapshot) -> float:
    """Seconds that hosts have before a builder is started beside them."""
    return snapshot.engine.overflow_after if snapshot.engine.when == "overflow" else 0.0


def _is_left_to_us(snapshot: Snapshot, pipeline: str) -> bool:
    builder = snapshot.builders.get(pipeline)
    return (
        pipeline in snapshot.configured
        and (builder is None or builder.next_at <= snapshot.now)
        and pipeline not in snapshot.at_work
        and not snapshot.waits(pipeline)
        and not snapshot.kept_from_us(pipeline)
    )
