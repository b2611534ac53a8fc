"""The panel beside the messages as HTML: each pipeline's stages, each host's state."""

from __future__ import annotations

from collections import Counter

from markupsafe import Markup, escape

from local.slack_page.pages import page
from local.slack_page.status import PipelineStatus, Status
from slipway.contracts import wording

OUTCOMES = {
    "succeeded": "live",
    "unchanged": "unchanged",
    "failed": "failed",
    "rolled_back": "rolled back",
    "superseded": "superseded",
    "gave_up": "gave up",
    "cancelled": "cancelled",
}
GOOD = ("succeeded", "unchanged", "superseded", "cancelled")
KINDS = {"running": "good", "stopped": "asleep", "pending": "busy", "stopping": "busy"}
"""How each EC2 state of a host is marked."""


def panel_html(status: Status) -> Markup:
    """All of the panel."""
    return page("panel", status=status, outcomes=OUTCOMES, good=GOOD, kinds=KINDS)


def gist_html(status: Status) -> Markup:
    """The panel in one line: what is under way or wrong, and what the hosts do."""
    told = [text for pipeline in status.pipelines if (text := _gist(pipeline))]
    hosts = Counter(host.ec2 for host in status.hosts)
    told += [f"{wording.counted(n, 'host')} {state}" for state, n in sorted(hosts.items())]
    return escape(" · ".join(told) or "Pipelines and build hosts")


def _gist(pipeline: PipelineStatus) -> str:
    work = pipeline.deployment
    if work is not None and work.status is None:
        return f"{pipeline.name}: {'rolling out' if work.followed_by else work.stage}"
    if pipeline.paused:
        return f"{pipeline.name}: paused"
    if pipeline.failures:
        return f"{pipeline.name}: failed"
    return f"{pipeline.name}: waits" if pipeline.wanted else ""
