"""`slipway status`: what runs, what is under way, what waits, and who is awake.

A handful of calls, made beside each other, whatever the number of recorded deployments: four small
partitions of the table, the counts of two queues, the hosts, the branches' tips. Only a pipeline
that is being deployed costs a query of its past, for the usual time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.aws.builders import BuilderStatus, builder_statuses
from slipway.cli.aws.hosts import HostStatus, describe, hosts_of, statuses
from slipway.cli.aws.session import Session
from slipway.cli.aws.tips import Tip, ask, last_seen, seen_at, verdict
from slipway.cli.aws.waiting import builder_waited_for, slot_waited_for, work_of
from slipway.cli.options import named_pipelines, pipeline_argument, verb
from slipway.cli.show.moments import ago, short_moment
from slipway.cli.show.output import BAD, BUSY, DIM, GOOD, Output
from slipway.cli.show.progress import LEARNT_FROM, remaining, usual
from slipway.contracts.codec import encode
from slipway.contracts.sentences import followed
from slipway.contracts.wording import counted, duration, person, short, tidy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slipway.contracts.installation import Installation
    from slipway.contracts.table.builders import BuilderRow
    from slipway.contracts.table.deployments import DeploymentRow
    from slipway.contracts.table.locks import LockRow
    from slipway.contracts.table.pipelines import PipelineRow
    from slipway.contracts.table.wants import Want


@dataclass(frozen=True, kw_only=True)
class Running:
    """What a pipeline's service runs, as Slipway last saw to it."""

    commit: str | None
    subject: str | None
    deployment: str | None
    since: float | None
    by: str | None
    task_definition: str | None


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """A deployment that is under way; times in seconds, None where they are not known.

    `followed_by` and `next_look` (seconds since the epoch) are of a rollout that needs no host.
    """

    deployment: str | None
    holder: str
    stage: str | None
    elapsed: float
    usual: float | None
    remaining: float | None
    commit: str | None
    by: str | None
    followed_by: str | None
    next_look: float | None


@dataclass(frozen=True, kw_only=True)
class PipelineStatus:
    """One pipeline. `tip_verdict`: `up to date`, `untouched`, `ahead`, `not run`, `unknown`.

    Where the branch may not be looked at, `tip_note` says why, and `tip` is the one that was last
    seen by the reconciler or by a deployment, at `tip_checked_at`. `waits_for`: a host or a free
    build slot, where a request waits for one. `mixed`: what several services run where these are
    versions of different deployments.
    """

    pipeline: str
    running: Running | None
    under_way: UnderWay | None
    waiting: int
    waits_for: str | None
    paused_by: str | None
    failures: int
    rolled_back_to: str | None
    mixed: str | None
    tip: str | None
    tip_verdict: str
    tip_note: str
    tip_checked_at: float | None


@dataclass(frozen=True, kw_only=True)
class QueueStatus:
    """Counts of the build queue, as SQS has them: they lag by a minute."""

    waiting: int
    held: int
    dead_letters: int


@dataclass(frozen=True, kw_only=True)
class Status:
    """The answer to `slipway status`. `builders`: those at work, where CodeBuild builds."""

    installation: str
    mode: str
    pipelines: tuple[PipelineStatus, ...]
    queue: QueueStatus
    hosts: tuple[HostStatus, ...]
    builders: tuple[BuilderStatus, ...] | None
    at: float


@click.command()
@pipeline_argument
@verb
def command(session: Session, out: Output, pipeline: str | None) -> None:
    """What runs, what is under way, what waits, and why a host is awake.

    \b
    Examples:
      slipway status
      slipway status shop --json
    """
    status = gather(session, named_pipelines(session, pipeline))
    out.data(encode(status))
    _show(status, out)


def gather(session: Session, names: list[str]) -> Status:
    """Ask for everything at once and put it together.

    The table is asked first: while it answers, the other clients are made.
    """
    settings, table, now = session.installation, session.table, session.clock.now()
    pipelines = session.start(table.pipelines.all)
    hosts = session.start(table.hosts.all)
    wants = session.start(table.wants.all)
    built = settings.builders.uses_code_build
    builders = session.start(table.builders.all) if built else None
    locks = {lock.pipeline: lock for lock in table.locks.all() if lock.taken(now)}
    past = {n: session.start(table.deployments.newest, n, LEARNT_FROM) for n in names if n in locks}
    tips = ask(session, [p for p in settings.pipelines if p.name in names])
    sqs = session.client("sqs")
    queue = session.start(_counts, sqs, session.queue_url(settings.names.build_queue))
    dead = session.start(_counts, sqs, session.queue_url(settings.names.build_dead_letters))
    instances = session.start(describe, session.client("ec2"), settings)
    rows = {n: pipelines.result().get(n) for n in names}
    running = table.deployments.get_many(
        row.running_deployment for row in rows.values() if row and row.running_deployment
    )
    waiting = wants.result()
    found = hosts_of(instances.result(), hosts.result())
    there = work_of(
        waiting,
        pipelines.result(),
        locks=locks.values(),
        hosts=found,
        installation=settings,
        now=now,
    )
    slot = slot_waited_for(hosts.result(), settings.host_count, settings.limits, now)
    by_pipeline = {row.pipeline: row for row in builders.result()} if builders else {}
    return Status(
        installation=settings.name,
        mode=settings.mode,
        pipelines=tuple(
            _pipeline(
                name,
                rows[name],
                running=running,
                lock=locks.get(name),
                past=past[name].result() if name in past else [],
                wants=waiting,
                tip=tips[name].result(),
                waits_for=_waits_for(name, by_pipeline, slot, settings, now),
                now=now,
            )
            for name in names
        ),
        queue=_queue(queue.result(), dead.result()),
        hosts=statuses(found, there, settings.limits, now),
        builders=builder_statuses(by_pipeline, hosts.result()) if built else None,
        at=now,
    )


def _waits_for(
    name: str, builders: Mapping[str, BuilderRow], slot: str, settings: Installation, now: float
) -> str:
    """What a pipeline's request waits for, if it does."""
    from slipway.contracts.table.builders import BuilderRow

    builder = builders.get(name, BuilderRow(pipeline=name))
    if builder.is_live or not settings.builders.uses_hosts:
        return builder_waited_for(builder, now)
    return slot or "a host"


def _counts(client: Any, url: str) -> dict[str, int]:
    answer = client.get_queue_attributes(
        QueueUrl=url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return {name: int(value) for name, value in answer["Attributes"].items()}


def _queue(build: dict[str, int], dead: dict[str, int]) -> QueueStatus:
    visible, held = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    return QueueStatus(
        waiting=build[visible], held=build[held], dead_letters=dead[visible] + dead[held]
    )


def _pipeline(
    name: str,
    row: PipelineRow | None,
    *,
    running: dict[str, DeploymentRow],
    lock: LockRow | None,
    past: list[DeploymentRow],
    wants: list[Want],
    tip: Tip,
    waits_for: str,
    now: float,
) -> PipelineStatus:
    from slipway.contracts.table.pipelines import PipelineRow

    row = row or PipelineRow(pipeline=name)
    commit, note = tip
    commit = commit or last_seen(row)
    waiting = sum(1 for want in wants if want.pipeline == name)
    return PipelineStatus(
        pipeline=name,
        running=_running(row, running.get(row.running_deployment or "")),
        under_way=_under_way(lock, past, now) if lock else None,
        waiting=waiting,
        waits_for=waits_for if waiting and not lock and not row.paused else None,
        paused_by=(row.paused_by or "an operator") if row.paused else None,
        failures=row.failures,
        rolled_back_to=row.rolled_back_to,
        mixed=row.mixed,
        tip=commit,
        tip_verdict=verdict(commit, row),
        tip_note=note,
        tip_checked_at=seen_at(row) if note else now,
    )


def _running(row: PipelineRow, deployment: DeploymentRow | None) -> Running | None:
    if row.running_commit is None and row.running_deployment is None:
        return None
    return Running(
        commit=row.running_commit,
        subject=deployment.commit.subject if deployment and deployment.commit else None,
        deployment=row.running_deployment,
        since=row.running_since,
        by=row.running_by,
        task_definition=row.running_task_definition,
    )


def _under_way(lock: LockRow, past: list[DeploymentRow], now: float) -> UnderWay:
    row = next((r for r in past if r.status is None), None)
    known = usual(past)
    return UnderWay(
        deployment=row.deployment_id if row else None,
        holder=lock.holder,
        stage=row.stage if row else None,
        elapsed=now - (row.started_at if row else lock.taken_at),
        usual=known.total,
        remaining=remaining(row, known, now) if row else None,
        commit=row.commit.id if row and row.commit else None,
        by=row.pushed_by if row else None,
        followed_by=row.followed_by(now) if row else None,
        next_look=row.next_look if row else None,
    )


# --- for people


def _show(status: Status, out: Output) -> None:
    where = " (local run)" if status.mode == "local" else ""
    out.say(click.style(f"{status.installation}{where}", bold=True))
    out.say()
    out.table(
        ("PIPELINE", "RUNS", "SINCE (UTC)", "BY", "NOW", "TIP"),
        [_line(pipeline, status.at) for pipeline in status.pipelines],
    )
    for pipeline in status.pipelines:
        for remark in _remarks(pipeline, status.at):
            out.say(remark)
    out.say()
    queue = status.queue
    dead = f"{queue.dead_letters} dead letter{'' if queue.dead_letters == 1 else 's'}"
    out.say(
        f"queue  {queue.waiting} waiting, {queue.held} held by a host, "
        + (click.style(dead, fg=BAD) if queue.dead_letters else dead)
    )
    for host in status.hosts:
        colour = {"running": BUSY, "stopped": DIM}.get(host.state, BUSY)
        out.say(
            f"host   {host.name} ({host.host_id}) {click.style(host.state, fg=colour)}: {host.why}"
        )
    for builder in status.builders or ():
        at_work = builder.stage or "not begun"
        asked = f"asked for {ago(builder.asked_at, status.at)}"
        out.say(f"build  {builder.pipeline} ({builder.build or 'no id yet'}): {at_work}, {asked}")
    if status.builders == ():
        out.say("build  none under way")
    if not status.hosts and status.builders is None:
        out.say("host   none found")


def _line(pipeline: PipelineStatus, at: float) -> list[str]:
    running = pipeline.running
    commit = short(running.commit) if running and running.commit else "nothing yet"
    subject = f" {tidy(running.subject, 40)}" if running and running.subject else ""
    since = (
        f"{short_moment(running.since)}, {ago(running.since, at)}"
        if running and running.since
        else ""
    )
    by = person(running.by) if running and running.by else ""
    return [pipeline.pipeline, commit + subject, since, by, _now(pipeline), _tip(pipeline, at)]


def _now(pipeline: PipelineStatus) -> str:
    if work := pipeline.under_way:
        usually = f" of usually {duration(work.usual)}" if work.usual is not None else ""
        stage = "rolling out" if work.followed_by else work.stage or f"deployed by {work.holder}"
        return click.style(f"{stage}, {duration(work.elapsed)}{usually}", fg=BUSY)
    if pipeline.paused_by:
        waits = f", {pipeline.waiting} waiting" if pipeline.waiting else ""
        return click.style(f"paused by {person(pipeline.paused_by)}{waits}", fg=BUSY)
    if pipeline.waits_for:
        return click.style(f"waits for {pipeline.waits_for}", fg=BUSY)
    return "idle"


def _tip(pipeline: PipelineStatus, at: float) -> str:
    if pipeline.tip is None:
        return click.style("not known", fg=DIM)
    commit = short(pipeline.tip)
    seen = ""
    if pipeline.tip_note:
        checked = pipeline.tip_checked_at
        seen = f" (seen {ago(checked, at)})" if checked else " (when last deployed)"
    match pipeline.tip_verdict:
        case "up to date":
            return click.style("up to date", fg=GOOD) + seen
        case "untouched":
            return click.style(f"up to date ({commit} is of other paths)", fg=GOOD) + seen
        case "ahead":
            return click.style(f"{commit} is ahead", fg=BUSY) + seen
    return click.style(f"{commit} does not run", fg=BAD) + seen


def _remarks(pipeline: PipelineStatus, at: float) -> list[str]:
    """What needs a line of its own, below the table."""
    remarks = []
    work = pipeline.under_way
    if work and work.followed_by:
        waits = f"; {counted(pipeline.waiting, 'request')} behind it" if pipeline.waiting else ""
        told = followed(work.followed_by, work.next_look, at)
        remarks.append(f"{pipeline.pipeline}: {told}{waits}")
    if pipeline.failures:
        times = "time" if pipeline.failures == 1 else "times in a row"
        text = f"{pipeline.pipeline}: failed {pipeline.failures} {times}"
        remarks.append(
            click.style(text, fg=BAD) + f"; `slipway history {pipeline.pipeline} --failed`"
        )
    if pipeline.mixed:
        text = f"{pipeline.pipeline}: the services run versions of different deployments"
        remarks.append(click.style(text, fg=BAD) + f": {tidy(pipeline.mixed, 400)}")
    if pipeline.rolled_back_to:
        remarks.append(
            f"{pipeline.pipeline}: an earlier version runs (rollback), until the next push"
        )
    if pipeline.tip is None:
        remarks.append(
            click.style(f"{pipeline.pipeline}: tip not known, {pipeline.tip_note}", fg=DIM)
        )
    return remarks
