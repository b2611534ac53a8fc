"""Real values for the abstract ones of a state, and back."""

from __future__ import annotations

from typing import Any

from slipway.contracts.codec import encode
from slipway.contracts.messages import TIP, BuildRequest, DeploymentResult, Target
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.hosts import HostRow, HostRun
from slipway.contracts.table.locks import NEVER as NEVER_EXPIRES
from slipway.contracts.table.locks import LockRow, held_by
from slipway.contracts.table.requests import Settled
from slipway.contracts.table.wants import Want
from tests.simulation.model.changes import is_rollback
from tests.simulation.model.state import (
    DEAD,
    DEPLOYMENT,
    FOLLOWER,
    INVOCATION,
    LAPSED,
    NAMES,
    NEVER,
    NOW,
    SLOTS,
    STANDING,
    LockState,
    Rollout,
    Row,
    run_of,
)

SHOP = "shop"
FOLLOWED = "shop-20270115080000-abcdef"
HEARD = NOW - 10


def boot_text(boot: int) -> str:
    return "" if boot == NEVER else str(boot)


def holder_of(who: int) -> str:
    """As `HostIdentity.holder` names it: host, boot, process and run."""
    if who == DEPLOYMENT:
        return held_by(FOLLOWED)
    if abs(who) in INVOCATION:
        return f"the follower/{abs(who)}"
    host, number = divmod(abs(who), 10)
    if not host:
        return ""
    return f"{NAMES[host - 1]}/1/p.{number}" if number else f"{NAMES[host - 1]}/1/earlier.1"


def holder_in(row: LockRow) -> int:
    if row.is_followed:
        return DEPLOYMENT
    if not row.holder:
        return 0
    if row.holder.startswith("the follower/"):
        number = int(row.holder.removeprefix("the follower/"))
        return number if row.expires_at > NOW else -number
    name, _, process = row.holder.split("/")
    number = int(process.removeprefix("p.")) if process.startswith("p.") else 0
    holder = run_of(NAMES.index(name), number)
    return holder if row.expires_at > NOW else -holder


def claimer_of(who: int) -> str:
    """A process claims for all that it follows: a host's agent, whichever run has handed over."""
    return {FOLLOWER: "the follower/1", DEAD: "dead"}.get(who, f"host i-{who}/1/p")


def followed_item(rollout: Rollout) -> dict[str, Any]:
    item = {**begun_item(), "rollout": "{}", "step": rollout.step, "next_look": NOW}
    if not rollout.claim:
        return item
    return {**item, "claimed_by": claimer_of(rollout.claimer), "claimed_until": rollout.claim}


def begun_item() -> dict[str, Any]:
    return {"sk": FOLLOWED, **encode(begun_row())}


def begun_row() -> DeploymentRow:
    return DeploymentRow(
        deployment_id=FOLLOWED, pipeline=SHOP, request_id="0" * 32, reason="push", started_at=1.0
    )


def followed_in(row: DeploymentRow | None, rollout: Rollout) -> Rollout:
    assert row is not None
    claim = row.claimed_until if row.claimed_by else 0.0
    if claim:
        claim = STANDING if claim > NOW else LAPSED
    names = {claimer_of(who): who for who in (1, 2, FOLLOWER, DEAD)}
    claimer = names[row.claimed_by] if row.claimed_by else 0
    return rollout._replace(step=row.step, claimer=claimer, claim=claim)


def result_of() -> DeploymentResult:
    return DeploymentResult(
        deployment_id=FOLLOWED, pipeline=SHOP, status="succeeded", stage="close", reason="push",
        request_id="0" * 32, started_at=1.0, ended_at=NOW,
    )  # fmt: skip


def commit_of(number: int) -> str:
    return f"{number:040x}"


def request_of(number: int) -> BuildRequest:
    """What a note `again` asks for names no commit."""
    kind, back = number % 10, is_rollback(number)
    return BuildRequest(
        request_id=request_id_of(number),
        pipeline=SHOP,
        target=Target(kind="deployment", deployment_id=FOLLOWED) if back else TIP,
        commit_id=commit_of(number // 10) if kind in (0, 1) else None,
        pushed_by="ada",
        pushed_at=float(number),
        reason="rollback" if back else "drift" if kind == 1 else "push",
    )


def request_id_of(number: int) -> str:
    return f"{number:032x}"


def deployment_of(request: int) -> str:
    """The id of the deployment that was begun for the request."""
    return f"shop-20270115080000-{request:06x}"


def settled_of(number: int) -> Settled:
    name = request_id_of(number)
    return Settled(request_id=name, outcome="succeeded", pipeline=SHOP, settled_at=1.0)


def wanted(table: Table) -> int:
    wants = table.wants.all()
    return int(wants[0].request_id, 16) if wants else 0


def want_of(request: BuildRequest, noted_at: float, *, builder: bool = True) -> Want:
    return Want(
        pipeline=SHOP,
        request_id=request.request_id,
        pushed_at=request.pushed_at,
        noted_at=noted_at,
        body=request.to_json(),
        builder=builder,
    )


def host_row(name: str, row: Row, *, heartbeat: float, idle: float, held: bool) -> HostRow:
    return HostRow(
        host_id=name,
        boot=boot_text(row.boot),
        state=row.state,  # type: ignore[arg-type]
        idle_number=row.number,
        heartbeat_at=heartbeat,
        progress_at=heartbeat,
        idle_since=idle,
        held=held,
        claim_expires=row.claim,
        slots=SLOTS,
        runs=runs_told(row.told),
    )


def runs_told(count: int) -> tuple[HostRun, ...]:
    return tuple(
        HostRun(run=number, pipeline=SHOP, stage="build", progress_at=HEARD)
        for number in range(1, count + 1)
    )


def host_item(row: Row) -> dict[str, Any]:
    item: dict[str, Any] = {
        "sk": "i-1",
        "host_id": "i-1",
        "state": row.state,
        "idle_number": row.number,
        "heartbeat_at": HEARD,
        "progress_at": HEARD,
        "claim_expires": row.claim,
        "runs": [encode(run) for run in runs_told(row.told)],
    }
    return item if row.boot == NEVER else {**item, "boot": str(row.boot)}


def expiry_of(holder: int) -> float:
    if holder == DEPLOYMENT:
        return NEVER_EXPIRES
    if holder < 0:
        return LAPSED
    return STANDING if holder else 0.0


def lock_row(lock: LockState) -> LockRow:
    """Its fence is 1 each time."""
    holder, again, asks = lock
    takeover, at, reason = None, None, None
    if asks > 0:
        takeover, at, reason = request_id_of(asks), float(asks), "rollback"
    elif asks:
        takeover = f"cancel:{deployment_of(-asks)}"
    return LockRow(
        pipeline=SHOP,
        holder=holder_of(holder),
        fence=1,
        expires_at=expiry_of(holder),
        again="ada" if again else None,
        again_at=float(again) if again > 1 else None,
        takeover=takeover,
        takeover_at=at,
        takeover_reason=reason,
    )


def lock_item(lock: LockState) -> dict[str, Any]:
    return {"sk": SHOP, **encode(lock_row(lock))}


def lock_in(row: LockRow) -> LockState:
    """`asks` by the row's note, which names a request, or a deployment by the request's number."""
    again = max(1, int(row.again_at or 0)) if row.again else 0
    asks = 0
    if row.cancelled is not None:
        asks = -int(row.cancelled.rpartition("-")[2], 16)
    elif row.takeover is not None:
        asks = int(row.takeover, 16)
    return LockState(holder_in(row), again, asks)
