"""The build hosts as EC2 and the table know them, and in words why each is awake or asleep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.cli.aws.session import Session
from slipway.cli.aws.waiting import Work
from slipway.contracts.errors import WrongUse
from slipway.contracts.installation import Installation, Limits
from slipway.contracts.table.hosts import HostRow
from slipway.contracts.wording import duration

GONE = {"terminated", "shutting-down"}


@dataclass(frozen=True, kw_only=True)
class Host:
    """A build host; `state` is EC2's, `launched_at` seconds since the epoch."""

    host_id: str
    name: str
    state: str
    launched_at: float
    row: HostRow | None = None


def describe(client: Any, installation: Installation) -> dict[str, Any]:
    """EC2's answer about the installation's hosts, found by their Name tags."""
    names = [installation.names.host(n + 1) for n in range(installation.host_count)]
    answer: dict[str, Any] = client.describe_instances(
        Filters=[{"Name": "tag:Name", "Values": names}]
    )
    return answer


def hosts_of(answer: Mapping[str, Any], rows: list[HostRow]) -> list[Host]:
    """The hosts that exist, by name."""
    by_id = {row.host_id: row for row in rows}
    found = [
        Host(
            host_id=instance["InstanceId"],
            name=next((t["Value"] for t in instance.get("Tags", []) if t["Key"] == "Name"), ""),
            state=instance["State"]["Name"],
            launched_at=instance["LaunchTime"].timestamp(),
            row=by_id.get(instance["InstanceId"]),
        )
        for reservation in answer.get("Reservations", [])
        for instance in reservation["Instances"]
        if instance["State"]["Name"] not in GONE
    ]
    return sorted(found, key=lambda host: host.name)


def chosen(session: Session, named: str | None) -> Host:
    """The host that an instance id, a name or a number means; WrongUse if none or several do."""
    answer = describe(session.client("ec2"), session.installation)
    hosts = hosts_of(answer, session.table.hosts.all())
    known = ", ".join(f"{host.name} ({host.host_id})" for host in hosts) or "none"
    if named is None:
        if len(hosts) == 1:
            return hosts[0]
        raise WrongUse(f"name a build host; there are: {known}")
    wanted = session.installation.names.host(int(named)) if named.isdecimal() else named
    found = [host for host in hosts if wanted in (host.host_id, host.name)]
    if len(found) != 1:
        raise WrongUse(f"{named!r} is {'no' if not found else 'more than one'} build host: {known}")
    return found[0]


def why(host: Host, there: Work, limits: Limits, now: float) -> str:
    """Why the host is awake or asleep, in words. `there`: the work that there is."""
    row = host.row or HostRow(host_id=host.host_id)
    work = f"work waits for {', '.join(there.waiting)}" if there.waiting else ""
    if row.held:
        return f"held by {row.held_by or 'an operator'}, neither stopped nor started"
    if host.state == "running":
        return _why_running(host, row, work, limits, now)
    if host.state == "pending":
        return work or "no work yet"
    if host.state == "stopping":
        return f"to be started again, {work}" if work else "no work"
    return _why_asleep(row, there, work, now)


def _why_asleep(row: HostRow, there: Work, work: str, now: float) -> str:
    if row.next_start_at > now:
        back_off = duration(row.next_start_at - now)
        return f"{row.silent_boots} starts without a sign of life; next start in {back_off}"
    if work:
        return f"to be started, {work}"
    if there.behind:
        return f"what waits is for the end of a rollout ({', '.join(there.behind)})"
    paused = ", ".join(there.paused)
    return f"what waits is paused ({paused})" if paused else "no work"


def _why_running(host: Host, row: HostRow, work: str, limits: Limits, now: float) -> str:
    silent = now - max(row.heartbeat_at, host.launched_at)
    if silent > limits.no_heartbeat:
        return f"no heartbeat for {duration(silent)}, will be stopped"
    if row.heartbeat_at < host.launched_at - 1:
        return f"boots, {work}" if work else "boots"
    if row.state == "stopping":
        return "no work, about to be stopped"
    if row.state == "busy":
        doing = f"deploys {row.pipeline}" if row.pipeline else "at work"
        return f"{doing}, stage {row.stage}" if row.stage else doing
    if work:
        return f"idle, {work}"
    idle = duration(now - row.idle_since) if row.idle_since else "a moment"
    return f"idle for {idle}; is stopped when idle for {duration(limits.idle_period)}"
