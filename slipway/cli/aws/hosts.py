"""The build hosts as EC2 and the table know them, and in words why each is awake or asleep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.cli.aws.session import Session
from slipway.cli.aws.waiting import Work
from slipway.contracts.errors import WrongUse
from slipway.contracts.installation import Installation, Limits
from slipway.contracts.table.hosts import HostRow, HostRun
from slipway.contracts.wording import counted, duration, listed

GONE = {"terminated", "shutting-down"}


@dataclass(frozen=True, kw_only=True)
class Host:
    """A build host; `state` is EC2's, `launched_at` seconds since the epoch."""

    host_id: str
    name: str
    state: str
    launched_at: float
    row: HostRow | None = None
    instance_type: str = ""

    @property
    def heard(self) -> bool:
        """Its row speaks of the boot that runs now (EC2 tells the launch in whole seconds)."""
        return self.row is not None and self.row.heartbeat_at >= self.launched_at - 1

    @property
    def runs(self) -> tuple[HostRun, ...]:
        """What it is at; nothing where its row is of an earlier boot."""
        is_busy = self.state == "running" and self.heard and self.row and self.row.state == "busy"
        return self.row.runs if self.row and is_busy else ()


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One pipeline's work on a host; `builds`: it has a build slot. Seconds since the epoch."""

    pipeline: str
    stage: str
    builds: bool
    deployment: str | None
    since: float | None
    progress_at: float


@dataclass(frozen=True, kw_only=True)
class HostStatus:
    """One build host: EC2's state, and why. `slots`: builds that it can run at once, as it told
    last; `runs`: what it is at.
    """

    host_id: str
    name: str
    state: str
    since: float
    why: str
    slots: int | None
    runs: tuple[RunStatus, ...]


def describe(client: Any, installation: Installation) -> dict[str, Any]:
    """EC2's answer about the installation's hosts, found by their Name tags.

    Where there are none EC2 is not asked: it takes no empty filter.
    """
    if not installation.host_count:
        return {"Reservations": []}
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
            instance_type=instance.get("InstanceType", ""),
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


def statuses(
    hosts: Iterable[Host], there: Work, limits: Limits, now: float
) -> tuple[HostStatus, ...]:
    """What is told of each host. `there`: the work that there is."""
    return tuple(
        HostStatus(
            host_id=host.host_id,
            name=host.name,
            state=host.state,
            since=host.launched_at,
            why=why(host, there, limits, now),
            slots=host.row.slots if host.row and host.row.arrived_at else None,
            runs=tuple(_run(run, there) for run in host.runs),
        )
        for host in hosts
    )


def _run(run: HostRun, there: Work) -> RunStatus:
    return RunStatus(
        pipeline=run.pipeline,
        stage=run.stage,
        builds=run.builds,
        deployment=run.deployment_id,
        since=there.begun.get(run.pipeline),
        progress_at=run.progress_at,
    )


def why(host: Host, there: Work, limits: Limits, now: float) -> str:
    """Why the host is awake or asleep, in words. `there`: the work that there is."""
    row = host.row or HostRow(host_id=host.host_id)
    work = _waits(there)
    if row.held:
        return f"held by {row.held_by or 'an operator'}, neither stopped nor started"
    if host.state == "running":
        return _why_running(host, row, there, limits, now)
    if host.state == "pending":
        return work or "no work yet"
    if host.state == "stopping":
        return f"to be started again, {work}" if work else "no work"
    return _why_asleep(row, there, work, now)


def _waits(there: Work) -> str:
    return f"work waits for {', '.join(there.waiting)}" if there.waiting else ""


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


def at_work(row: HostRow, begun: Mapping[str, float], now: float) -> str:
    """`builds shop (build, 2 min) and blog (fetch, 3 s); 1 slot free`: what a busy host does.

    `begun`: when each pipeline's run began, in seconds since the epoch, where that is known.
    """

    def told(run: HostRun) -> str:
        since = [duration(now - begun[run.pipeline])] if run.pipeline in begun else []
        return f"{run.pipeline} ({', '.join([run.stage, *since])})"

    builds = [told(run) for run in row.runs if run.builds]
    others = [told(run) for run in row.runs if not run.builds]
    doing = [f"builds {listed(builds)}"] if builds else []
    doing += [f"is at {listed(others)}"] if others else []
    free = counted(row.free_slots, "slot") if row.free_slots else "no slot"
    return f"{', '.join(doing) or 'at work'}; {free} free"


def _why_running(host: Host, row: HostRow, there: Work, limits: Limits, now: float) -> str:
    work = _waits(there)
    silent = now - max(row.heartbeat_at, host.launched_at)
    if silent > limits.no_heartbeat:
        return f"no heartbeat for {duration(silent)}, will be stopped"
    if not host.heard:
        return f"boots, {work}" if work else "boots"
    if row.state == "stopping":
        return "no work, about to be stopped"
    if row.state == "busy":
        return at_work(row, there.begun, now)
    if work:
        return f"idle, {work}"
    idle = duration(now - row.idle_since) if row.idle_since else "a moment"
    return f"idle for {idle}; is stopped when idle for {duration(limits.idle_period)}"
