"""Hosts, wants and locks in few words: what a decision is made of."""

from __future__ import annotations

from dataclasses import replace

from lambdas.decide.decision import decide
from lambdas.decide.situation import (
    Host,
    IdleNotice,
    Snapshot,
    StartHost,
)
from slipway.contracts.installation import Limits
from slipway.contracts.table.hosts import HostRow, HostRun
from slipway.contracts.table.locks import LockRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.wants import Want
from tests.unit.lambdas.world import HOST, START, request

LIMITS = Limits()
CONFIGURED = frozenset({"shop", "blog", "wiki", "web"})
NOTICE = IdleNotice(host_id=HOST, boot="boot-1", idle_number=3)


def want(name: str = "shop", noted_at: float = START) -> Want:
    made = request(name=name)
    return Want(
        pipeline=name,
        request_id=made.request_id,
        pushed_at=made.pushed_at,
        noted_at=noted_at,
        body=made.to_json(),
    )


def host(ec2: str = "running", host_id: str = HOST, *, up: float = 600, **row: object) -> Host:
    """A host that arrived after its launch `up` seconds ago and was heard just now, idle(3)."""
    values = {
        "boot": "boot-1",
        "state": "idle",
        "idle_number": 3,
        "heartbeat_at": START - 10,
        "progress_at": START - 10,
        "idle_since": START - 20,
    }
    made = HostRow(host_id=host_id, **{**values, **row})  # type: ignore[arg-type]
    return Host(row=made, ec2_state=ec2, launched_at=START - up)


def run(
    pipeline: str = "shop", stage: str = "build", *, still: float = 10, builds: bool = True
) -> HostRun:
    """A run that got on `still` seconds ago; it has a build slot if it `builds`."""
    return HostRun(
        run=1, pipeline=pipeline, stage=stage, progress_at=START - still, slots=int(builds)
    )


def at_work(*runs: HostRun, host_id: str = HOST, **row: object) -> Host:
    """A busy host, its row as its last heartbeat wrote it."""
    newest = max(each.progress_at for each in runs)
    values = {"state": "busy", "runs": runs, "progress_at": newest}
    return host(host_id=host_id, **{**values, **row})


def asleep(host_id: str = HOST, **row: object) -> Host:
    """A stopped host that was last heard before its last launch ended."""
    return host("stopped", host_id, up=9000, heartbeat_at=START - 8000, **row)


def died(reason: str) -> Host:
    """A host that was launched a minute ago and is stopped, last heard in its boot before."""
    return replace(host("stopped", up=60, heartbeat_at=START - 900), reason=reason)


def snapshot(*hosts: Host, **values: object) -> Snapshot:
    given = {"configured": CONFIGURED, **values}
    return Snapshot(now=START, limits=LIMITS, hosts=hosts, **given)  # type: ignore[arg-type]


def chosen(kind: type, *hosts: Host, **values: object) -> list:
    return [a for a in decide(snapshot(*hosts, **values)) if isinstance(a, kind)]


def started(*hosts: Host, **values: object) -> list[str]:
    return [a.host.host_id for a in chosen(StartHost, *hosts, **values)]


def locked(name: str = "shop", holder: str = f"{HOST}/boot-1", **values: object) -> dict:
    row = LockRow(pipeline=name, holder=holder, fence=1, expires_at=START + 60)
    return {name: replace(row, **values)}  # type: ignore[arg-type]


PAUSED = {"shop": PipelineRow(pipeline="shop", paused=True)}
