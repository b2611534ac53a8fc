"""Real values for the abstract ones of a state, and back."""

from __future__ import annotations

from typing import Any

from slipway.contracts.messages import BuildRequest
from slipway.contracts.table import Table
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.table.requests import Settled
from slipway.contracts.table.wants import Want
from tests.simulation.model.state import NEVER, NOW, STANDING, Row

SHOP = "shop"
HEARD = NOW - 10


def boot_text(boot: int) -> str:
    return "" if boot == NEVER else str(boot)


def holder_of(who: int) -> str:
    return f"i-{who}/1" if who else ""


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
        pipeline=SHOP if row.state == "busy" else None,
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
    }
    return item if row.boot == NEVER else {**item, "boot": str(row.boot)}


def lock_item(lock: tuple[int, bool]) -> dict[str, Any]:
    holder, again = lock
    item: dict[str, Any] = {
        "sk": SHOP,
        "pipeline": SHOP,
        "holder": holder_of(holder),
        "fence": 1,
        "expires_at": STANDING if holder else 0.0,
    }
    return {**item, "again": "ada"} if again else item
