"""What people read about a deployment or an alert: one wording for Slack, e-mail and terminal.

Pure functions from messages to plain sentences. Nothing here is escaped for Slack or coloured for a
terminal: who shows a sentence does that. Texts from outside (commit subjects, log lines, ARNs) pass
through `tidy`, so that every sentence is one readable line of bounded length.

Two durations have fixed names everywhere: *lead time* is commit time to steady, *push to steady* is
what it says.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from slipway.contracts.messages import (
    Alert,
    AlertKind,
    CloseNotice,
    Commit,
    DeploymentResult,
    Reason,
)

SUBJECT_LIMIT = 99
"""Characters: SNS asks for a subject of less than 100, ASCII, without line breaks (SNS Publish)."""
SHORT_COMMIT = 8
LINE_LIMIT = 300
LOG_LINES = 20
COMMITS_SHOWN = 10

STAGE_WORDS: Mapping[str, str] = {
    "received": "before the fetch",
    "fetch": "while fetching the branch",
    "build": "in the build",
    "push": "while pushing the image",
    "register": "while registering the task definition",
    "update": "while updating the service",
    "wait": "in the rollout",
    "rollout": "in the rollout",
    "record": "while recording the outcome",
    "close": "while announcing the outcome",
}
"""Where something happened, by stage."""

BEFORE_ROLLOUT = frozenset({"received", "fetch", "build", "push", "register"})
"""Stages in which the service is not touched yet."""

_BY: Mapping[Reason, str] = {
    "push": "Pushed by",
    "drift": "Found by the drift check, pushed by",
    "redeploy": "Redeployed by",
    "rollback": "Rolled back by",
}

_TROUBLE: Mapping[AlertKind, tuple[str, str]] = {
    "dead_letter": ("dead letter in {}", "no dead letters are left in {}"),
    "no_heartbeat": ("build host {} does not answer", "build host {} answers again"),
    "no_progress": ("build host {} makes no progress", "build host {} makes progress again"),
    "start_failed": ("build host {} could not be started", "build host {} starts again"),
    "awake_long": ("build host {} has been awake for long", "build host {} sleeps again"),
    "drift_skipped": (
        "the branch of {} cannot be looked at",
        "the branch of {} can be looked at again",
    ),
    "alarm": ("alarm {}", "alarm {} is over"),
}
"""By alert kind: what is wrong, and what is said when it is over; `{}` is the alert's subject."""

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_KEPT_FORMAT = {"\u200d", "\u200c"}  # joiners: emoji and some scripts need them
_ELLIPSIS = "…"


# --- pieces


def tidy(text: str, limit: int = LINE_LIMIT) -> str:
    """`text` as one line of at most `limit` characters.

    Control characters, nulls, lone surrogates and invisible direction marks go (a right-to-left
    override could turn the rest of the notice around); runs of white space become one space.
    """
    read = text[: limit * 8]
    plain = read.isascii() and read.isprintable()
    kept = read if plain else "".join(_visible(c) for c in read)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + _ELLIPSIS


def tidy_log_line(line: str, limit: int = LINE_LIMIT) -> str:
    """A line of a log: as `tidy`, but its indentation and inner spaces stay."""
    without_colours = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line[: limit * 8]).expandtabs(4)
    kept = "".join("" if c in "\r\n" else _visible(c) for c in without_colours).rstrip()
    return kept if len(kept) <= limit else kept[: limit - 1] + _ELLIPSIS


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) in _INVISIBLE and character not in _KEPT_FORMAT:
        return ""
    return character


def short(commit_id: str) -> str:
    return commit_id[:SHORT_COMMIT]


def short_digest(digest: str) -> str:
    """`sha256:0123456789ab`: enough to tell images apart, as docker shows them."""
    algorithm, colon, value = tidy(digest, 200).partition(":")
    return f"{algorithm}{colon}{value[:12]}"


def task_definition_name(arn: str) -> str:
    """`family:revision` of a task definition's ARN (or of a name that is one already)."""
    return tidy(arn.rpartition("/")[2], 280)


def person(identity: str) -> str:
    """Who an IAM ARN stands for: its last part (user or session name); other texts as they are."""
    name = tidy(identity, 120)
    return name.rpartition("/")[2] or name if name.startswith("arn:") else name


def duration(seconds: float) -> str:
    """`4.2 s`, `42 s`, `3 min 5 s`, `2 h 5 min`, `3 d 4 h`; negative (clocks differ): `0 s`."""
    if not seconds > 0:
        return "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(min(seconds, 1e12))
    for unit, name, part, part_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def moment(at: float) -> str:
    """`2026-11-21 10:29:07 UTC` of seconds since the epoch."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return "at an unknown time"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 commit`, `3 commits`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


# --- a deployment


def deployed_thing(result: DeploymentResult) -> str:
    """`commit 0123abcd`, or what stands for it where no commit was known yet."""
    return f"commit {short(result.commit.id)}" if result.commit else "the branch's tip"


def recovered(result: DeploymentResult) -> bool:
    """It went well after one or more deployments in a row that did not."""
    return result.failures_before > 0 and result.status in ("succeeded", "unchanged")


def what_happened(result: DeploymentResult) -> str:
    """One sentence without a full stop, without the pipeline's name: what became of the commit."""
    thing = deployed_thing(result)
    where = STAGE_WORDS[result.stage]
    match result.status:
        case "succeeded":
            return _success(result, thing)
        case "failed":
            return f"{thing} failed {where}"
        case "rolled_back":
            return f"{thing} failed {where} and was rolled back"
        case "superseded":
            return _superseded(result, thing)
        case "unchanged":
            prefix = _recovery(result)
            return f"{prefix}{thing} changes nothing: what it builds runs already"
    return f"gave up on {thing}: its request is a dead letter now"


def _superseded(result: DeploymentResult, thing: str) -> str:
    if result.told_by:
        return f"{thing} was deployed by {result.told_by} already"
    by = "a newer push" if result.stage in BEFORE_ROLLOUT else "another deployment"
    return f"{thing} was superseded by {by}"


def _success(result: DeploymentResult, thing: str) -> str:
    prefix = _recovery(result)
    if result.reason == "rollback":
        return f"{prefix}rolled back: {thing} is live again"
    if result.reason == "redeploy":
        return f"{prefix}redeployed: {thing} is live"
    return f"{prefix}{thing} is live"


def _recovery(result: DeploymentResult) -> str:
    if not recovered(result):
        return ""
    return f"recovered after {counted(result.failures_before, 'failed deployment')}: "


def runs_now(result: DeploymentResult) -> str:
    """One sentence with its full stop: which version the service runs when this is over."""
    now = task_definition_name(result.now_running) if result.now_running else None
    new = result.task_definition_after
    if result.status in ("succeeded", "unchanged"):
        return _new_version_runs(result, now)
    if now is None:
        if result.stage in BEFORE_ROLLOUT and new is None:
            return "The service was not touched: the previous version still runs."
        return "Which version runs now could not be read."
    if result.status == "superseded":
        return f"{now} runs now."
    if new and task_definition_name(new) == now:
        return f"The service is left on the new version, {now}."
    again = "runs again" if result.status == "rolled_back" else "still runs"
    return f"The previous version {again}: {now}."


def _new_version_runs(result: DeploymentResult, now: str | None) -> str:
    parts = [part for part in (now, short_digest(result.image_digest or "")) if part]
    if not parts:
        return f"{_capital(deployed_thing(result))} runs."
    image = f" ({parts[1]})" if len(parts) > 1 else ""
    return f"{parts[0]}{image} runs now."


def who(result: DeploymentResult) -> str:
    """`Pushed by ada`; empty where nobody is known."""
    name = person(result.pushed_by)
    if not name or name == "drift check":
        return "Found by the drift check" if result.reason == "drift" else ""
    return f"{_BY[result.reason]} {name}"


def how_long(result: DeploymentResult) -> str:
    """`42 s in all, 48 s push to steady, lead time 2 h 5 min` (the last two after a success)."""
    parts = [f"{duration(result.ended_at - result.started_at)} in all"]
    if result.status == "succeeded" and result.reason in ("push", "drift"):
        if result.pushed_at is not None:
            parts.append(f"{duration(result.ended_at - result.pushed_at)} push to steady")
        if result.commit and result.commit.committed_at is not None:
            lead = duration(result.ended_at - result.commit.committed_at)
            parts.append(f"lead time {lead}")
    return ", ".join(parts)


def by_stage(timings: Mapping[str, float]) -> str:
    """`fetch 0.4 s · build 31 s · push 2.0 s`, without stages that took no time worth telling."""
    told = {stage: seconds for stage, seconds in timings.items() if seconds >= 0.05}
    return " · ".join(f"{tidy(stage, 40)} {duration(s)}" for stage, s in told.items())


def commits_since(result: DeploymentResult) -> str:
    """`3 commits since the last deployment`; empty where that is not known or there is none."""
    count = result.commits_since_count
    if count is None:
        count = len(result.commits_since)
    return f"{counted(count, 'commit')} since the last deployment" if count > 0 else ""


def commit_line(commit: Commit, limit: int = 120) -> str:
    """`0123abcd Fix the basket (Ada)`."""
    author = f" ({tidy(commit.author, 60)})" if tidy(commit.author, 60) else ""
    return f"{short(commit.id)} {tidy(commit.subject, limit) or '(no subject)'}{author}"


def commit_link(template: str | None, commit_id: str) -> str | None:
    """Where a person reads the commit; `template` holds `{commit}` (nothing else is replaced)."""
    return template.replace("{commit}", commit_id) if template else None


def log_lines(result: DeploymentResult, limit: int = LOG_LINES) -> tuple[str, ...]:
    """The last `limit` lines of the failed stage's output, oldest first, tidied."""
    return tuple(tidy_log_line(line) for line in result.log_tail[-limit:])


# docker's ways to name a failing step: BuildKit's summary, its progress, the classic builder
_STEP_SUMMARY = re.compile(r"^\s*> \[(?:[^\]]*?\s)?(\d+/\d+)\]\s+(.+?):?\s*$")
_STEP_PROGRESS = re.compile(r"^#(\d+) \[(?:[^\]]*?\s)?(\d+/\d+)\]\s+(.+?)\s*$")
_STEP_FAILED = re.compile(r"^#(\d+) ERROR\b")
_STEP_ENDED = re.compile(r"^#(\d+) (?:DONE|CACHED|ERROR|CANCELED)\b")
_STEP_CLASSIC = re.compile(r"^Step (\d+/\d+) : (.+?)\s*$")
_STEP_LINE = re.compile(r"^(?:\S*/)?\S*Dockerfile\S*:(\d+)\s*$")


def failed_step(log: Iterable[str]) -> str | None:
    """The Dockerfile step that failed, e.g. `3/4 RUN make (line 7)`, as docker's output names it.

    None where the log does not name one (a failure before or after the steps).
    """
    lines = [line[:4000] for line in log]
    step = _summary_step(lines) or _progress_step(lines) or _classic_step(lines)
    if step is None:
        return None
    numbers = [m[1] for line in lines if (m := _STEP_LINE.match(line))]
    return tidy(step, 200) + (f" (line {numbers[-1]})" if numbers else "")


def unfinished_step(log: Iterable[str]) -> str | None:
    """The Dockerfile step that BuildKit's progress shows begun last and not ended, or None."""
    begun: dict[str, str] = {}
    for line in log:
        if header := _STEP_PROGRESS.match(line[:4000]):
            begun.pop(header[1], None)
            begun[header[1]] = f"{header[2]} {header[3]}"
        elif ended := _STEP_ENDED.match(line):
            begun.pop(ended[1], None)
    return tidy(list(begun.values())[-1], 200) if begun else None


def step_to_tell(result: DeploymentResult) -> str | None:
    """The failed step of a failed build, unless the cause names it already."""
    if result.status != "failed" or result.stage != "build":
        return None
    step = failed_step(result.log_tail)
    named = step is not None and step.partition(" (line ")[0] in tidy(result.cause or "", 1000)
    return None if named else step


def _summary_step(lines: list[str]) -> str | None:
    found = [f"{m[1]} {m[2]}" for line in lines if (m := _STEP_SUMMARY.match(line))]
    return found[-1] if found else None


def _progress_step(lines: list[str]) -> str | None:
    steps = {m[1]: f"{m[2]} {m[3]}" for line in lines if (m := _STEP_PROGRESS.match(line))}
    failed = [m[1] for line in lines if (m := _STEP_FAILED.match(line)) and m[1] in steps]
    return steps[failed[-1]] if failed else None


def _classic_step(lines: list[str]) -> str | None:
    found = [f"{m[1]} {m[2]}" for line in lines if (m := _STEP_CLASSIC.match(line))]
    return found[-1] if found else None


# --- an alert


def trouble(alert: Alert) -> str:
    """One sentence without a full stop: what is wrong, or that it is over."""
    wrong, over = _TROUBLE[alert.kind]
    return (over if alert.recovered else wrong).format(tidy(alert.subject, 120))


# --- a notice


def headline(notice: CloseNotice) -> str:
    """One line: the pipeline (or nothing, for an alert) and what happened."""
    if notice.result is not None:
        return f"{notice.result.pipeline}: {what_happened(notice.result)}"
    if notice.alert is not None:
        return _capital(trouble(notice.alert))
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
        lines += [_sentence(tidy(result.cause, 1000))]
    step = step_to_tell(result)
    if step:
        lines += [f"The Dockerfile's step {step} failed."]
    lines += [runs_now(result)]
    if result.warning:
        lines += [_sentence(f"Warning: {tidy(result.warning, 1000)}")]
    lines += [""]
    lines += _labelled(_facts(result, commit_url))
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
        ("Log", tidy(result.log_link or "", 2000)),
        ("Deployment", result.deployment_id),
    ]
    return [(label, value) for label, value in facts if value]


def _labelled(facts: list[tuple[str, str]]) -> list[str]:
    return [f"{label + ':' if label else '':<12}{value}" for label, value in facts]


def _listed(title: str, items: list[str]) -> list[str]:
    if not title or not items:
        return []
    more = len(items) - COMMITS_SHOWN
    shown = [f"  {item}" for item in items[:COMMITS_SHOWN]]
    return ["", f"{title}:", *shown, *([f"  and {more} more"] if more > 0 else [])]


def _alert_text(alert: Alert) -> list[str]:
    return [_sentence(tidy(alert.text, 2000)), "", *_labelled([("When", moment(alert.at))])]


def _sentence(text: str) -> str:
    return text if not text or text[-1] in ".!?…" else text + "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ascii(text: str) -> str:
    """Nearest printable ASCII: accents are dropped, whatever else is not ASCII becomes `?`."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    plain = plain.replace(_ELLIPSIS, "...")
    return "".join(c if " " <= c <= "~" else "?" for c in plain)
