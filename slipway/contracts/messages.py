"""The messages between Slipway's parts (`DESIGN` words: build request, close notice).

Every time is in seconds since the epoch (UTC); every duration in seconds. A message is JSON with a
`schema` version; reading one that is not exactly what is described here raises InvalidMessage.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from slipway.contracts.codec import compact, decode, matching
from slipway.contracts.errors import InvalidMessage

SCHEMA = 1

PIPELINE_NAME = r"[a-z][a-z0-9-]{0,39}"
COMMIT_ID = r"[0-9a-f]{40}|[0-9a-f]{64}"
REQUEST_ID = r"[0-9a-f]{32}"
DEPLOYMENT_ID = r"[a-z][a-z0-9-]{0,39}-[0-9]{14}-[0-9a-f]{6}"

Reason = Literal["push", "drift", "redeploy", "rollback"]
Status = Literal[
    "succeeded", "failed", "rolled_back", "superseded", "unchanged", "gave_up", "cancelled"
]
"""`cancelled`: an operator ended it before anything of it had touched the service."""
Stage = Literal[
    "received",
    "fetch",
    "build",
    "test",
    "push",
    "register",
    "update",
    "wait",
    "prove",
    "rollout",
    "record",
    "close",
]
Runs = Literal["new", "before", "other", "unknown"]
"""What one service of several runs when its deployment is over: the new version, what it ran
before, what somebody else has given it; or it is not known.
"""
AlertKind = Literal[
    "dead_letter",
    "no_heartbeat",
    "no_progress",
    "start_failed",
    "awake_long",
    "drift_skipped",
    "not_followed",
    "builders_refused",
    "builder_silent",
    "alarm",
]

SILENT = "silent"
"""The SNS attribute of an outcome that nobody is to be told of: e-mail addresses do not get it."""

M = TypeVar("M")


def request_id_of(event_id: str, reference: str, commit_id: str) -> str:
    """The id of the request that an event causes: a repeated event gives the same one.

    32 hexadecimal characters; also the correlation id of every log line about the request.
    """
    text = "\n".join((event_id, reference, commit_id))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a request wants to run: the branch's tip, a named commit, or an earlier deployment."""

    kind: Literal["tip", "commit", "deployment"]
    commit_id: str | None = matching(COMMIT_ID, default=None)
    deployment_id: str | None = matching(DEPLOYMENT_ID, default=None)

    def __post_init__(self) -> None:
        needed = {"tip": None, "commit": "commit_id", "deployment": "deployment_id"}[self.kind]
        for name in ("commit_id", "deployment_id"):
            if (getattr(self, name) is not None) != (name == needed):
                wanted = "is missing" if name == needed else "is not allowed"
                raise InvalidMessage(f"target.{name}", f"{wanted} for a target {self.kind!r}")


TIP = Target(kind="tip")


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """'This pipeline should run its tip' (or a commit, or what an earlier deployment ran).

    `commit_id` is the commit that the push event named: a hint, what is built is the tip at fetch.
    Only tip requests supersede, and only tip requests.
    """

    request_id: str = matching(REQUEST_ID)
    pipeline: str = matching(PIPELINE_NAME)
    target: Target = TIP
    commit_id: str | None = matching(COMMIT_ID, default=None)
    pushed_by: str
    pushed_at: float
    reason: Reason
    force_rebuild: bool = False
    schema: int = SCHEMA

    @property
    def is_tip(self) -> bool:
        return self.target.kind == "tip"

    def to_json(self) -> str:
        return compact(self)

    @classmethod
    def from_json(cls, text: str) -> BuildRequest:
        return _from_json(cls, text)


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit as people read it. `subject` is the first line, as git gives it, not escaped."""

    id: str = matching(COMMIT_ID)
    author: str = ""
    subject: str = ""
    committed_at: float | None = None


CompanionKind = Literal["rule", "schedule", "definition"]
"""What a pipeline has beside its services, its companions: scheduled tasks, definitions alone."""


@dataclass(frozen=True, kw_only=True)
class ServiceOutcome:
    """One service of several when its deployment is over; task definitions are family:revision.

    `before`: what it ran; `after`: what it was to run; `now`: what it runs (None: not known).
    `touched`: False: nothing of it was changed. With a `kind` it is no service: `service` is then
    the name of a rule or a schedule, `cluster` the event bus or the group, and `now` what it would
    run; or `service` is a family, and `now` its newest revision.
    """

    cluster: str
    service: str
    before: str | None = None
    after: str | None = None
    now: str | None = None
    touched: bool = True
    kind: CompanionKind | None = None

    @property
    def runs(self) -> Runs:
        """Which of its versions runs now."""
        if self.now is None:
            return "unknown" if self.touched else "before"
        if self.now == self.after:
            return "new"
        return "before" if self.now == self.before else "other"


@dataclass(frozen=True, kw_only=True)
class DeploymentResult:
    """How one deployment ended.

    `timings`: seconds by stage. `settles`: how many requests end with it. `now_running`: the task
    definition (family:revision) that the service runs when the deployment is over. `log_tail`: the
    last lines of the failed stage's output, oldest first. `warning`: a sentence without a full stop
    on what is not as one may think, however it ended. `tests`: what the reports of the tests say,
    such as `416 passed, 2 skipped`. `told_by`: the deployment whose notice told
    of this push already: this one is `superseded` by it, and nobody is told again. `cancelled_by`:
    who asked with `slipway cancel` that it ends (it may have ended otherwise before that).
    `definition_changes`: what the new task definition changed beside its images, a line each,
    without values; None: only images were to change. Of several services each line begins with its
    service's name.
    `untouched_since`: this one is `unchanged` because nothing under the pipeline's paths differs
    from that commit: nothing was built.
    `services`: each service of a pipeline of several; the task definitions above then name all of
    them, joined by commas, in this order. None: there is one.
    """

    deployment_id: str = matching(DEPLOYMENT_ID)
    pipeline: str = matching(PIPELINE_NAME)
    status: Status
    stage: Stage
    reason: Reason
    settles: int = 1
    request_id: str = matching(REQUEST_ID)
    commit: Commit | None = None
    pushed_by: str = ""
    pushed_at: float | None = None
    started_at: float
    ended_at: float
    image_digest: str | None = None
    task_definition_before: str | None = None
    task_definition_after: str | None = None
    now_running: str | None = None
    timings: dict[str, float] = field(default_factory=dict)
    cause: str | None = None
    warning: str | None = None
    tests: str | None = None
    log_tail: tuple[str, ...] = ()
    log_link: str | None = None
    commits_since: tuple[Commit, ...] = ()
    commits_since_count: int | None = None
    failures_before: int = 0
    told_by: str | None = None
    cancelled_by: str | None = None
    services: tuple[ServiceOutcome, ...] | None = None
    definition_changes: tuple[str, ...] | None = None
    untouched_since: str | None = matching(COMMIT_ID, default=None)
    schema: int = SCHEMA


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Trouble that a person should know of, or (`recovered`) that it is over.

    `subject` is what it is about (a host, a queue, a pipeline): kind + subject is one alert.
    """

    kind: AlertKind
    subject: str
    text: str
    at: float
    recovered: bool = False


@dataclass(frozen=True, kw_only=True)
class CloseNotice:
    """What is said on SNS close: a deployment's outcome, 'this host is idle', or an alert.

    `boot` is the host's launch time as the host knows it, `idle_number` counts its idle periods:
    together they let the stopper see that a notice is late. SNS attributes for filters:
    `kind`, `status`, `pipeline` (see `attributes`).
    """

    kind: Literal["deployment", "idle", "alert"]
    notice_id: str = matching(r"[A-Za-z0-9:_./-]{1,200}")
    host_id: str | None = None
    boot: str | None = None
    idle_number: int | None = None
    result: DeploymentResult | None = None
    alert: Alert | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        needed = {"deployment": ("result",), "idle": ("host_id", "boot", "idle_number")}
        for name in needed.get(self.kind, ("alert",)):
            if getattr(self, name) is None:
                raise InvalidMessage(name, f"is missing for a notice {self.kind!r}")

    @property
    def attributes(self) -> dict[str, str]:
        """What subscriptions filter on."""
        values: dict[str, str] = {"kind": self.kind}
        if self.result is not None:
            values |= {"status": self.result.status, "pipeline": self.result.pipeline}
        return values

    def to_json(self) -> str:
        return compact(self)

    @classmethod
    def from_json(cls, text: str) -> CloseNotice:
        return _from_json(cls, text)


@dataclass(frozen=True, kw_only=True)
class FollowMessage:
    """On the follow queue: 'look at this deployment's rollout'.

    `step`: of which step this is the continuation; another step was taken if the row's is not this
    one any more, and then the message is over. None: look now, if nobody else does.
    """

    deployment_id: str = matching(DEPLOYMENT_ID)
    step: int | None = None
    schema: int = SCHEMA

    def to_json(self) -> str:
        return compact(self)

    @classmethod
    def from_json(cls, text: str) -> FollowMessage:
        return _from_json(cls, text)


def sns_attributes(values: dict[str, str]) -> dict[str, dict[str, str]]:
    """`values` in the shape of SNS Publish's MessageAttributes."""
    return {k: {"DataType": "String", "StringValue": v} for k, v in values.items()}


def _from_json(cls: type[M], text: str) -> M:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage("$", f"is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidMessage("$", "must be an object")
    if data.get("schema") != SCHEMA or isinstance(data.get("schema"), bool):
        raise InvalidMessage("schema", f"{data.get('schema')!r} is unknown; known: {SCHEMA}")
    return decode(cls, data)
