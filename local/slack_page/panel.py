"""The panel beside the messages as HTML: each pipeline's stages, each host's state."""

from __future__ import annotations

import html
from collections import Counter

from local.slack_page.status import (
    DeploymentStatus,
    HostStatus,
    PipelineStatus,
    StageStatus,
    Status,
)
from slipway.contracts import wording

OUTCOMES = {
    "succeeded": "live",
    "unchanged": "unchanged",
    "failed": "failed",
    "rolled_back": "rolled back",
    "superseded": "superseded",
    "gave_up": "gave up",
}
_GOOD = ("succeeded", "unchanged", "superseded")


def panel_html(status: Status) -> str:
    """Times that pass are written as `data-since` (seconds since the epoch); the page counts."""
    problem = f'<p class="problem">{_e(status.problem)}</p>' if status.problem else ""
    pipelines = "".join(_pipeline(pipeline) for pipeline in status.pipelines)
    hosts = "".join(_host(host) for host in status.hosts)
    queue = ""
    if status.requests_waiting is not None:
        queue = (
            f'<p class="queue">{wording.counted(status.requests_waiting, "request")} waiting, '
            f"{status.requests_held} held by a host</p>"
        )
    return (
        problem
        + (f"<h3>Pipelines</h3>{pipelines}" if pipelines else "")
        + (f"<h3>Build hosts</h3>{hosts}{queue}" if hosts else "")
    )


def gist_html(status: Status) -> str:
    """The panel in one line: what is under way or wrong, and what the hosts do."""
    told = [gist for pipeline in status.pipelines if (gist := _gist(pipeline))]
    hosts = Counter(host.ec2 for host in status.hosts)
    told += [f"{wording.counted(n, 'host')} {state}" for state, n in sorted(hosts.items())]
    return _e(" · ".join(told) or "Pipelines and build hosts")


def _gist(pipeline: PipelineStatus) -> str:
    work = pipeline.deployment
    if work is not None and work.status is None:
        return f"{pipeline.name}: {work.stage}"
    if pipeline.paused:
        return f"{pipeline.name}: paused"
    if pipeline.failures:
        return f"{pipeline.name}: failed"
    return f"{pipeline.name}: waits" if pipeline.wanted else ""


def _pipeline(pipeline: PipelineStatus) -> str:
    marks = [
        _mark("paused", "warn") if pipeline.paused else "",
        _mark("wanted", "busy") if pipeline.wanted else "",
        _mark(f"{pipeline.failures} failed in a row", "bad") if pipeline.failures else "",
    ]
    deployment = _deployment(pipeline.deployment) if pipeline.deployment else ""
    return (
        f'<section class="card"><h4>{_e(pipeline.name)} <small>{_e(pipeline.branch)}</small>'
        f"{''.join(marks)}</h4>{_running(pipeline)}{deployment}</section>"
    )


def _running(pipeline: PipelineStatus) -> str:
    link = f'<a href="{_e(pipeline.service_url)}" rel="noreferrer">open the service</a>'
    if pipeline.running_commit is None:
        return f"<p>Nothing deployed by Slipway yet · {link}</p>"
    since = _ago(pipeline.running_since)
    by = f" by {_e(wording.person(pipeline.running_by))}" if pipeline.running_by else ""
    commit = wording.short(pipeline.running_commit)
    return f"<p>Runs <code>{_e(commit)}</code> for {since}{by} · {link}</p>"


def _deployment(deployment: DeploymentStatus) -> str:
    commit = f"<code>{_e(wording.short(deployment.commit))}</code> " if deployment.commit else ""
    subject = _e(wording.tidy(deployment.subject or "", 80))
    stages = "".join(_stage(stage, deployment) for stage in deployment.stages)
    detail = f'<p class="detail">{_e(wording.tidy(deployment.detail or ""))}</p>'
    return (
        f'<div class="deployment"><p>{commit}{subject}</p><ol class="stages">{stages}</ol>'
        f"<p>{_outcome(deployment)}</p>{detail if deployment.detail else ''}</div>"
    )


def _outcome(deployment: DeploymentStatus) -> str:
    if deployment.status is None or deployment.ended_at is None:
        usual = f" · usually {wording.duration(deployment.usual)}" if deployment.usual else ""
        return f"{_mark('under way', 'busy')} {_counting(deployment.started_at)}{usual}"
    word = OUTCOMES.get(deployment.status, deployment.status)
    kind = "good" if deployment.status in _GOOD else "bad"
    took = wording.duration(deployment.ended_at - deployment.started_at)
    return f"{_mark(word, kind)} {took}, {_ago(deployment.ended_at)} ago"


def _stage(stage: StageStatus, deployment: DeploymentStatus) -> str:
    if stage.ended_at is None:
        return f'<li class="now">{_e(stage.name)} {_counting(stage.started_at)}</li>'
    decided = deployment.status is not None and stage.name == deployment.stage
    bad = decided and deployment.status not in _GOOD
    took = wording.duration(stage.ended_at - stage.started_at)
    return f'<li class="{"bad" if bad else "done"}">{_e(stage.name)} <small>{took}</small></li>'


def _host(host: HostStatus) -> str:
    kind = {"running": "good", "stopped": "asleep", "pending": "busy", "stopping": "busy"}
    does = ""
    if host.state:
        work = " · ".join(_e(word) for word in (host.pipeline, host.stage) if word)
        does = f"<p>{_e(host.state)}{f': {work}' if work else ''}</p>"
    if host.heartbeat_at:
        does += f"<p>heartbeat {_ago(host.heartbeat_at)} ago</p>"
    held = _mark("held", "warn") if host.held else ""
    return (
        f'<section class="card host"><h4><code>{_e(host.instance_id)}</code>'
        f"{_mark(host.ec2, kind.get(host.ec2, 'warn'))}{held}</h4>{does}</section>"
    )


def _mark(text: str, kind: str) -> str:
    return f'<span class="mark {kind}">{_e(text)}</span>'


def _counting(since: float) -> str:
    return f'<span class="counting" data-since="{since:.1f}"></span>'


def _ago(at: float | None) -> str:
    return _counting(at) if at is not None else "?"


def _e(text: str | None) -> str:
    return html.escape(text or "", quote=True)
