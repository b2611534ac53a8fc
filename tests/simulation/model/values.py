"""Real values for the abstract ones of a state, and back."""

from __future__ import annotations

from typing import Any

from slipway.contracts.codec import encode
from slipway.contracts.messages import BuildRequest, DeploymentResult
from slipway.contracts.table import Table
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.hosts import HostRow, HostRun
from slipway.contracts.table.locks import NEVER as NEVER_EXPIRES
from slipway.contracts.table.locks import LockRow, held_by
from slipway.contracts.table.requests import Settled
from slipway.contracts.table.wants import Want
from tests.simulation.model.state import (
    DEAD,
    DEPLOYMENT,
    FOLLOWER,
    LAPSED,
    NAMES,
    NEVER,
    NOW,
    SLOTS,
    STANDING,
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
    host, number = divmod(abs(who), 10)
    if not host:
        return ""
    return f"{NAMES[host - 1]}/1/p.{number}" if number else f"{NAMES[host - 1]}/1/earlier.1"


def holder_in(row: LockRow) -> int:
    if row.is_followed:
        return DEPLOYMENT
    if not row.holder:
        return 0
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
    return BuildRequest(
        request_id=f"{number:032x}",
        pipeline=SHOP,
        pushed_by="ada",
        pushed_at=float(number),
        reason="push",
    )


def settled_of(number: int) -> Settled:
    return Settled(request_id=f"{number:032x}", outcome="succeeded", pipeline=SHOP, settled_at=1.0)


def wanted(table: Table) -> int:
    wants = table.wants.all()
    return int(wants[0].request_id, 16) if wants else 0


def want_of(request: BuildRequest, noted_at: float) -> Want:
    return Want(
        pipeline=SHOP,
        request_id=request.request_id,
        pushed_at=request.pushed_at,
        noted_at=noted_at,
        body=request.to_json(),
    )


def host_row(name: str, row: Row, *, heartbeat: float, idle: float) -> HostRow:
    return HostRow(
        host_id=name,
        boot=boot_text(row.boot),
        state=row.state,  # type: ignore[arg-type]
        idle_number=row.number,
        heartbeat_at=heartbeat,
        progress_at=heartbeat,
        idle_since=idle,
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


def lock_item(lock: tuple[int, bool]) -> dict[str, Any]:
    holder, again = lock
    item: dict[str, Any] = {
        "sk": SHOP,
        "pipeline": SHOP,
        "holder": holder_of(holder),
        "fence": 1,
        "expires_at": expiry_of(holder),
    }
    return {**item, "again": "ada"} if again else item
