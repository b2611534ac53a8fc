"""What a rollout is asked to do, what it says while it works, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol

Outcome = Literal[
    "succeeded",
    "unchanged",
    "registered",
    "rolled_back",
    "superseded",
    "crash_loop",
    "timed_out",
    "failed",
    "cancelled",
    "planned",
    "unwatched",
]
"""How our deployment ended, each a different thing.

* `succeeded`: our revision is the one that runs, steady.
* `unchanged`: what was asked for runs already, steady; nothing was changed.
* `registered`: no service was named; the revision is registered (and its task, if asked, ran).
* `rolled_back`: ECS (circuit breaker, alarm, or somebody's stop) or CodeDeploy took ours back;
  or somebody cancelled it, and what ran before runs again.
* `superseded`: another deployment took over from ours; it was left alone.
* `crash_loop`: the new tasks kept stopping until the time was up.
* `timed_out`: the service did not become steady in time, without its tasks stopping.
* `failed`: ECS, CodeDeploy or the pre-deploy task says that it failed.
* `cancelled`: somebody cancelled it before it touched the service.
* `planned`: a dry run; nothing was changed.
* `unwatched`: something failed after AWS was changed, and how it ends is not known. Only in
  `Unfinished.result`: `roll_out` never returns it.
"""

DONE: frozenset[str] = frozenset({"succeeded", "unchanged", "registered", "planned"})
"""The outcomes that are what was asked for."""

Step = Literal[
    "read", "verify", "register", "pre_deploy", "update", "wait", "drain", "smoke", "post_deploy",
    "bake", "rollback", "prune",
]  # fmt: skip


class Clock(Protocol):
    """The time; a test's clock jumps instead of waiting."""

    def now(self) -> float:
        """Seconds since the epoch, on a clock that never goes back (`clock.py`)."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, or raise NotNow where this process does not wait (`clock.py`)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long to wait, in seconds.

    `healthy` bounds the new tasks becoming healthy; `drain` the old ones going after that, and
    overrunning it never rolls back; `rollback` the previous revision becoming healthy again
    (time for which a lifecycle hook waits is not counted in any of them);
    `task` a task before or after the deployment, or a one-off one; `patience` how long a call that
    AWS throttles or that the network loses is tried again outside of a wait.
    """

    healthy: float = 1800.0
    drain: float = 900.0
    rollback: float = 900.0
    task: float = 1800.0
    patience: float = 60.0


@dataclass(frozen=True, kw_only=True)
class OneOffTask:
    """A task of the new revision, run once before the service changes, or once it is steady.

    `command` replaces the command of `container` (None: of the first essential container), and the
    exit codes of that one and of the essential ones count; an empty command runs the task as it is
    defined, and every container's counts. Unless `wait`, it is only started. Placement that is None
    is taken from the service.
    """

    command: tuple[str, ...] = ()
    container: str | None = None
    wait: bool = True
    launch_type: str | None = None
    platform_version: str | None = None
    network_configuration: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Smoke:
    """A request (GET) that the new version has to answer well, within so many seconds.

    `status`: those that are good. `contains`: a text that the answer's body has. `pattern`: the
    same, where `*` stands for any text.
    """

    url: str
    status: tuple[int, ...] = (200,)
    contains: str | None = None
    pattern: str | None = None
    within: float = 60.0


@dataclass(frozen=True, kw_only=True)
class CodeDeployGroup:
    """A CodeDeploy application and its deployment group.

    `hooks`: of the AppSpec, lifecycle event to Lambda function (name or ARN).
    """

    application: str
    name: str
    hooks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """A scheduled task: the ECS target of an EventBridge rule, or of an EventBridge Scheduler's
    schedule.

    `place`: the rule's event bus, or the schedule's group; None: the default one. `target`: its id
    among the rule's targets; None: the one of this `family`. `cluster`, `service`: whose revision
    it takes, where its family is a service's; None: it has a family of its own.
    """

    kind: Literal["rule", "schedule"]
    name: str
    family: str
    place: str | None = None
    target: str | None = None
    cluster: str | None = None
    service: str | None = None


@dataclass(frozen=True, kw_only=True)
class RolloutPlan:
    """One rollout, ready to run.

    What changes, one of: `images` (container to image reference), `image` (every container whose
    image has this repository), `tag` (of every container, or of `tag_containers`), `target` (an
    existing task definition to go to, or to follow if the service is on its way there), `force`
    (the same task definition again).

    `service` None: only register, from `base`. `base` is `service` (what the service runs),
    `family` (the newest revision of the service's family), `definition:<name>` (a family,
    family:revision or ARN), or a mapping: a task definition as `RegisterTaskDefinition` takes it
    or as `DescribeTaskDefinition` answers it, with or without `tags` beside it.

    `previous`: what to go back to, where the service itself can no longer say (an interrupted
    rollout that is followed). `max_definitions`: how many ACTIVE revisions to keep after a success;
    `discard_failed`: deregister a new revision that failed and does not run (`discarding.py`).
    `wait_drain` False: done when ECS counts the new tasks as healthy (see `health.py`).
    `code_deploy`: what deploys a CODE_DEPLOY service; None: it is looked for.

    Without a service, `scheduled` is a scheduled task whose target is set to the new revision (or
    to `target`), and `family` a task definition that is only registered; both can be taken back.
    `named_by`: the scheduled tasks that are asked whether they name a revision before it is
    deregistered.

    The proof after the deployment is steady (`afterwards.py`), in this order: `smoke`, `post_task`,
    `bake`: seconds for which none of the `alarms` (names of CloudWatch's) may go off. Alarms
    without `bake` are only looked for, before the service changes.
    """

    cluster: str | None = None
    service: str | None = None
    images: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    image: str | None = None
    tag: str | None = None
    tag_containers: tuple[str, ...] = ()
    target: str | None = None
    force: bool = False
    base: str | Mapping[str, Any] = "service"
    previous: str | None = None
    desired_count: int | None = None
    min_percent: int | None = None
    max_percent: int | None = None
    copy_tags: bool = True
    rollback: bool = True
    wait_drain: bool = True
    max_definitions: int | None = None
    discard_failed: bool = False
    task: OneOffTask | None = None
    code_deploy: CodeDeployGroup | None = None
    dry_run: bool = False
    timeouts: Timeouts = Timeouts()
    scheduled: Scheduled | None = None
    family: str | None = None
    named_by: tuple[Scheduled, ...] | None = None
    smoke: Smoke | None = None
    post_task: OneOffTask | None = None
    alarms: tuple[str, ...] | None = None
    bake: float | None = None

    @property
    def is_companion(self) -> bool:
        """Whether it is of a service's companion: a scheduled task, or a definition alone."""
        return self.scheduled is not None or self.family is not None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a rollout is. `revision` is family:revision, `task_definition` its ARN.

    Counts are of our deployment's tasks; `stage` is the lifecycle stage of a blue/green, linear,
    canary or CodeDeploy deployment; `waits` what keeps it from going on (a person at a hook, the
    reason why ECS cannot place a task, a health check); `elapsed` is seconds since the rollout
    began.
    """

    step: Step
    elapsed: float
    note: str = ""
    task_definition: str | None = None
    revision: str | None = None
    desired: int | None = None
    running: int | None = None
    pending: int | None = None
    failed: int | None = None
    stage: str | None = None
    waits: str = ""


@dataclass(frozen=True, kw_only=True)
class RolloutResult:
    """How a rollout ended. Task definitions are ARNs.

    `cause`: one sentence, with the stopped tasks' own reasons where it failed. `before`: what the
    service ran; `after`: what was to run; `running`: what runs *now* (None: not known).
    `restored`: whether the previous revision runs again, healthy; None: there was nothing to
    restore, or it was not to be. `drained`: whether the old tasks are gone; None: not applicable.
    `changes`: what differs from the base, one line each. `skipped`: checks that AWS denied or did
    not answer. `timings`: seconds by step.
    """

    outcome: Outcome
    cause: str
    before: str | None = None
    after: str | None = None
    running: str | None = None
    restored: bool | None = None
    drained: bool | None = None
    deployment: str | None = None
    deregistered: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether this is what was asked for."""
        return self.outcome in DONE


OnProgress = Callable[[Progress], None]
Guard = Callable[[], None]
Factory = Callable[[], Any]


def short(task_definition: str | None) -> str:
    """`family:revision` of a task definition's ARN, for people."""
    if not task_definition:
        return "nothing known"
    return task_definition.rpartition("task-definition/")[2]
