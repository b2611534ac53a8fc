"""`decide`: what to do about hosts and work, from one snapshot; pure.

Starter, stopper and reconciler call it alike. What wakes or stops a host is never a message alone
but the state of the world (level, not edge): a want row or a queue count says there is work, EC2
and the host rows say who is awake. No rule relies on a count being exact: a count above 0 can wake
a host or keep it, a count of 0 proves nothing.
"""

from __future__ import annotations

from lambdas.decide.building import builder_actions, builder_alerts
from lambdas.decide.silence import silence_alerts, silent_builders
from lambdas.decide.situation import (
    Action,
    Host,
    IdleNotice,
    LeaveHost,
    Snapshot,
    StartHost,
    StopBroken,
    StopIdle,
)
from lambdas.decide.unconfigured import unconfigured_actions
from lambdas.decide.upkeep import (
    drift_actions,
    followed_again,
    followed_up,
    host_alerts,
    orphaned_requests,
    republished,
)

SILENT_BOOTS = 3
"""Boots in a row without a heartbeat after which starts are an hour apart."""
BACK_OFF = 3600.0
IDLE_PERIODS = 3
"""Idle periods after which a host is stopped though no notice of it came through."""


def decide(snapshot: Snapshot) -> tuple[Action, ...]:
    """Every action that the snapshot calls for, each with its why, in the order to carry out."""
    return (
        *_notices(snapshot),
        *_broken(snapshot),
        *_forgotten(snapshot),
        *_wake(snapshot),
        *builder_actions(snapshot),
        *silent_builders(snapshot),
        *unconfigured_actions(snapshot),
        *republished(snapshot),
        *orphaned_requests(snapshot),
        *followed_up(snapshot),
        *drift_actions(snapshot),
        *host_alerts(snapshot),
        *builder_alerts(snapshot),
        *silence_alerts(snapshot),
        *followed_again(snapshot),
    )


def start_delay(silent_boots: int) -> float:
    """Seconds until the next start after so many boots in a row without a heartbeat."""
    return BACK_OFF if silent_boots >= SILENT_BOOTS else 0.0


# --- waking


def _wake(snapshot: Snapshot) -> list[Action]:
    """As many hosts awake as are needed for a build slot for each pipeline with work that nobody
    awake is at, and no more.
    """
    needed = _waiting_pipelines(snapshot)
    awake = [host for host in snapshot.hosts if host.awake and not snapshot.given_up(host)]
    free = sum(snapshot.free_slots(host) for host in awake)
    hinted = _hinted(snapshot) and not awake
    missing = max(len(needed) - free, 1 if hinted else 0)
    if not missing:
        return []
    startable = [host for host in snapshot.hosts if _startable(host, snapshot.now)]
    why = f"work for {', '.join(needed)}" if needed else f"{snapshot.queued} requests in the queue"
    starts = _fewest(startable, missing)
    spare = tuple(host for host in startable if host not in starts)
    actions: list[Action] = [StartHost(host=host, others=spare, why=why) for host in starts]
    short = sum(host.row.slots for host in starts) < missing
    actions += [
        LeaveHost(host_id=host.host_id, why=f"{why}, but {_unstartable(host, snapshot.now)}")
        for host in snapshot.hosts
        if short and host not in startable and not host.awake
    ]
    return actions


def _fewest(startable: list[Host], slots: int) -> list[Host]:
    """The fewest hosts that have so many build slots together; all, if even they have not."""
    chosen: list[Host] = []
    for host in sorted(startable, key=lambda host: host.row.slots, reverse=True):
        if slots <= 0:
            break
        chosen.append(host)
        slots -= host.row.slots
    return chosen


def _waiting_pipelines(snapshot: Snapshot) -> list[str]:
    """Pipelines that a builder is wanted for, by a want or a note `again` that nobody holds, and
    that nobody is working on.
    """
    wanted = {want.pipeline for want in snapshot.wants if want.builder}
    wanted |= {
        name for name, lock in snapshot.locks.items() if lock.again and not snapshot.followed(name)
    }
    return sorted(
        name
        for name in wanted - snapshot.at_work
        if not snapshot.waits(name) and not snapshot.kept_from_us(name)
    )


def _hinted(snapshot: Snapshot) -> bool:
    """The queue seems to hold a request that does not wait.

    It may be that of a pipeline whose want waits, or of one that is followed: that want was cleared
    at the hand-over, and a message of it may be left.
    """
    perhaps = {want.pipeline for want in snapshot.wants if want.builder}
    perhaps |= {name for name in snapshot.locks if snapshot.followed(name)}
    return snapshot.queued > 0 and not any(snapshot.waits(name) for name in perhaps)


def _startable(host: Host, now: float) -> bool:
    return host.ec2_state == "stopped" and not host.row.held and host.row.next_start_at <= now


def _unstartable(host: Host, now: float) -> str:
    if host.row.held:
        return f"the host is held by {host.row.held_by or 'an operator'}"
    if host.ec2_state != "stopped":
        return f"EC2 says {host.ec2_state}"
    return (
        f"{host.row.silent_boots} boots without a heartbeat:"
        f" next start in {host.row.next_start_at - now:.0f} s"
    )


# --- sleeping


def _notices(snapshot: Snapshot) -> list[Action]:
    """Rule 2: an idle notice stops its host only if nothing speaks against it."""
    notice = snapshot.notice
    if notice is None:
        return []
    host = next((h for h in snapshot.hosts if h.host_id == notice.host_id), None)
    if host is None:
        return [LeaveHost(host_id=notice.host_id, why="it is not one of ours")]
    objection = _objection(snapshot, host, notice)
    if objection:
        return [LeaveHost(host_id=host.host_id, why=objection)]
    return [StopIdle(notice=notice, why=f"idle({notice.idle_number}) and there is no work")]


def _forgotten(snapshot: Snapshot) -> list[Action]:
    """A host idle for several periods whose notices were all lost: as if one had arrived."""
    limit = IDLE_PERIODS * snapshot.limits.idle_period
    actions: list[Action] = []
    for host in snapshot.hosts:
        row = host.row
        if not host.awake or not host.heard or row.state != "idle":
            continue
        if snapshot.now - row.idle_since <= limit:
            continue
        notice = IdleNotice(host_id=row.host_id, boot=row.boot, idle_number=row.idle_number)
        if not _objection(snapshot, host, notice):
            actions.append(
                StopIdle(notice=notice, why=f"idle for {snapshot.now - row.idle_since:.0f} s")
            )
    return actions


def _objection(snapshot: Snapshot, host: Host, notice: IdleNotice) -> str:
    """What forbids to stop the host on this notice; empty if nothing does."""
    return _not_that_host(host, notice) or _kept(snapshot, host)


def _not_that_host(host: Host, notice: IdleNotice) -> str:
    """How the host differs from what the notice says of it."""
    row = host.row
    if host.ec2_state != "running":
        return f"EC2 says {host.ec2_state}"
    if row.boot != notice.boot or not host.heard:
        return f"the notice is of another boot ({notice.boot})"
    if row.state != "idle":
        return f"the host is {row.state}"
    if row.idle_number != notice.idle_number:
        return f"the notice says idle({notice.idle_number}), the host is idle({row.idle_number})"
    return ""


def _kept(snapshot: Snapshot, host: Host) -> str:
    """Why an idle host stays awake."""
    if host.row.held:
        return f"the host is held by {host.row.held_by or 'an operator'}"
    work = [
        w.pipeline for w in snapshot.wants if w.builder and _could_work(snapshot, host, w.pipeline)
    ]
    if work:
        return f"there is work for {', '.join(work)}"
    if _hinted(snapshot):
        return f"{snapshot.queued} requests seem to be in the queue"
    return ""


def _could_work(snapshot: Snapshot, host: Host, pipeline: str) -> bool:
    return not snapshot.waits(pipeline) and not snapshot.locked(pipeline, but={host.host_id})


# --- broken hosts


def _broken(snapshot: Snapshot) -> list[Action]:
    """Rule 4: a running host without heartbeat or progress, or whose stop did not take."""
    actions: list[Action] = []
    for host in snapshot.hosts:
        if host.ec2_state != "running" or host.row.held:
            continue
        stop = _why_broken(snapshot, host)
        if stop is not None:
            actions.append(stop)
    return actions


def _why_broken(snapshot: Snapshot, host: Host) -> StopBroken | None:
    row = host.row
    if row.state == "stopping" and row.claim_expires > snapshot.now:
        return None
    if snapshot.silent(host):
        why = f"no heartbeat for {snapshot.silence(host):.0f} s"
        return StopBroken(host=host, unchanged="heartbeat_at", why=why)
    if snapshot.stands_still(host):
        why = f"no progress for {snapshot.standstill(host):.0f} s{host.doing}"
        return StopBroken(host=host, unchanged="progress_at", why=why)
    if host.heard and row.state == "stopping" and not row.claim_expires:
        return StopBroken(
            host=host, unchanged="claim_expires", why="its stop was sent, but it runs still"
        )
    return None
