"""What a step of a rollout is given: what was seen at one moment, or what a change was answered.

Values: `looking.py` reads them. Each names the steps (of `state.py`) that take it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from slipway.rollout.finding import Finding
from slipway.rollout.health import TasksSeen
from slipway.rollout.judge import ServiceDeployment
from slipway.rollout.plan import CodeDeployGroup
from slipway.rollout.service import Service
from slipway.rollout.taskdef import Definition
from slipway.rollout.verify import Verified

if TYPE_CHECKING:
    from slipway.rollout.scheduled import Target


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What AWS answered to the step's change."""

    value: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Deregistered:
    """Which of the revisions `asked` are deregistered now, and what kept the rest."""

    asked: tuple[str, ...]
    revisions: tuple[str, ...]
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """AWS refused the step's look or change, where the rollout knows what to do then."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What the steps before the first change look at; members that a step does not need are None.

    `base`: what would register the base again; `base_arn`: None for a base from a file. `newest`:
    the same of the family's newest revision. `asks_ecr`: images can be looked for.
    """

    service: Service | None = None
    base: Definition | None = None
    base_arn: str | None = None
    asks_ecr: bool = False
    verified: Verified | None = None
    group: CodeDeployGroup | None = None
    newest: Definition | None = None
    newest_arn: str | None = None


@dataclass(frozen=True, kw_only=True)
class TaskToRun:
    """Of step `task`. `volumes`: as RunTask takes them."""

    definition: Definition
    service: Service | None
    volumes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TaskSeen:
    """Of step `task_wait`; None where ECS does not list the task (yet)."""

    task: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Of what there is right before the service changes.

    `known`: ARNs of its service deployments; `containers`: container to (image, digest) of what
    runs; `rollback_on`: the events on which CodeDeploy shall take its deployment back; `ours`: the
    id of a deployment that this rollout has set going already, though its answer was lost.
    """

    service: Service
    known: frozenset[str] = frozenset()
    containers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    rollback_on: tuple[str, ...] = ()
    ours: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeploymentSeen:
    """Of the steps that wait for a deployment. `tasks` None: they were not asked for."""

    service: Service
    ours: ServiceDeployment | None
    finding: Finding
    tasks: TasksSeen | None = None


@dataclass(frozen=True, kw_only=True)
class Reasons:
    """Of step `failed`: why tasks stopped."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ServiceSeen:
    """The service alone."""

    service: Service


@dataclass(frozen=True, kw_only=True)
class Pinnable:
    """Of step `pin`. `base`: what would register the previous task definition again."""

    base: Definition
    newest: Definition | None = None
    newest_arn: str | None = None


@dataclass(frozen=True, kw_only=True)
class Revisions:
    """Of steps `prune` and `discard`: the ACTIVE ones, and those that services of the cluster,
    scheduled tasks (and running tasks) name.
    """

    service: Service | None
    active: tuple[str, ...]
    used: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One look at a CodeDeploy deployment. `event`: the newest lifecycle event, with its status.

    `shifted`: traffic is at the new task set; `settled`: and the hook after that is over as well,
    so that only the old task set's going is left. `waits`: whose word it waits for, and until when.
    """

    status: str
    reason: str = ""
    rollback: str | None = None
    event: str = ""
    installed: bool = False
    shifted: bool = False
    settled: bool = False
    waits: str = ""


@dataclass(frozen=True, kw_only=True)
class TargetSeen:
    """Of the steps of companions of services. `target` None: there is none, for the reason `lacks`.

    `base`: what the new revision is made from; `newest`: the same of the family's newest revision
    (in a step that looks for one whose answer was lost). `wanted`: the revision that is there
    already, and that the target shall name.
    """

    target: Target | None = None
    lacks: str = ""
    base: Definition | None = None
    base_arn: str | None = None
    newest: Definition | None = None
    newest_arn: str | None = None
    wanted: str | None = None


@dataclass(frozen=True, kw_only=True)
class CodeDeploySeen:
    """Of the steps that wait for CodeDeploy."""

    seen: Watched


@dataclass(frozen=True, kw_only=True)
class SmokeSeen:
    """Of step `smoke`: one request. `told`: what was answered, as the end of a sentence."""

    ok: bool
    told: str


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm of CloudWatch's. `since`: when its state became this (None: not told)."""

    name: str
    state: str
    since: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class AlarmsSeen:
    """Of steps `alarms` and `bake`: those that there are.

    `followed`: the names of those that ECS or CodeDeploy itself takes a deployment back for.
    """

    alarms: tuple[Alarm, ...]
    followed: frozenset[str] = frozenset()
    service: Service | None = None


Kind = TypeVar("Kind")


def of_kind(kind: type[Kind], look: object) -> Kind:
    """`look`, which is of the kind that its step takes; TypeError for another."""
    if not isinstance(look, kind):
        raise TypeError(f"a {type(look).__name__} where a {kind.__name__} was to be looked at")
    return look


Look = (
    Answer | Deregistered | Refusal | Preparation | TaskToRun | TaskSeen | Survey | DeploymentSeen
    | Reasons | ServiceSeen | Pinnable | Revisions | CodeDeploySeen | TargetSeen | SmokeSeen
    | AlarmsSeen
)  # fmt: skip
