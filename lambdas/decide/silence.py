"""Builders that are silent, or do not get on: their builds are stopped, and people are told; pure.

As for hosts, by the host row that a builder writes as a host does. One that still waits in
CodeBuild's queue, or for its machine, is never stopped. That a build is over CodeBuild says itself:
only then its lock and its work are free.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambdas.decide.situation import AGENT_FIRST, Action, Snapshot, StopBuilder
from lambdas.decide.upkeep import alert_ended, alert_raised
from slipway.contracts.messages import AlertKind
from slipway.contracts.table.builders import BuilderRow
from slipway.contracts.table.hosts import HostRow, Unchanged
from slipway.contracts.wording import duration

ALERT: AlertKind = "builder_silent"


@dataclass(frozen=True)
class Silence:
    """Why nothing is to be expected of a builder. `seen`: its host row, where `unchanged` stood."""

    seen: HostRow
    unchanged: Unchanged
    why: str


def silent_builders(snapshot: Snapshot) -> list[Action]:
    """StopBuild for each; once more where it did not help."""
    return [
        StopBuilder(builder=row, seen=silence.seen, unchanged=silence.unchanged, why=silence.why)
        for row in _at_work(snapshot)
        if (silence := _silence(snapshot, row)) is not None
    ]


def silence_alerts(snapshot: Snapshot) -> list[Action]:
    """Each told of once, and its end."""
    silent = {row.pipeline: _silence(snapshot, row) for row in _at_work(snapshot)}
    actions: list[Action] = []
    for name in sorted(snapshot.builders):
        silence = silent.get(name)
        actions += (
            alert_raised(snapshot, ALERT, name, f"{silence.why}; its build is stopped")
            if silence is not None
            else alert_ended(snapshot, ALERT, name, "it answers again, or its build is over")
        )
    return actions


def _at_work(snapshot: Snapshot) -> list[BuilderRow]:
    """Those that have a build, of which CodeBuild does not say that it is over."""
    return [
        row
        for name, row in sorted(snapshot.builders.items())
        if row.state == "started" and row.build_id and name in snapshot.built
    ]


def _silence(snapshot: Snapshot, row: BuilderRow) -> Silence | None:
    limits, now = snapshot.limits, snapshot.now
    host = snapshot.builder_hosts.get(row.host_id, HostRow(host_id=row.host_id))
    if not row.is_heard(host):
        begun = snapshot.machines.get(row.pipeline)
        if begun is None or now - begun <= limits.no_heartbeat:
            return None
        why = f"no sign of life in {duration(now - begun)} since it has a machine"
        return Silence(host, "heartbeat_at", why)
    if now - host.heartbeat_at > limits.no_heartbeat:
        why = f"no heartbeat for {duration(now - host.heartbeat_at)}"
        return Silence(host, "heartbeat_at", why)
    still = now - host.progress_at
    if still > limits.no_progress + AGENT_FIRST * limits.heartbeat:
        return Silence(host, "progress_at", f"no progress for {duration(still)}")
    return None
