"""What waits, and for what: a request for a host, a host for work, a watcher for a deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slipway.contracts.table.builders import is_builder
from slipway.contracts.wording import duration, person

if TYPE_CHECKING:
    from slipway.cli.aws.hosts import Host
    from slipway.cli.aws.session import Session
    from slipway.contracts.installation import Installation, Limits
    from slipway.contracts.table.builders import BuilderRow
    from slipway.contracts.table.hosts import HostRow
    from slipway.contracts.table.locks import LockRow
    from slipway.contracts.table.pipelines import PipelineRow
    from slipway.contracts.table.wants import Want

LOOK_EVERY = 5.0
"""Seconds between two looks at what a deployment that has not begun waits for."""


@dataclass(frozen=True)
class Work:
    """The pipelines for which a request waits: those that a host is woken for, those that are
    paused, and those whose rollout is to end first.

    What comes for a pipeline that a host has a run of waits for that run. `begun`: when each run
    began, in seconds since the epoch.
    """

    waiting: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    begun: Mapping[str, float] = field(default_factory=dict)


def work_of(
    wants: Iterable[Want],
    pipelines: Mapping[str, PipelineRow],
    *,
    locks: Iterable[LockRow],
    hosts: Iterable[Host],
    installation: Installation,
    now: float,
) -> Work:
    """What waits, of all wants, locks and hosts, and the pipelines' rows by name."""
    locks = list(locks)
    at_work = {run.pipeline for host in hosts for run in host.runs}
    begun = {lock.pipeline: lock.taken_at for lock in locks if lock.host and lock.taken(now)}
    followed = wake_nobody(locks, installation)
    names = sorted({want.pipeline for want in wants} - at_work)
    paused = tuple(n for n in names if n in pipelines and pipelines[n].paused)
    behind = tuple(n for n in names if n in followed and n not in paused)
    waiting = tuple(n for n in names if n not in paused and n not in behind)
    return Work(waiting, paused, behind, begun)


def wake_nobody(locks: Iterable[LockRow], installation: Installation) -> frozenset[str]:
    """The pipelines for which no host is woken: a push waits for the end of their rollout."""
    take_over = {p.name for p in installation.pipelines if p.rollout.new_push == "takeOver"}
    return frozenset(
        lock.pipeline for lock in locks if lock.is_followed and lock.pipeline not in take_over
    )


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What there is of a pipeline whose deployment has not begun: rows, and whether a want stands.

    `is_behind`: its rollout under way ends first.
    """

    row: PipelineRow
    lock: LockRow
    hosts: Sequence[HostRow]
    is_wanted: bool
    is_behind: bool = False
    builder: BuilderRow | None = None


def look(session: Session, pipeline: str) -> Sight:
    """Four or five small reads, made beside each other."""
    table = session.table
    built = session.installation.builders.uses_code_build
    builder = session.start(table.builders.get, pipeline) if built else None
    row = session.start(table.pipelines.get, pipeline)
    found = session.start(table.locks.get, pipeline)
    hosts = session.start(table.hosts.all)
    wanted = any(want.pipeline == pipeline for want in table.wants.all())
    lock = found.result()
    return Sight(
        is_wanted=wanted,
        is_behind=pipeline in wake_nobody([lock], session.installation),
        row=row.result(),
        lock=lock,
        hosts=[row for row in hosts.result() if not is_builder(row.host_id)],
        builder=builder.result() if builder is not None else None,
    )


def why_not_begun(sight: Sight, host_count: int, limits: Limits, now: float, *, absent: str) -> str:
    """Why a pipeline's deployment has not begun. `absent`: what to say where nothing is asked for.

    `host_count`: how many hosts there are; one that was never awake has no row.
    """
    name, row = sight.row.pipeline, sight.row
    if row.paused:
        by = person(row.paused_by or "") or "an operator"
        return f"paused by {by}, until `slipway resume {name}`"
    if sight.lock.taken(now) and sight.lock.holder.startswith("cli:"):
        return f"waiting for the end of what {sight.lock.holder} does"
    if not sight.is_wanted and absent:
        return absent
    if sight.is_behind:
        return f"waiting for the end of the rollout under way ({sight.lock.deployment})"
    if sight.builder is not None and (sight.builder.is_live or not host_count):
        return f"waiting for {builder_waited_for(sight.builder, now)}"
    return _why_no_host(sight, host_count, limits, now)


def _why_no_host(sight: Sight, host_count: int, limits: Limits, now: float) -> str:
    kept = [host for host in sight.hosts if host.held and not _is_awake(host, limits, now)]
    if len(kept) >= host_count:
        by = person(kept[0].held_by or "") or "an operator"
        return f"waiting for a host, but held by {by}: `slipway release` lets it be started"
    slot = slot_waited_for(sight.hosts, host_count, limits, now)
    return f"waiting for {slot}" if slot else "waiting for a host to take it"


def builder_waited_for(row: BuilderRow, now: float) -> str:
    """What of CodeBuild a pipeline's work waits for."""
    since = f"asked for {duration(max(0.0, now - row.asked_at))} ago"
    if row.is_live:
        return f"its build to begin ({row.build_id or 'no id yet'}, {since})"
    if row.refused_since is not None:
        return "a build: the account has as many at the same time as its quota allows"
    return "a build to be started"


def slot_waited_for(hosts: Iterable[HostRow], host_count: int, limits: Limits, now: float) -> str:
    """`a free build slot (2 of 2 taken: shop, blog)`, where no host has one and no other host could
    be woken; otherwise empty.
    """
    rows = [host for host in hosts if not is_builder(host.host_id)]
    awake = [host for host in rows if _is_awake(host, limits, now)]
    kept = sum(host.held and host not in awake for host in rows)
    if not awake or len(awake) + kept < host_count or any(host.free_slots for host in awake):
        return ""
    taken = [run.pipeline for host in awake for run in host.runs if run.builds]
    slots = sum(host.slots for host in awake)
    return f"a free build slot ({len(taken)} of {slots} taken: {', '.join(taken)})"


def _is_awake(host: HostRow, limits: Limits, now: float) -> bool:
    """A held host that is awake works on; nobody starts one that sleeps."""
    return host.state != "stopping" and now - host.heartbeat_at <= limits.no_heartbeat
