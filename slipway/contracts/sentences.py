"""What people read about a deployment or an alert: the same in Slack, e-mail and terminal. Pure.

Two durations have fixed names everywhere: *lead time* is commit time to steady, *push to steady* is
what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipway.contracts.build_steps import failed_step
from slipway.contracts.messages import (
    Alert,
    AlertKind,
    Commit,
    CompanionKind,
    DeploymentResult,
    ServiceOutcome,
)
from slipway.contracts.wording import (
    capital,
    counted,
    duration,
    person,
    short,
    short_digest,
    task_definition_name,
    tidy,
    tidy_log_line,
)

LOG_LINES = 20

STAGE_WORDS: Mapping[str, str] = {
    "received": "before the fetch",
    "fetch": "in the fetch",
    "build": "in the build",
    "test": "in the tests",
    "push": "in the push of its image",
    "register": "when its task definition was registered",
    "update": "when the service was updated",
    "wait": "in the rollout",
    "prove": "when it was proved",
    "rollout": "in the rollout",
    "record": "when its outcome was recorded",
    "close": "when its outcome was announced",
}
"""Where something happened, by stage."""

BEFORE_ROLLOUT = frozenset({"received", "fetch", "build", "test", "push", "register"})
"""Stages in which the service is not touched yet."""

_BY: Mapping[str, str] = {
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
    "awake_long": ("build host {} has been awake for a long time", "build host {} sleeps again"),
    "drift_skipped": (
        "the tip of {} cannot be read",
        "the tip of {} can be read again",
    ),
    "builders_refused": (
        "no build of CodeBuild works for {}",
        "builds of CodeBuild work for {} again",
    ),
    "builder_silent": (
        "the builder of {} gives no sign of getting on",
        "the builder of {} is over, or gets on again",
    ),
    "not_followed": ("the rollout of {} is not followed", "the rollout of {} is followed again"),
    "alarm": ("alarm {}", "alarm {} is over"),
}
"""By alert kind: what is wrong, and what is said when it is over; `{}` is the alert's subject."""


def deployed_thing(result: DeploymentResult) -> str:
    """`commit 0123abcd`, or what stands for it where no commit was known yet."""
    if result.commit:
        return f"commit {short(result.commit.id)}"
    return "an earlier deployment" if result.reason == "rollback" else "the branch's tip"


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
        case "superseded":
            return _superseded(result, thing)
        case "rolled_back":
            return f"{thing} {_taken_back(result, where)}"
        case "unchanged" if result.untouched_since:
            return f"{thing} touches none of the pipeline's paths{_recovery(result)}"
        case "unchanged":
            return f"{thing} changes nothing, its image runs already{_recovery(result)}"
    simply = {"failed": f"failed {where}", "cancelled": "was cancelled"}
    gave_up = "was given up on, its request is a dead letter now"
    return f"{thing} {simply.get(result.status, gave_up)}"


def _taken_back(result: DeploymentResult, where: str) -> str:
    if result.cancelled_by:
        return f"was cancelled {where} and rolled back"
    return f"failed {where} and was rolled back"


def cancelled_by(identity: str | None) -> str:
    """The cause of a deployment that an operator ended: `cancelled by ada`."""
    return f"cancelled by {person(identity or '') or 'an operator'}"


def _superseded(result: DeploymentResult, thing: str) -> str:
    if result.told_by:
        return f"{thing} was deployed by {result.told_by} already"
    by = "a newer push" if result.stage in BEFORE_ROLLOUT else "another deployment"
    return f"{thing} was superseded by {by}"


def _success(result: DeploymentResult, thing: str) -> str:
    how = {"rollback": " again (rollback)", "redeploy": " (redeployed)"}.get(result.reason, "")
    return f"{thing} is live{how}{_recovery(result)}"


def _recovery(result: DeploymentResult) -> str:
    if not recovered(result):
        return ""
    return f", after {counted(result.failures_before, 'failed deployment')}"


def runs_now(result: DeploymentResult) -> str:
    """One sentence with its full stop: which version the service runs when this is over."""
    return _services_run(result.services) if result.services else _service_alone_runs(result)


def _service_alone_runs(result: DeploymentResult) -> str:
    now = task_definition_name(result.now_running) if result.now_running else None
    new = result.task_definition_after
    if result.status in ("succeeded", "unchanged"):
        return _new_version_runs(result, now)
    if now is None:
        untouched = result.stage in BEFORE_ROLLOUT and new is None
        if untouched or result.status == "cancelled":
            return "The service was not touched: the previous version still runs."
        return "It is not known which version runs now."
    if result.status == "superseded":
        return f"{now} runs now."
    if new and task_definition_name(new) == now:
        return f"The new version was not taken back: {now} runs."
    again = "runs again" if result.status == "rolled_back" else "still runs"
    return f"The previous version {again}: {now}."


def _services_run(services: Sequence[ServiceOutcome]) -> str:
    """What several services run, as one sentence: all new, all old, or that it is otherwise."""
    all_of_them, every = _all_of(services), "service"
    if any(service.kind is not None for service in services):
        every = "service or scheduled task"
    runs = {service.runs for service in services}
    if runs == {"new"}:
        return f"{all_of_them} run{_s(services)} the new version."
    if runs == {"before"}:
        they = "it" if _s(services) else "they"
        return f"{all_of_them} run{_s(services)} what {they} ran before."
    if "unknown" in runs:
        return f"It is not known what every {every} runs now."
    if every == "service":
        return "The services do not run the same version."
    return "The services and scheduled tasks do not run the same version."


def _all_of(services: Sequence[ServiceOutcome]) -> str:
    """`Both services and the scheduled task`: whatever runs, so no definition alone."""
    alone = [service for service in services if service.kind is None]
    scheduled = [service for service in services if service.kind in ("rule", "schedule")]
    groups = ((alone, "service"), (scheduled, "scheduled task"))
    return capital(" and ".join(_each(len(group), word) for group, word in groups if group))


def _each(number: int, word: str) -> str:
    few = {1: f"the {word}", 2: f"both {word}s"}
    return few.get(number, f"all {number} {word}s")


def _s(services: Sequence[ServiceOutcome]) -> str:
    """The verb's ending where one thing alone runs."""
    return "s" if len([s for s in services if s.kind != "definition"]) == 1 else ""


def service_lines(result: DeploymentResult) -> tuple[str, ...]:
    """Each of several services, and what it runs now: `worker: worker:17, the version before`."""
    services = result.services or ()
    names = [(service.kind, service.service) for service in services]
    return tuple(
        f"{tidy(_service_name(service, names), 100)}: {_service_runs(service)}"
        for service in services
    )


COMPANIONS: Mapping[CompanionKind, str] = {
    "rule": "rule",
    "schedule": "schedule",
    "definition": "task definition",
}
"""What the companions of a pipeline's services are called."""


def _service_name(
    service: ServiceOutcome, names: Sequence[tuple[CompanionKind | None, str]]
) -> str:
    """With its cluster where another one has the same name."""
    is_alone = names.count((service.kind, service.service)) == 1
    return with_kind(
        service, service.service if is_alone else f"{service.cluster}/{service.service}"
    )


def with_kind(service: ServiceOutcome, name: str) -> str:
    """A name that tells a companion from a service: `rule nightly`."""
    return name if service.kind is None else f"{COMPANIONS[service.kind]} {name}"


def _service_runs(service: ServiceOutcome) -> str:
    now = task_definition_name(service.now) if service.now else None
    match service.runs:
        case "new":
            return f"{now}, the new version" if service.touched else f"{now}, as before"
        case "before":
            if now is None:
                return "was not touched"
            return f"{now}, the version before"
        case "other":
            return f"{now}, which is of neither this deployment nor the one before"
    after = f" ({task_definition_name(service.after)} was begun)" if service.after else ""
    return f"it is not known what runs{after}"


def _new_version_runs(result: DeploymentResult, now: str | None) -> str:
    if result.untouched_since:
        since = f"nothing of them has changed since commit {short(result.untouched_since)}"
        return f"{now or 'The same version'} still runs: {since}."
    parts = [part for part in (now, short_digest(result.image_digest or "")) if part]
    if not parts:
        return f"{capital(deployed_thing(result))} runs."
    image = f" ({parts[1]})" if len(parts) > 1 else ""
    return f"{parts[0]}{image} runs now."


def is_silent(result: DeploymentResult, *, told: bool) -> bool:
    """Nobody is told of a push that concerns another pipeline, unless people asked for that
    (`told`), or had heard of a failure before it.
    """
    return result.untouched_since is not None and not told and not recovered(result)


def who(result: DeploymentResult) -> str:
    """`Pushed by ada`; empty where nobody is known."""
    return asked_for(result.reason, result.pushed_by)


def asked_for(reason: str, identity: str) -> str:
    """Why a deployment began and who stands behind it: `Redeployed by ada`; empty if nobody is."""
    name = person(identity)
    if not name or name == "drift check":
        return "Found by the drift check" if reason == "drift" else ""
    return f"{_BY[reason]} {name}" if reason in _BY else name


def how_long(result: DeploymentResult) -> str:
    """`42 s in all, push to steady 48 s, lead time 2 h 5 min` (the last two after a success)."""
    parts = [f"{duration(result.ended_at - result.started_at)} in all"]
    if result.status == "succeeded" and result.reason in ("push", "drift"):
        if result.pushed_at is not None:
            parts.append(f"push to steady {duration(result.ended_at - result.pushed_at)}")
        if result.commit and result.commit.committed_at is not None:
            lead = duration(result.ended_at - result.commit.committed_at)
            parts.append(f"lead time {lead}")
    return ", ".join(parts)


def followed(by: str | None, next_look: float | None, now: float) -> str:
    """`followed by host i-0abc, next look in 12 s`; empty where nobody follows a rollout."""
    if by is None:
        return ""
    if next_look is None:
        return f"followed by {by}"
    left = next_look - now
    return f"followed by {by}, next look {f'in {duration(left)}' if left >= 1 else 'now'}"


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


def definition_changes(result: DeploymentResult) -> tuple[str, ...]:
    """What the new task definition changed beside its images, a tidied line each."""
    if result.status not in ("succeeded", "failed", "rolled_back", "cancelled", "gave_up"):
        return ()
    return tuple(tidy(line, 200) for line in result.definition_changes or ())


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


def step_to_tell(result: DeploymentResult) -> str | None:
    """The failed step of a failed build, unless the cause names it already."""
    if result.status != "failed" or result.stage != "build":
        return None
    step = failed_step(result.log_tail)
    named = step is not None and step.partition(" (line ")[0] in tidy(result.cause or "", 1000)
    return None if named else step


# --- an alert


def trouble(alert: Alert) -> str:
    """One sentence without a full stop: what is wrong, or that it is over."""
    wrong, over = _TROUBLE[alert.kind]
    return (over if alert.recovered else wrong).format(tidy(alert.subject, 120))
