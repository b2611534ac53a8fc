"""What a local run was doing while something did not happen: its state, and what its parts said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local.status import describe

if TYPE_CHECKING:
    from tests.e2e.chain import Chain

BEFORE = 20.0
"""Seconds before the wait from which on the parts are quoted."""
MOST_LINES = 150
_PLAIN = {"timestamp", "level", "location", "message", "service", "trace", "exception_name"}


def evidence(chain: Chain, since: float) -> str:
    """State of the run, then what agents and functions have said, oldest first, in plain lines.

    A part that cannot be asked any more says why, and the others are asked all the same.
    """
    begins = since - BEFORE
    parts: list[Callable[[], list[str]]] = [
        lambda: describe(chain.workplace),
        lambda: _rows(chain, begins),
        lambda: [line for _at, line in sorted(_said(chain, begins))][-MOST_LINES:],
    ]
    return "\n".join(line for part in parts for line in _asked(part))


def _asked(part: Callable[[], list[str]]) -> list[str]:
    try:
        return part()
    except Exception as error:  # noqa: BLE001 - the failure that is explained is the one to tell
        return [f"not known: {error}"]


def _rows(chain: Chain, begins: float) -> list[str]:
    table = chain.table
    lines = [f"want: {want}" for want in table.wants.all()]
    lines += [f"lock: {lock}" for lock in table.locks.all() if lock.holder or lock.again]
    lines += [f"host: {host}" for host in table.hosts.all()]
    for pipeline in chain.state.pipelines:
        for row in chain.deployments(pipeline):
            if max(row.started_at, row.ended_at or 0.0) >= begins:
                lines.append(f"{row.deployment_id}: {row.status or row.stage}, {row.stages}")
    lines.append(f"build queue: {chain.depth(chain.names.build_queue)} message(s)")
    return lines


def _said(chain: Chain, begins: float) -> Iterator[tuple[float, str]]:
    for host in chain.state.hosts:
        log = chain.workplace.log_dir / f"agent-{host.instance_id}.log"
        if log.exists():
            yield from _lines("agent", log.read_text(encoding="utf-8").splitlines(), begins)
    for client in (chain.prod("logs"), chain.dev("logs")):
        groups = client.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
        for name in (group["logGroupName"] for group in groups):
            found = client.get_paginator("filter_log_events").paginate(
                logGroupName=name, startTime=int(begins * 1000)
            )
            lines = [event["message"] for page in found for event in page["events"]]
            yield from _lines(name.rpartition("-")[2], lines, begins)


def _lines(who: str, lines: list[str], begins: float) -> Iterator[tuple[float, str]]:
    """Time and words of what is a line of our own log."""
    for line in lines:
        try:
            said: dict[str, Any] = json.loads(line)
            at = datetime.fromisoformat(said["timestamp"].replace(",", ".")).timestamp()
        except (ValueError, KeyError, TypeError):
            continue
        if at >= begins:
            fields = " ".join(f"{k}={v}" for k, v in said.items() if k not in _PLAIN)
            yield at, f"{said['timestamp'][11:23]} {who}: {said.get('message')} {fields}"
