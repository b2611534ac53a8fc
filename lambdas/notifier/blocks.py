"""A notice as a Slack message: sentences in blocks, inside the limits of `mrkdwn`. Pure.

A deployment: a header that says what happened, a section with the commit, the cause and what runs
now, fields, the last lines of the log, the commits since the last deployment, small print.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.notifier import mrkdwn
from lambdas.notifier.mrkdwn import Block, literal
from slipway.contracts import notice_text, sentences, wording
from slipway.contracts.installation import PipelineSettings
from slipway.contracts.messages import Alert, CloseNotice, Commit, DeploymentResult, Status

LOG_LINES = 12
COMMITS_SHOWN = 8
CHANGES_SHOWN = 12

FAILURES: frozenset[Status] = frozenset({"failed", "rolled_back", "gave_up"})
"""Outcomes that may mention somebody."""

_EMOJI: Mapping[Status, str] = {
    "succeeded": ":white_check_mark:",
    "failed": ":x:",
    "rolled_back": ":leftwards_arrow_with_hook:",
    "superseded": ":fast_forward:",
    "unchanged": ":white_circle:",
    "gave_up": ":no_entry:",
    "cancelled": ":raised_hand:",
}
_RECOVERED = ":tada:"
_ALERT_EMOJI: Mapping[str, str] = {
    "dead_letter": ":incoming_envelope:",
    "alarm": ":rotating_light:",
    "drift_skipped": ":information_source:",
}
_TROUBLE = ":warning:"
_OVER = ":white_check_mark:"


def slack_message(notice: CloseNotice, pipeline: PipelineSettings | None) -> dict[str, Any]:
    """The incoming webhook's payload. `pipeline`: the settings of the notice's pipeline, if any."""
    if notice.result is not None:
        blocks = _deployment(notice, notice.result, pipeline)
    elif notice.alert is not None:
        blocks = _alert(notice, notice.alert)
    else:
        blocks = [mrkdwn.header(notice_text.headline(notice), ":zzz:")]
    return mrkdwn.message(notice_text.headline(notice), blocks)


def text_message(notice: CloseNotice) -> dict[str, Any]:
    """The same without blocks, for the day that Slack refuses the blocks."""
    return {"text": literal(notice_text.plain_text(notice), mrkdwn.FALLBACK)}


def _deployment(
    notice: CloseNotice, result: DeploymentResult, pipeline: PipelineSettings | None
) -> list[Block]:
    emoji = _RECOVERED if sentences.recovered(result) else _EMOJI[result.status]
    blocks = [
        mrkdwn.header(notice_text.headline(notice), emoji),
        mrkdwn.section(_story(result, pipeline)),
        *_services(result),
        mrkdwn.fields(_facts(result)),
    ]
    log = mrkdwn.code(sentences.log_lines(result, LOG_LINES))
    if log and result.status in FAILURES:
        blocks.append(mrkdwn.section([log]))
    changes = _definition(result)
    if changes:
        blocks.append(mrkdwn.section(changes))
    commits = _commits(result, pipeline)
    if commits:
        blocks.append(mrkdwn.section(commits))
    return [*blocks, mrkdwn.context(_small_print(result))]


def _story(result: DeploymentResult, pipeline: PipelineSettings | None) -> list[str]:
    """Mention, commit, cause, failed step, what runs now: a line each, together under 3,000."""
    failed = result.status in FAILURES
    lines = [mrkdwn.mention(pipeline.mention_on_failure) if failed and pipeline else ""]
    if result.commit:
        lines.append(_commit(result.commit, pipeline, bold=True))
    if result.cause:
        lines.append(literal(wording.capital(wording.tidy(result.cause, 600)), 900))
    step = sentences.step_to_tell(result)
    if step:
        lines.append(f"Failed step of the Dockerfile: `{mrkdwn.escape(_uncoded(step), 250)}`")
    lines.append(literal(sentences.runs_now(result), 500))
    if result.warning:
        lines.append(f"{_TROUBLE} {literal(wording.tidy(result.warning, 500), 800)}")
    return lines


def _services(result: DeploymentResult) -> list[Block]:
    """Each of several services, and what it runs now: a line each."""
    lines = [f"• {literal(line, 280)}" for line in sentences.service_lines(result)]
    return [mrkdwn.section(lines)] if lines else []


def _commit(commit: Commit, pipeline: PipelineSettings | None, *, bold: bool = False) -> str:
    """`<link|0123abcd> subject · author` (under 1,200 characters, with the longest link)."""
    url = sentences.commit_link(pipeline.commit_url if pipeline else None, commit.id)
    subject = literal(wording.tidy(commit.subject, 150), 300) or "(no subject)"
    author = literal(wording.tidy(commit.author, 60), 120)
    title = f"*{subject}*" if bold else subject
    return f"{mrkdwn.link(url, wording.short(commit.id))} {title}{f' · {author}' if author else ''}"


def _facts(result: DeploymentResult) -> list[tuple[str, str]]:
    facts = [
        ("Who", sentences.who(result)),
        ("How long", sentences.how_long(result)),
        ("Time by stage", sentences.by_stage(result.timings)),
        ("Tests", wording.tidy(result.tests or "", 300)),
    ]
    return [(label, literal(value, 1500)) for label, value in facts if value]


def _commits(result: DeploymentResult, pipeline: PipelineSettings | None) -> list[str]:
    """The commits since the last deployment; one alone is the deployment's own, said already."""
    title = sentences.commits_since(result)
    if not title or len(result.commits_since) < 2:
        return []
    items = [f"• {_commit(commit, pipeline)}" for commit in result.commits_since[:COMMITS_SHOWN]]
    shown = mrkdwn.fitting(items, mrkdwn.SECTION - 200)
    more = max(result.commits_since_count or 0, len(result.commits_since)) - len(shown)
    rest = [f"• and {min(more, 10**9)} more"] if more > 0 else []
    return [f"*{literal(title, 100)}*", *shown, *rest]


def _definition(result: DeploymentResult) -> list[str]:
    """What the task definition changed beside images: names, never values that may be secret."""
    changes = sentences.definition_changes(result)
    if not changes:
        return []
    items = [f"• {literal(line, 400)}" for line in changes[:CHANGES_SHOWN]]
    shown = mrkdwn.fitting(items, mrkdwn.SECTION - 200)
    rest = [f"• and {len(changes) - len(shown)} more"] if len(shown) < len(changes) else []
    return ["*Changed in the task definition, beside images*", *shown, *rest]


def _small_print(result: DeploymentResult) -> list[str]:
    parts = [mrkdwn.date(result.ended_at, wording.moment(result.ended_at))]
    if result.log_link:
        parts.append(mrkdwn.link(wording.tidy(result.log_link, 2000), "Log"))
    return [*parts, f"`{result.deployment_id}`"]


def _alert(notice: CloseNotice, alert: Alert) -> list[Block]:
    emoji = _OVER if alert.recovered else _ALERT_EMOJI.get(alert.kind, _TROUBLE)
    text = literal(wording.capital(wording.tidy(alert.text, 1500)), 2500)
    blocks = [mrkdwn.header(notice_text.headline(notice), emoji)]
    if text:
        blocks.append(mrkdwn.section([text]))
    return [*blocks, mrkdwn.context([mrkdwn.date(alert.at, wording.moment(alert.at))])]


def _uncoded(text: str) -> str:
    return text.replace("`", "'")
