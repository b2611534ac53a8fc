"""The real code, asked about abstract values: moves on rows and wants, and `decide`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lambdas.decide.decision import decide
from lambdas.decide.situation import Host, IdleNotice, Snapshot, Tip
from slipway.contracts.installation import Limits
from slipway.contracts.table import Table
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.deployments import Claim, DeploymentRow
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.table.locks import Lock, held_by
from slipway.contracts.table.pipelines import PipelineRow
from tests.simulation.dynamodb import FakeDynamoDB
from tests.simulation.model.state import (
    FOLLOWER,
    LAPSED,
    NAMES,
    NEVER,
    NOW,
    STANDING,
    LockState,
    Rollout,
    Row,
    State,
)
from tests.simulation.model.values import (
    FOLLOWED,
    HEARD,
    SHOP,
    begun_item,
    begun_row,
    boot_text,
    claimer_of,
    commit_of,
    deployment_of,
    followed_in,
    followed_item,
    holder_of,
    host_item,
    host_row,
    lock_in,
    lock_item,
    lock_row,
    request_of,
    result_of,
    runs_told,
    settled_of,
    want_of,
    wanted,
)

DEPLOYMENTS = f"DEPLOYMENT#{SHOP}"
LAUNCHED = 40_000.0
LONG_AGO, JUST_NOW = 50_000.0, 99_995.0
LIMITS = Limits()


class Real:
    """`client` makes the table that moves are made on; `without` as the model's; `held`: hosts."""

    def __init__(
        self, client: Callable[[], FakeDynamoDB], without: frozenset[str], *, held: bool = False
    ) -> None:
        self._client = client
        self._held = held
        self.without = without
        self._known: dict[Any, Any] = {}

    def row_move(self, row: Row, move: str, boot: int, *arguments: Any) -> tuple[Row, Any]:
        """The row after the real move, and the move's answer."""
        key = (row, move, boot, arguments)
        if key not in self._known:
            self._known[key] = self._row_move(row, move, boot, *arguments)
        found: tuple[Row, Any] = self._known[key]
        return found

    def _row_move(self, row: Row, move: str, boot: int, *arguments: Any) -> tuple[Row, Any]:
        hosts = self.table_with({"HOST": [host_item(row)]}).hosts
        name = boot_text(boot)
        if move == "claim_stop":
            answer: Any = hosts.claim_stop("i-1", name, arguments[0], NOW, claim=60)
        elif move == "claim_broken":
            seen = HostRow(host_id="i-1", boot=name, heartbeat_at=HEARD)
            answer = hosts.claim_broken(seen, NOW, claim=60, unchanged=arguments[1])
        elif move == "heartbeat":
            answer = hosts.heartbeat("i-1", name, NOW, runs=runs_told(arguments[0]))
        elif move in ("stop_sent", "take_back_claim"):
            answer = getattr(hosts, move)("i-1", name)
        else:
            answer = getattr(hosts, move)("i-1", name, NOW)
        after = hosts.get("i-1") or HostRow(host_id="i-1")
        claim = after.claim_expires
        if claim:
            claim = STANDING if claim > NOW else LAPSED
        boot_after = int(after.boot) if after.boot else NEVER
        return Row(boot_after, after.state, after.idle_number, claim, len(after.runs)), answer

    def lock_move(
        self, lock: LockState, move: str, who: int, asker: int = 0
    ) -> tuple[LockState, Any]:
        """The lock after the real move, and the move's answer. Its fence is 1 each time.

        `asker`: the request, where it is known, that leaves a note.
        """
        key = (lock, move, who, asker)
        if key not in self._known:
            self._known[key] = self._lock_move(lock, move, who, asker)
        found: tuple[LockState, Any] = self._known[key]
        return found

    def _lock_move(self, lock: LockState, move: str, who: int, asker: int) -> tuple[LockState, Any]:
        table = self.table_with({"LOCK": [lock_item(lock)], DEPLOYMENTS: [begun_item()]})
        locks = table.locks
        mine = Lock(SHOP, holder_of(who), 1)
        calls: dict[str, Callable[[], Any]] = {
            "take": lambda: locks.take(SHOP, holder_of(who), NOW, ttl=60),
            "ask_again": lambda: locks.ask_again(SHOP, "ada", NOW, pushed_at=float(asker)),
            "take_again": lambda: locks.take_again(mine, locks.get(SHOP).again or ""),
            "release": lambda: locks.release(mine),
            "abandon": lambda: locks.abandon(mine),
            "ask_takeover": lambda: locks.ask_takeover(request_of(asker), NOW),
            "interrupt": lambda: locks.interrupt(SHOP, deployment_of(asker), NOW),
            "finish": lambda: table.deployments.finish(result_of(), lock=mine),
            "take_orphaned_again": lambda: locks.take_orphaned_again(locks.get(SHOP), NOW),
            "hand_over": lambda: table.following.hand_over(
                replace(
                    begun_row(),
                    rollout="{}",
                    next_look=NOW,
                    claimed_by=claimer_of(who // 10 or FOLLOWER),
                    claimed_until=STANDING,
                ),
                lock=mine,
                settled=settled_of(1),
                kept=9,
            ),
        }
        answer = calls[move]()
        return lock_in(locks.get(SHOP)), answer

    def rollout_move(
        self, rollout: Rollout, move: str, who: int, step: int
    ) -> tuple[Rollout, bool]:
        """The rollout after the real move, and whether it was made."""
        key = (rollout, move, who, step)
        if key not in self._known:
            table = self.table_with({DEPLOYMENTS: [followed_item(rollout)]})
            moves, claim = table.following, Claim(FOLLOWED, claimer_of(who), step)
            calls: dict[str, Callable[[], Any]] = {
                "claim": lambda: moves.claim(FOLLOWED, step, claim.by, NOW, ttl=60),
                "renew": lambda: moves.renew(claim, NOW, ttl=60),
                "release": lambda: moves.release(claim, "{}", next_look=NOW),
            }
            made = bool(calls[move]())
            self._known[key] = followed_in(table.deployments.get(FOLLOWED), rollout), made
        found: tuple[Rollout, bool] = self._known[key]
        return found

    def finished(
        self, lock: LockState, rollout: Rollout, who: int, step: int
    ) -> tuple[LockState, bool]:
        """The lock after the outcome was recorded under the claim, and whether it was."""
        key = ("finish", lock, rollout, who, step)
        if key not in self._known:
            parts = {"LOCK": [lock_item(lock)], DEPLOYMENTS: [followed_item(rollout)]}
            table = self.table_with(parts)
            recorded = table.deployments.finish(
                result_of(),
                lock=Lock(SHOP, held_by(FOLLOWED), 1),
                claim=Claim(FOLLOWED, claimer_of(who), step),
            )
            self._known[key] = lock_in(table.locks.get(SHOP)), recorded
        found: tuple[LockState, bool] = self._known[key]
        return found

    def noted(self, want: int, request: int, *, settled: bool) -> int:
        """The want after the real Wants.note."""
        key = ("note", want, request, settled)
        if key not in self._known:
            table = self.table_with({})
            if want:
                table.wants.note(request_of(want), NOW)
            if settled:
                table.requests.settle([settled_of(request)], kept=9)
            table.wants.note(request_of(request), NOW)
            self._known[key] = wanted(table)
        return int(self._known[key])

    def cleared(self, want: int, requests: tuple[int, ...]) -> int:
        """The want after the real Wants.clear."""
        if not want or not requests:
            return want
        key = ("clear", want, requests)
        if key not in self._known:
            table = self.table_with({})
            table.wants.note(request_of(want), NOW)
            table.wants.clear([request_of(r) for r in requests])
            self._known[key] = wanted(table)
        return int(self._known[key])

    def decided(
        self,
        s: State,
        ec2: tuple[str, ...],
        *,
        notice: IdleNotice | None,
        queued: int,
        aged: bool,
        tick: bool,
    ) -> tuple[Any, ...]:
        """What the real `decide` answers on what a Lambda sees."""
        rows = tuple((h.row, h.row.boot == h.boot, h.phase == "hung") for h in s.hosts)
        ahead = s.pushed != s.handled
        key = (
            *(rows, ec2, s.want, s.orders.wants, s.lock, ahead, notice, queued, aged, tick),
            *(s.rollout, s.untold),
        )
        if key not in self._known:
            self._known[key] = decide(
                self._snapshot(s, ec2, notice=notice, queued=queued, aged=aged, tick=tick)
            )
        found: tuple[Any, ...] = self._known[key]
        return found

    def _snapshot(
        self,
        s: State,
        ec2: tuple[str, ...],
        *,
        notice: IdleNotice | None,
        queued: int,
        aged: bool,
        tick: bool,
    ) -> Snapshot:
        then = LONG_AGO if aged else JUST_NOW
        hosts = []
        for index, host in enumerate(s.hosts):
            heard = host.row.boot == host.boot
            beat = (then if host.phase == "hung" else HEARD) if heard else 1.0
            row = host_row(NAMES[index], host.row, heartbeat=beat, idle=then, held=self._held)
            launched = LAUNCHED if heard else then
            hosts.append(Host(row=row, ec2_state=ec2[index], launched_at=launched))
        wants = [want_of(request_of(s.want), then)] if s.want else []
        wants += [want_of(request_of(asked), then, builder=False) for asked in s.orders.wants]
        row = PipelineRow(
            pipeline=SHOP,
            baseline_tip=commit_of(s.handled),
            ahead_tip=commit_of(s.pushed),
            ahead_since=LONG_AGO,
        )
        return Snapshot(
            now=NOW,
            limits=LIMITS,
            hosts=tuple(hosts),
            wants=tuple(wants),
            locks={SHOP: lock_row(s.lock)},
            pipelines={SHOP: row},
            alerts=tuple(
                AlertRow(kind=kind, subject=name, raised_at=1.0)
                for kind in ("no_heartbeat", "awake_long", "drift_skipped")
                for name in (*NAMES, SHOP)
            ),
            queued=queued,
            notice=notice,
            tips=self._tips(s) if aged and tick else {},
            handed_over=self._handed_over(s, then) if tick else {},
        )

    def _handed_over(self, s: State, then: float) -> dict[str, DeploymentRow | None]:
        if s.rollout is not None:
            rollout = s.rollout
            row = replace(
                begun_row(),
                rollout="{}",
                step=rollout.step,
                claimed_by=claimer_of(rollout.claimer) if rollout.claim else None,
                claimed_until=rollout.claim,
                next_look=then,
            )
            return {FOLLOWED: row}
        return {FOLLOWED: replace(begun_row(), ended_at=then)} if s.untold else {}

    def _tips(self, s: State) -> dict[str, Tip]:
        if "dev side" in self.without:
            return {SHOP: Tip(problem="no answer")}
        return {SHOP: Tip(commit_id=commit_of(s.pushed))}

    def known(self, key: Any, answer: Callable[[], Any]) -> Any:
        """The remembered answer."""
        if key not in self._known:
            self._known[key] = answer()
        return self._known[key]

    def table_with(self, partitions: dict[str, list[dict[str, Any]]]) -> Table:
        client = self._client()
        table = Table(client, "t")
        for partition, items in partitions.items():
            table.store.put_many({"pk": partition, **item} for item in items)
        return table
