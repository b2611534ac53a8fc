"""A notice as text: headline, an e-mail's subject and body, SNS's text by protocol. Pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence

from slipway.contracts.messages import Alert, CloseNotice, DeploymentResult
from slipway.contracts.sentences import (
    by_stage,
    commit_line,
    commit_link,
    commits_since,
    definition_changes,
    how_long,
    log_lines,
    runs_now,
    service_lines,
    step_to_tell,
    trouble,
    what_happened,
    who,
)
from slipway.contracts.wording import ELLIPSIS, LINE_LIMIT, capital, moment, sentence, tidy

SUBJECT_LIMIT = 99
"""Characters: SNS asks for a subject of less than 100, ASCII, without line breaks (SNS Publish)."""
ITEMS_SHOWN = 10


def headline(notice: CloseNotice) -> str:
    """One line: the pipeline (or nothing, for an alert) and what happened."""
    if notice.result is not None:
        return f"{notice.result.pipeline}: {what_happened(notice.result)}"
    if notice.alert is not None:
        return capital(trouble(notice.alert))
    return f"Build host {tidy(notice.host_id or '', 60)} is idle"


def subject(notice: CloseNotice) -> str:
    """The notice's SNS subject: at most 99 printable ASCII characters, one line."""
    text = headline(notice)
    result = notice.result
    if result and result.commit and tidy(result.commit.subject):
        text += f" - {tidy(result.commit.subject)}"
    line = " ".join(_ascii(text).split())
    return line if len(line) <= SUBJECT_LIMIT else line[: SUBJECT_LIMIT - 3].rstrip() + "..."


def plain_text(notice: CloseNotice, *, commit_url: str | None = None) -> str:
    """The notice as an e-mail's text. `commit_url`: the pipeline's template with `{commit}`."""
    if notice.result is not None:
        body = _deployment_text(notice.result, commit_url)
    elif notice.alert is not None:
        body = _alert_text(notice.alert)
    else:
        body = []
    return "\n".join([headline(notice) + ".", *body]) + "\n"


def texts_by_protocol(notice: CloseNotice, *, commit_url: str | None = None) -> str:
    """SNS Publish's Message for MessageStructure `json`: words for e-mail, JSON for all others."""
    email = plain_text(notice, commit_url=commit_url)
    return json.dumps({"default": notice.to_json(), "email": email})


def _deployment_text(result: DeploymentResult, commit_url: str | None) -> list[str]:
    lines: list[str] = []
    if result.cause:
        lines += [capital(sentence(tidy(result.cause, 1000)))]
    step = step_to_tell(result)
    if step:
        lines += [f"The Dockerfile's step {step} failed."]
    lines += [runs_now(result), *(f"  {line}" for line in service_lines(result))]
    if result.warning:
        lines += [sentence(f"Warning: {tidy(result.warning, 1000)}")]
    lines += [""]
    lines += _labelled(_facts(result, commit_url))
    lines += _listed("Changed in the task definition, beside images", definition_changes(result))
    lines += _listed(commits_since(result), [commit_line(c) for c in result.commits_since])
    if result.log_tail and result.status not in ("succeeded", "unchanged"):
        lines += ["", "Last lines of the log:", *(f"  {line}" for line in log_lines(result))]
    return lines


def _facts(result: DeploymentResult, commit_url: str | None) -> list[tuple[str, str]]:
    commit = result.commit
    link = commit_link(commit_url, commit.id) if commit else None
    facts = [
        ("Commit", commit_line(commit, LINE_LIMIT) if commit else ""),
        ("", link or ""),
        ("Who", who(result)),
        ("When", moment(result.ended_at)),
        ("How long", how_long(result)),
        ("By stage", by_stage(result.timings)),
        ("Tests", tidy(result.tests or "", 1000)),
        ("Log", tidy(result.log_link or "", 2000)),
        ("Deployment", result.deployment_id),
    ]
    return [(label, value) for label, value in facts if value]


def _labelled(facts: list[tuple[str, str]]) -> list[str]:
    return [f"{label + ':' if label else '':<12}{value}" for label, value in facts]


def _listed(title: str, items: Sequence[str]) -> list[str]:
    if not title or not items:
        return []
    more = len(items) - ITEMS_SHOWN
    shown = [f"  {item}" for item in items[:ITEMS_SHOWN]]
    return ["", f"{title}:", *shown, *([f"  and {more} more"] if more > 0 else [])]


def _alert_text(alert: Alert) -> list[str]:
    return [capital(sentence(tidy(alert.text, 2000))), "", *_labelled([("When", moment(alert.at))])]


def _ascii(text: str) -> str:
    """Nearest printable ASCII: accents are dropped, whatever else is not ASCII becomes `?`."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    plain = plain.replace(ELLIPSIS, "...")
    return "".join(c if " " <= c <= "~" else "?" for c in plain)
