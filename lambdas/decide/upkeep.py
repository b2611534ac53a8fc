"""The reconciler's other rules: requests that got lost, branches that are ahead, alerts; pure."""

from __future__ import annotations

from lambdas.decide.situation import (
    Action,
    Ask,
    EndAlert,
    FollowUp,
    Host,
    NoteTip,
    RaiseAlert,
    Republish,
    Snapshot,
)
from slipway.contracts.messages import AlertKind, BuildRequest, request_id_of
from slipway.contracts.table.alerts import AlertRow
from slipway.contracts.table.deployments import DeploymentRow, pipeline_of
from slipway.contracts.table.locks import again_request
from slipway.contracts.table.pipelines import NO_TIP, PipelineRow
from slipway.contracts.table.wants import Want
from slipway.contracts.wording import counted, duration

FULL_QUEUE_PATIENCE = 4
"""Times `republish_after` to wait while the queue seems to hold requests (perhaps of others)."""
FOLLOW_GRACE = 30.0
"""Seconds that a followed deployment's next look may be late: messages take their time."""


def republished(snapshot: Snapshot) -> list[Action]:
    """Rule 5: a want without progress whose request seems to be gone is published again.

    The count is only a hint: above 0 it delays the republishing, it does not prevent it. A request
    that was there after all is found settled, or superseded, by its id.
    """
    return [
        Republish(want=want, why=f"no progress for {snapshot.now - want.noted_at:.0f} s")
        for want in snapshot.wants
        if snapshot.now - want.noted_at > _patience(snapshot, want)
        and not snapshot.waits(want.pipeline)
        and not snapshot.locked(want.pipeline)
        and want.pipeline not in snapshot.at_work
        and snapshot.knows(want.pipeline)
    ]


def _patience(snapshot: Snapshot, want: Want) -> int:
    """The counts are the build queue's, where a request that needs no builder never is."""
    seems_there = want.builder and snapshot.queued + snapshot.held_messages > 0
    return snapshot.limits.republish_after * (FULL_QUEUE_PATIENCE if seems_there else 1)


def orphaned_requests(snapshot: Snapshot) -> list[Action]:
    """The note `again` on a lock that nobody holds: its request was settled into a run that died.

    The id comes from the taking and the asker (`again_request`), so that doing it twice asks once.
    """
    return [
        Ask(
            request=again_request(lock, snapshot.now),
            why=f"request {lock.again} was left to a holder that is gone",
            orphan=lock,
        )
        for name, lock in snapshot.locks.items()
        if lock.again and not lock.taken(snapshot.now) and not snapshot.paused(name)
    ]


# --- the net under what is followed


def followed_up(snapshot: Snapshot) -> list[Action]:
    """Deployments whose next step is overdue, and those whose outcome was not wholly told."""
    return [
        FollowUp(deployment_id=deployment_id, pipeline=pipeline_of(deployment_id), why=why)
        for deployment_id, row in snapshot.handed_over.items()
        if (why := _left_alone(snapshot, row))
    ]


def followed_again(snapshot: Snapshot) -> list[Action]:
    """The end of the follower's alert that it does not know a rollout's state."""
    return [
        EndAlert(alert=alert, why="it is followed again, or over")
        for alert in snapshot.alerts
        if alert.kind == "not_followed" and not alert.over_at and _got_on(snapshot, alert)
    ]


def _got_on(snapshot: Snapshot, alert: AlertRow) -> bool:
    """Somebody has taken a step of it since."""
    row = snapshot.handed_over.get(alert.subject)
    return row is None or row.ended_at is not None or (row.next_look or 0.0) > alert.raised_at


def _left_alone(snapshot: Snapshot, row: DeploymentRow | None) -> str:
    """Why somebody must look at a deployment that was handed over; empty: somebody does."""
    if row is None:
        return "its row is gone"
    if row.claimed(snapshot.now):
        return ""
    if row.ended_at is not None:
        return f"it ended {snapshot.now - row.ended_at:.0f} s ago and is not closed"
    if row.next_look is None:
        return "it is followed, and no next look is set"
    overdue = snapshot.now - row.next_look
    return f"its next look is {overdue:.0f} s overdue" if overdue > FOLLOW_GRACE else ""


# --- rule 6: is a branch ahead of what was handled?


def drift_due(row: PipelineRow, now: float, *, every: float) -> bool:
    """Every `every` seconds; at each look while a tip is known to be ahead."""
    return bool(row.ahead_tip) or row.checked_at is None or now - row.checked_at >= every


def drift_actions(snapshot: Snapshot) -> list[Action]:
    """Rule 6: for each tip that was looked at, what to note, to ask for, or to say."""
    actions: list[Action] = []
    for name, tip in snapshot.tips.items():
        row = snapshot.pipelines.get(name, PipelineRow(pipeline=name))
        if tip.problem is not None:
            actions += _unanswered(snapshot, row, tip.problem)
            continue
        actions += alert_ended(snapshot, "drift_skipped", name, "the dev account answers again")
        if tip.commit_id is None:
            actions += _not_there(snapshot, row)
        else:
            actions += _answered(snapshot, row, tip.commit_id)
    return actions


def _unanswered(snapshot: Snapshot, row: PipelineRow, problem: str) -> list[Action]:
    """An alert, unless nothing was ever seen of the branch: the dev stack is not there yet."""
    why = f"a lost push would not be found: {problem}"
    noted = NoteTip(pipeline=row.pipeline, values={"checked_at": snapshot.now}, why=why)
    if _known(row) is None:
        return [noted]
    return [noted, *alert_raised(snapshot, "drift_skipped", row.pipeline, why)]


def _not_there(snapshot: Snapshot, row: PipelineRow) -> list[Action]:
    """No branch, or an empty repository. Its first commit will be ahead of that."""
    values: dict[str, str | float | None] = {"checked_at": snapshot.now}
    if _known(row) is None:
        values["baseline_tip"] = NO_TIP
    return [NoteTip(pipeline=row.pipeline, values=values, why="the branch has no tip yet")]


def _known(row: PipelineRow) -> str | None:
    """The tip that is dealt with: the last one seen through a request, or the baseline."""
    return row.handled_tip or row.baseline_tip


def _answered(snapshot: Snapshot, row: PipelineRow, tip: str) -> list[Action]:
    """The first tip seen is the baseline, until a request has been handled; a known tip ends it.

    While a deployment is followed its tip counts as handled: its outcome will note which it was.
    The baseline counts only until then: a branch that goes from A to B and back to A is ahead at
    the second A though A was the baseline.
    """
    seen: dict[str, str | float | None] = {"checked_at": snapshot.now}
    known = _known(row)
    if known is None:
        why = f"first sight of the branch, at {tip[:12]}"
        return [NoteTip(pipeline=row.pipeline, values={**seen, "baseline_tip": tip}, why=why)]
    if tip == known or _asked_for(snapshot, row.pipeline) or snapshot.followed(row.pipeline):
        values = {**seen, "ahead_tip": None, "ahead_since": None}
        return [
            NoteTip(
                pipeline=row.pipeline,
                values=values,
                why="the tip is known, asked for or rolled out",
            )
        ]
    if tip != row.ahead_tip or row.ahead_since is None:
        values = {**seen, "ahead_tip": tip, "ahead_since": snapshot.now}
        why = f"the tip {tip[:12]} was not seen through a request"
        return [NoteTip(pipeline=row.pipeline, values=values, why=why)]
    age = snapshot.now - row.ahead_since
    if age < snapshot.limits.drift_age:
        return []
    # Anew after a while: a request that another host's run has joined is settled, and that run may
    # have failed.
    times = int(age // snapshot.limits.drift_every)
    return [
        Ask(
            request=BuildRequest(
                request_id=request_id_of("drift", row.pipeline, f"{tip} {row.ahead_since} {times}"),
                pipeline=row.pipeline,
                commit_id=tip,
                pushed_by="drift check",
                pushed_at=snapshot.now,
                reason="drift",
            ),
            why=f"the branch has been at {tip[:12]} for {age:.0f} s without a request",
        )
    ]


def _asked_for(snapshot: Snapshot, pipeline: str) -> bool:
    """A want for the pipeline's tip stands: it will be looked at anyway."""
    return any(want.pipeline == pipeline and want.request.is_tip for want in snapshot.wants)


# --- alerts


def host_alerts(snapshot: Snapshot) -> list[Action]:
    """Trouble with hosts that people should know of, said once; and its end."""
    actions: list[Action] = []
    for host in snapshot.hosts:
        actions += _silence(snapshot, host)
        actions += _standstill(snapshot, host)
        actions += _long_awake(snapshot, host)
        actions += _startless(snapshot, host)
    return actions


def _silence(snapshot: Snapshot, host: Host) -> list[Action]:
    if snapshot.silent(host):
        boots = host.row.silent_boots
        alone = f", in {counted(boots, 'boot')} in a row" if boots else ""
        why = f"no heartbeat for {duration(snapshot.silence(host))}{alone}"
        return alert_raised(snapshot, "no_heartbeat", host.host_id, why)
    if host.ec2_state == "running" and host.heard:
        return alert_ended(snapshot, "no_heartbeat", host.host_id, "there is a heartbeat again")
    return []


def _standstill(snapshot: Snapshot, host: Host) -> list[Action]:
    if snapshot.stands_still(host):
        why = f"no progress for {duration(snapshot.standstill(host))}{host.doing}"
        return alert_raised(snapshot, "no_progress", host.host_id, why)
    if host.heard and host.ec2_state == "running":
        return alert_ended(snapshot, "no_progress", host.host_id, "the host makes progress again")
    return []


def _long_awake(snapshot: Snapshot, host: Host) -> list[Action]:
    awake = snapshot.now - host.launched_at
    if host.ec2_state == "running" and awake > snapshot.limits.awake_long:
        return alert_raised(snapshot, "awake_long", host.host_id, f"awake for {duration(awake)}")
    return alert_ended(snapshot, "awake_long", host.host_id, "the host is asleep")


def _startless(snapshot: Snapshot, host: Host) -> list[Action]:
    """`start_failed` is raised where a start is refused; here for a host that can never start, and
    for one whose start EC2 took and then ended.
    """
    if host.ec2_state in ("missing", "terminated", "shutting-down"):
        return alert_raised(snapshot, "start_failed", host.host_id, f"EC2 says {host.ec2_state}")
    if host.died_unheard:
        reason = host.reason or "EC2 gives no reason"
        why = f"it was started, and stopped before it gave a sign of life ({reason})"
        return alert_raised(snapshot, "start_failed", host.host_id, why)
    if _has_started(host):
        return alert_ended(snapshot, "start_failed", host.host_id, "there is a heartbeat")
    return []


def _has_started(host: Host) -> bool:
    """That it is `pending`, or runs, proves nothing: until it is heard the start may still fail."""
    return host.ec2_state == "running" and host.heard


def alert_raised(snapshot: Snapshot, kind: AlertKind, subject: str, why: str) -> list[Action]:
    """People are told of the trouble, unless they were."""
    if _standing(snapshot, kind, subject) is not None:
        return []
    return [RaiseAlert(kind=kind, subject=subject, why=why)]


def alert_ended(snapshot: Snapshot, kind: AlertKind, subject: str, why: str) -> list[Action]:
    """People are told that the trouble is over, if they were told of it."""
    alert = _standing(snapshot, kind, subject)
    return [EndAlert(alert=alert, why=why)] if alert is not None and not alert.over_at else []


def _standing(snapshot: Snapshot, kind: AlertKind, subject: str) -> AlertRow | None:
    for alert in snapshot.alerts:
        if (alert.kind, alert.subject) == (kind, subject):
            return alert
    return None
