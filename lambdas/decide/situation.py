"""What `decide` looks at and what it answers: values only.

Times are seconds since the epoch, durations seconds. A Snapshot is gathered by `snapshot.py`; the
actions are carried out by `action.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from slipway.contracts.installation import BuildersSettings, Limits
from slipway.contracts.messages import AlertKind, BuildRequest
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.builders import BuilderRow, builder_host
from slipway.contracts.table.deployments import DeploymentRow
from slipway.contracts.table.hosts import HostRow, Unchanged
from slipway.contracts.table.locks import LockRow
from slipway.contracts.table.pending import PendingRow
from slipway.contracts.table.pipelines import PipelineRow
from slipway.contracts.table.places import Place
from slipway.contracts.table.wants import Want

AWAKE_STATES = frozenset({"pending", "running"})
BY_HAND = ("Client.UserInitiatedShutdown", "Client.UserInitiatedHibernate")
"""EC2's reasons where somebody has called StopInstances, Slipway or a person."""
AGENT_FIRST = 4
"""Heartbeats that the agent has to end a run without progress, before its host is stopped."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """One build host: what EC2 says of it (`missing`: nothing at all) and its row.

    `reason`: EC2's own, of the last change of state, e.g. `Client.InternalError: Client error on
    launch`; empty where it gives none.
    """

    row: HostRow
    ec2_state: str
    launched_at: float = 0.0
    reason: str = ""

    @property
    def host_id(self) -> str:
        return self.row.host_id

    @property
    def heard(self) -> bool:
        """The row speaks of the boot that runs now, not of an earlier one."""
        return bool(self.row.boot) and self.row.heartbeat_at >= self.launched_at

    @property
    def awake(self) -> bool:
        """It runs, or will, and nobody is about to stop it."""
        leaving = self.heard and self.row.state == "stopping"
        return self.ec2_state in AWAKE_STATES and not leaving

    @property
    def died_unheard(self) -> bool:
        """It was launched, nobody has stopped it, and it is stopped without having been heard.

        StartInstances answers well, and EC2 ends the start by itself: where it may not use the key
        of the host's disk, for one.
        """
        launched = self.launched_at > 0 and not self.heard
        return launched and self.ec2_state == "stopped" and not self.reason.startswith(BY_HAND)

    @property
    def busy(self) -> bool:
        return self.awake and self.heard and self.row.state == "busy"

    @property
    def doing(self) -> str:
        """` in stage build of shop, stage fetch of blog`; empty if no run is told of."""
        runs = ", ".join(f"stage {run.stage} of {run.pipeline}" for run in self.row.runs)
        return f" in {runs}" if runs else ""


@dataclass(frozen=True, kw_only=True)
class IdleNotice:
    """'This host is idle', as it said in boot `boot` for the `idle_number`th time."""

    host_id: str
    boot: str
    idle_number: int


@dataclass(frozen=True, kw_only=True)
class Tip:
    """What the dev account answered about a branch: its tip, or why there is no answer.

    Neither: the branch is not there yet.
    """

    commit_id: str | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The world as one Lambda reads it. `queued`, `held_messages`: visible and in-flight counts,
    which lag and prove nothing. `tips`: answers for the pipelines whose drift check is due.

    `giving_way`: pipelines whose deployments give way to a new push. `handed_over`: the deployments
    that are followed or not wholly closed, by id (None: its row is gone), where they were read.
    `builders`, `pending`: where builds of CodeBuild are configured (`engine`). `build_ends`: how
    the builds of builders ended that are over, by pipeline, and `machines` since when those under
    way have a machine, where CodeBuild was asked. `places`: of builders, those that were ever
    taken. `builder_hosts`: the host rows of builders, by their ids, where one is live.
    `configured`: the pipelines that there are, which a builder would know.
    """

    now: float
    limits: Limits
    hosts: tuple[Host, ...]
    wants: tuple[Want, ...] = ()
    locks: Mapping[str, LockRow] = field(default_factory=dict)
    pipelines: Mapping[str, PipelineRow] = field(default_factory=dict)
    alerts: tuple[AlertRow, ...] = ()
    queued: int = 0
    held_messages: int = 0
    notice: IdleNotice | None = None
    tips: Mapping[str, Tip] = field(default_factory=dict)
    giving_way: frozenset[str] = frozenset()
    handed_over: Mapping[str, DeploymentRow | None] = field(default_factory=dict)
    engine: BuildersSettings = field(default_factory=BuildersSettings)
    builders: Mapping[str, BuilderRow] = field(default_factory=dict)
    pending: tuple[PendingRow, ...] = ()
    build_ends: Mapping[str, str] = field(default_factory=dict)
    machines: Mapping[str, float] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    builder_hosts: Mapping[str, HostRow] = field(default_factory=dict)
    configured: frozenset[str] = frozenset()

    @cached_property
    def at_work(self) -> frozenset[str]:
        """Pipelines that a host has a run of, as far as its heartbeat tells, or that have a
        builder: what comes for them waits for that, and needs no build slot of its own.
        """
        busy = (host for host in self.hosts if host.busy and not self.given_up(host))
        return frozenset(run.pipeline for host in busy for run in host.row.runs) | self.built

    @cached_property
    def built(self) -> frozenset[str]:
        """Pipelines that a build of CodeBuild works for, or is about to."""
        return frozenset(
            name
            for name, row in self.builders.items()
            if row.is_live and name not in self.build_ends
        )

    def free_slots(self, host: Host) -> int:
        """Builds that an awake host will take soon.

        One that has not been heard in this boot counts with the slots that it told last. A lock
        that it has and its heartbeat does not tell of takes a slot: a run that has just begun, or
        one that was cut off and will come again.
        """
        runs = host.row.runs if host.busy else ()
        told = {run.pipeline for run in runs}
        untold = self._locked_by.get(host.host_id, frozenset()) - told
        return max(0, host.row.slots - sum(run.slots for run in runs) - len(untold))

    @cached_property
    def _locked_by(self) -> Mapping[str, frozenset[str]]:
        """The pipelines whose locks a host's runs have, by host."""
        held = {name: lock.host for name, lock in self.locks.items() if lock.taken(self.now)}
        hosts = {host for host in held.values() if host}
        return {host: frozenset(n for n, by in held.items() if by == host) for host in hosts}

    def silence(self, host: Host) -> float:
        """Seconds since a running host's last sign of life, its launch included."""
        return self.now - max(host.row.heartbeat_at, host.launched_at)

    def silent(self, host: Host) -> bool:
        """Not heard for so long that nothing is to be expected of it (held: it stays as it is)."""
        return host.ec2_state == "running" and self.silence(host) > self.limits.no_heartbeat

    def standstill(self, host: Host) -> float:
        """Seconds since any run of a host last got on."""
        return self.now - host.row.progress_at

    def stands_still(self, host: Host) -> bool:
        """It is at work, and none of its runs has got on for too long.

        At work is who is busy, and who works on under a stop claim whose claimer has died. The
        agent itself ends a run that does not get on; that it did, the row tells a heartbeat later.
        """
        claimed = host.row.state == "stopping" and bool(host.row.runs)
        at_work = host.busy or (host.heard and host.ec2_state == "running" and claimed)
        limit = self.limits.no_progress + AGENT_FIRST * self.limits.heartbeat
        return at_work and self.standstill(host) > limit

    def given_up(self, host: Host) -> bool:
        """Nothing is to be expected of it: what it is at, and its free slots, help nobody."""
        return self.silent(host) or self.stands_still(host)

    def paused(self, pipeline: str) -> bool:
        row = self.pipelines.get(pipeline)
        return row is not None and row.paused

    def followed(self, pipeline: str) -> bool:
        """A deployment has the pipeline's lock: its row goes on with it, no host is needed."""
        row = self.locks.get(pipeline)
        return row is not None and row.is_followed

    def knows(self, pipeline: str) -> bool:
        """Whether anybody would take a request of it: builders have none of other pipelines."""
        return pipeline in self.configured or not self.engine.uses_code_build

    def waits(self, pipeline: str) -> bool:
        """The pipeline's requests wait, for `resume` or for the end of what is followed."""
        followed = self.followed(pipeline) and pipeline not in self.giving_way
        return followed or self.paused(pipeline)

    def locked(self, pipeline: str, *, but: Collection[str] = ()) -> bool:
        """A live holder has the pipeline's lock: none of the hosts `but`, and it gives not way."""
        row = self.locks.get(pipeline)
        if row is None or not row.taken(self.now) or row.host in but:
            return False
        return not self.followed(pipeline) or pipeline not in self.giving_way

    def kept_from_us(self, pipeline: str) -> bool:
        """Somebody is at the pipeline: its lock is held, and not by a host that is powered off.

        Such a host took its lock down with it: waiting for its expiry would lose a whole period.
        The same goes for a builder that has ended.
        """
        return self.locked(pipeline, but=self._off)

    @cached_property
    def _off(self) -> frozenset[str]:
        """Hosts that are powered off, and builders that have ended."""
        hosts = {host.host_id for host in self.hosts if host.ec2_state == "stopped"}
        return frozenset(
            hosts | {builder_host(name) for name in self.builders if name not in self.built}
        )


@dataclass(frozen=True, kw_only=True)
class StartHost:
    """StartInstances; if there is no capacity, the next of `others` is tried instead."""

    host: Host
    others: tuple[Host, ...] = ()
    why: str


@dataclass(frozen=True, kw_only=True)
class StopIdle:
    """Claim idle(n) → stopping, then StopInstances."""

    notice: IdleNotice
    why: str


@dataclass(frozen=True, kw_only=True)
class StopBroken:
    """Claim whatever state → stopping as long as `unchanged` has not moved, then StopInstances."""

    host: Host
    unchanged: Unchanged
    why: str


@dataclass(frozen=True, kw_only=True)
class LeaveHost:
    """Nothing is done to the host; said so that the log tells why."""

    host_id: str
    why: str


@dataclass(frozen=True, kw_only=True)
class StartBuilder:
    """Move the builder's row on by a generation, into one of the `places`, then StartBuild."""

    builder: BuilderRow
    places: tuple[Place, ...]
    why: str


@dataclass(frozen=True, kw_only=True)
class FindBuilder:
    """Find the build of a row whose StartBuild has no known answer, or start it once more."""

    builder: BuilderRow
    why: str


@dataclass(frozen=True, kw_only=True)
class EndBuilder:
    """Note CodeBuild's word that the builder's build is over."""

    builder: BuilderRow
    status: str
    why: str


@dataclass(frozen=True, kw_only=True)
class StopBuilder:
    """Claim the builder's host row `seen` as long as `unchanged` has not moved, then StopBuild."""

    builder: BuilderRow
    seen: HostRow
    unchanged: Unchanged
    why: str


@dataclass(frozen=True, kw_only=True)
class ForgetBuilder:
    """Delete the row of a builder, its place and its host row."""

    builder: BuilderRow
    why: str


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """Make a dead letter of a request, record that as its outcome, delete its want and `row`."""

    pipeline: str
    request_id: str
    body: str
    row: PendingRow | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Republish:
    """Publish a want's request again."""

    want: Want
    why: str


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Note a want for `request` and publish it; then take the note `again` of `orphan`, if any."""

    request: BuildRequest
    why: str
    orphan: LockRow | None = None


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """Let the follower look at a deployment: nobody has taken the step that is due."""

    deployment_id: str
    pipeline: str
    why: str


@dataclass(frozen=True, kw_only=True)
class NoteTip:
    """Write what the drift check saw to the pipeline's row (a None removes a member)."""

    pipeline: str
    values: Mapping[str, str | float | None]
    why: str


@dataclass(frozen=True, kw_only=True)
class RaiseAlert:
    """Tell people of a trouble, once."""

    kind: AlertKind
    subject: str
    why: str


@dataclass(frozen=True, kw_only=True)
class EndAlert:
    """Tell people that a trouble is over."""

    alert: AlertRow
    why: str


Action = (
    StartHost
    | StopIdle
    | StopBroken
    | LeaveHost
    | StartBuilder
    | FindBuilder
    | EndBuilder
    | StopBuilder
    | ForgetBuilder
    | GiveUp
    | Republish
    | Ask
    | FollowUp
    | NoteTip
    | RaiseAlert
    | EndAlert
)
