"""Host rows: a host's boot, state, idle number and heartbeat, and the moves between states.

    (new boot) ── arrive ──► idle(0) ── begin_work ──► busy ── say_idle ──► idle(n+1) …
                                │                                              │
                                └────────────── claim_stop(boot, n) ───────────┘──► stopping

The host and the stopper race on one row, each move conditional on what the mover last saw, so one
of the two loses: a host that works is never stopped, and a late notice does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from slipway.contracts.codec import decode, encode
from slipway.contracts.table.store import Store

PARTITION = "HOST"
HostState = Literal["idle", "busy", "stopping"]
Unchanged = Literal["heartbeat_at", "progress_at", "claim_expires"]
"""Which member of a row a decision to stop a broken host rests on."""

_CLAIM_LAPSED = "(claim_expires > :zero AND claim_expires <= :now)"
"""A claim whose claimer can no longer live and never sent its stop; 0 means: sent, or no claim."""


@dataclass(frozen=True, kw_only=True)
class HostRun:
    """One pipeline's work on a host, as its last heartbeat told.

    `slots`: its build slots: none for what builds nothing, several where images are built side by
    side. `run`: its number in the agent's process. `progress_at`: when it last got on, in seconds
    since the epoch.
    """

    run: int
    pipeline: str
    stage: str
    progress_at: float
    deployment_id: str | None = None
    slots: int = 1

    @property
    def builds(self) -> bool:
        return self.slots > 0


@dataclass(frozen=True, kw_only=True)
class HostRow:
    """`boot`: the launch time as the host knows it (an opaque text). Times in seconds since epoch.

    `slots`: how many builds it can run at once. `runs`: what it is at, longest under way first;
    `progress_at`: when any of them, or without any the agent itself, last got on. `claim_expires`:
    until when a `stopping` claim must be honoured (0: its stop was sent, so only this boot honours
    it). `held`: an operator looks at it: neither stopped nor started. `silent_boots`: starts in a
    row after which no host arrived; `next_start_at`: back-off. `disk_short_at`: when its disk was
    last too small, `disk_gb` and `disk_free_gb` its GiB then.
    """

    host_id: str
    boot: str = ""
    state: HostState = "idle"
    idle_number: int = 0
    arrived_at: float = 0.0
    heartbeat_at: float = 0.0
    idle_since: float = 0.0
    slots: int = 1
    runs: tuple[HostRun, ...] = ()
    progress_at: float = 0.0
    claim_expires: float = 0.0
    held: bool = False
    held_by: str | None = None
    silent_boots: int = 0
    started_at: float = 0.0
    next_start_at: float = 0.0
    disk_short_at: float = 0.0
    disk_gb: float = 0.0
    disk_free_gb: float = 0.0

    @property
    def free_slots(self) -> int:
        """Build slots that no run of its last heartbeat has."""
        return max(0, self.slots - sum(run.slots for run in self.runs))


class Hosts:
    """Host rows, and the moves on them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[HostRow]:
        return [decode(HostRow, row, strict=False) for row in self._store.query(PARTITION)]

    def get(self, host_id: str) -> HostRow | None:
        row = self._store.get(PARTITION, host_id)
        return decode(HostRow, row, strict=False) if row else None

    # --- the host's own moves

    def arrive(self, host_id: str, boot: str, now: float, *, slots: int = 1) -> bool:
        """A booted host takes its row as idle(0); False while an unexpired stop claim stands.

        `slots`: how many builds it can run at once. Again in the same boot (the agent restarted):
        idle with the next number, so that a notice from before the restart is late.
        """
        new_boot = self._store.update(
            PARTITION,
            host_id,
            "SET host_id = :id, boot = :boot, #s = :idle, idle_number = :zero,"
            " arrived_at = :now, heartbeat_at = :now, idle_since = :now, progress_at = :now,"
            " claim_expires = :zero, silent_boots = :zero, next_start_at = :zero, slots = :slots"
            " REMOVE runs",
            condition="(attribute_not_exists(boot) OR boot <> :boot)"
            " AND (attribute_not_exists(#s) OR #s <> :stopping OR claim_expires <= :now)",
            names={"#s": "state"},
            parameters={
                ":id": host_id,
                ":boot": boot,
                ":idle": "idle",
                ":stopping": "stopping",
                ":zero": 0,
                ":now": now,
                ":slots": slots,
            },
        )
        return new_boot or self._arrive_again(host_id, boot, now, slots)

    def _arrive_again(self, host_id: str, boot: str, now: float, slots: int) -> bool:
        return self._store.update(
            PARTITION,
            host_id,
            "SET #s = :idle, heartbeat_at = :now, idle_since = :now, progress_at = :now,"
            " claim_expires = :zero, slots = :slots REMOVE runs ADD idle_number :one",
            condition=f"boot = :boot AND (#s <> :stopping OR {_CLAIM_LAPSED})",
            names={"#s": "state"},
            parameters={
                ":boot": boot,
                ":idle": "idle",
                ":stopping": "stopping",
                ":zero": 0,
                ":one": 1,
                ":now": now,
                ":slots": slots,
            },
        )

    def begin_work(self, host_id: str, boot: str, now: float) -> bool:
        """idle → busy, before anything is worked on; False: a stop is claimed, give work back."""
        return self._store.update(
            PARTITION,
            host_id,
            "SET #s = :busy, heartbeat_at = :now, progress_at = :now, claim_expires = :zero",
            condition=f"boot = :boot AND (#s <> :stopping OR {_CLAIM_LAPSED})",
            names={"#s": "state"},
            parameters={
                ":boot": boot,
                ":busy": "busy",
                ":stopping": "stopping",
                ":zero": 0,
                ":now": now,
            },
        )

    def heartbeat(
        self,
        host_id: str,
        boot: str,
        now: float,
        *,
        runs: Sequence[HostRun] = (),
        progress_at: float | None = None,
    ) -> bool:
        """Say that the host is alive and what it does; False if the row is another boot's.

        `progress_at`: when any of it last got on; None: now.
        """
        return self._store.update(
            PARTITION,
            host_id,
            "SET heartbeat_at = :now, runs = :runs, progress_at = :progress",
            condition="boot = :boot",
            parameters={
                ":boot": boot,
                ":now": now,
                ":runs": [encode(run) for run in runs],
                ":progress": now if progress_at is None else progress_at,
            },
        )

    def say_idle(self, host_id: str, boot: str, now: float) -> int | None:
        """busy or idle(n) → idle(n+1); the new number, or None if a stop is claimed.

        `idle_since` is kept from the first of a row of idle periods.
        """
        row = self.get(host_id)
        if row is None or row.boot != boot:
            return None
        if row.state == "stopping" and not 0 < row.claim_expires <= now:
            return None
        number = row.idle_number + 1
        moved = self._store.update(
            PARTITION,
            host_id,
            "SET #s = :idle, idle_number = :next, heartbeat_at = :now, idle_since = :since"
            " REMOVE runs",
            condition="boot = :boot AND #s = :was AND idle_number = :number",
            names={"#s": "state"},
            parameters={
                ":boot": boot,
                ":idle": "idle",
                ":was": row.state,
                ":number": row.idle_number,
                ":next": number,
                ":now": now,
                ":since": now if row.state == "busy" else row.idle_since,
            },
        )
        return number if moved else None

    def note_short_disk(self, host_id: str, now: float, *, gb: float, free_gb: float) -> bool:
        """Remember that the host's disk was too small, for who looks at it; in GiB."""
        return self._store.update(
            PARTITION,
            host_id,
            "SET disk_short_at = :now, disk_gb = :gb, disk_free_gb = :free",
            condition="attribute_exists(boot)",
            parameters={":now": now, ":gb": round(gb, 1), ":free": round(free_gb, 1)},
        )

    # --- the Lambdas' moves

    def claim_stop(
        self, host_id: str, boot: str, idle_number: int, now: float, *, claim: float
    ) -> bool:
        """idle(n) → stopping, before StopInstances; False if the host is not idle(n) any more.

        `claim`: seconds that the claim is honoured, longer than the claimer can live.
        """
        return self._store.update(
            PARTITION,
            host_id,
            "SET #s = :stopping, claim_expires = :expires",
            condition="boot = :boot AND #s = :idle AND idle_number = :number"
            " AND (attribute_not_exists(held) OR held = :no)",
            names={"#s": "state"},
            parameters={
                ":boot": boot,
                ":number": idle_number,
                ":idle": "idle",
                ":stopping": "stopping",
                ":expires": now + claim,
                ":no": False,
            },
        )

    def claim_broken(
        self,
        seen: HostRow,
        now: float,
        *,
        claim: float,
        unchanged: Unchanged,
    ) -> bool:
        """Whatever state → stopping, for a host without heartbeat or progress; not if held.

        `seen` is the row as the decision saw it: a host that has arrived since, or whose member
        `unchanged` (what the decision rests on) has moved since, wins. So does a claim that stands:
        its claimer may be about to stop the host, and nobody else may mark that claim as sent.
        """
        return self._store.update(
            PARTITION,
            seen.host_id,
            "SET host_id = :id, #s = :stopping, claim_expires = :expires",
            condition="(attribute_not_exists(boot)"
            " OR (boot = :boot AND #u = :unchanged))"
            " AND (attribute_not_exists(#s) OR #s <> :stopping OR claim_expires <= :now)"
            " AND (attribute_not_exists(held) OR held = :no)",
            names={"#s": "state", "#u": unchanged},
            parameters={
                ":id": seen.host_id,
                ":boot": seen.boot,
                ":unchanged": getattr(seen, unchanged),
                ":stopping": "stopping",
                ":expires": now + claim,
                ":now": now,
                ":no": False,
            },
        )

    def stop_sent(self, host_id: str, boot: str) -> bool:
        """StopInstances has answered: its caller will call no more, so the next boot need not wait.

        The row stays `stopping` for what is left of this boot.
        """
        return self._store.update(
            PARTITION,
            host_id,
            "SET claim_expires = :zero",
            condition="(attribute_not_exists(boot) OR boot = :boot) AND #s = :stopping",
            names={"#s": "state"},
            parameters={":boot": boot, ":stopping": "stopping", ":zero": 0},
        )

    def take_back_claim(self, host_id: str, boot: str) -> bool:
        """stopping → idle, because StopInstances failed."""
        return self._store.update(
            PARTITION,
            host_id,
            "SET #s = :idle, claim_expires = :zero",
            condition="boot = :boot AND #s = :stopping",
            names={"#s": "state"},
            parameters={":boot": boot, ":idle": "idle", ":stopping": "stopping", ":zero": 0},
        )

    def note_start(
        self, seen: HostRow, now: float, *, silent_boots: int, next_start_at: float
    ) -> bool:
        """Remember a start: `silent_boots` counts those not followed by an arrival, this included.

        An arrival sets both back to 0. `seen` is the row as the decision saw it: False, and nothing
        noted, if a host has arrived since (it was quicker than this note).
        """
        return self._store.update(
            PARTITION,
            seen.host_id,
            "SET host_id = :id, started_at = :now, silent_boots = :silent, next_start_at = :next",
            condition="attribute_not_exists(arrived_at) OR arrived_at = :arrived",
            parameters={
                ":id": seen.host_id,
                ":now": now,
                ":silent": silent_boots,
                ":next": next_start_at,
                ":arrived": seen.arrived_at,
            },
        )

    def forget(self, row: HostRow) -> bool:
        """Delete a row that nobody will use again; False if another boot has it by now."""
        return self._store.delete(
            PARTITION, row.host_id, condition="boot = :boot", parameters={":boot": row.boot}
        )

    # --- the operator's moves

    def hold(self, host_id: str, by: str) -> None:
        self._store.update(
            PARTITION,
            host_id,
            "SET host_id = :id, held = :yes, held_by = :by",
            parameters={":id": host_id, ":yes": True, ":by": by},
        )

    def release(self, host_id: str) -> None:
        self._store.update(
            PARTITION,
            host_id,
            "SET host_id = :id, held = :no REMOVE held_by",
            parameters={":id": host_id, ":no": False},
        )
