"""What a rollout knows between two steps: a value that outlives the process.

It is JSON (`saved.py`), some kilobytes, and holds no credential. Task definitions are ARNs, times
are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeVar

from slipway.rollout.actions import Action, Change
from slipway.rollout.finding import Finding
from slipway.rollout.health import Proof
from slipway.rollout.plan import CodeDeployGroup, Outcome, RolloutPlan, RolloutResult
from slipway.rollout.plan import Step as Told
from slipway.rollout.watch import Watch

Value = TypeVar("Value")

VERSION = 1
"""Of the form of `RolloutState`; one that is not known is never read (`saved.py`)."""

StepName = Literal[
    "read", "target", "base", "verify", "group", "register", "task", "task_wait", "survey",
    "update",
    "wait", "failed", "agree", "wait_stopped", "pin", "survey_back", "update_back", "wait_back",
    "settings", "prune", "discard",
    "create", "codedeploy_wait", "codedeploy_stop", "codedeploy_back", "codedeploy_end",
    "cancel_task", "cancel_update", "cancel_create",
    "sight", "aim", "aim_register", "aim_put", "aim_back", "aim_cancel", "aim_unregister",
    "alarms", "smoke", "post_task", "post_task_wait", "cancel_post_task", "bake",
    "over",
]  # fmt: skip
"""Where a rollout stands: what it looks at next, and which function of `advance.py` takes that."""


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A change that was begun: written before the call, taken off by its answer."""

    operation: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Place:
    """The service, as ECS names it (ARNs of service and cluster), and its controller."""

    service: str
    name: str
    cluster: str
    controller: str


@dataclass(frozen=True, kw_only=True)
class Before:
    """What ran before: all that going back needs.

    `deployments`: ids of the service's; `service_deployments`: ARNs; `settings`: its count and
    percentages; `containers`: container to (image, digest), where the task definition does not say
    it (a forced deployment of a moving tag).
    """

    deployments: frozenset[str] = frozenset()
    service_deployments: frozenset[str] = frozenset()
    settings: Mapping[str, int] = field(default_factory=dict)
    containers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TaskUnderWay:
    """The one-off task; the exit codes of the containers `counted` count (None: all).

    `done`: it ended well, or was started where nobody waits for it.
    """

    arn: str
    begun: float
    counted: frozenset[str] | None = None
    done: bool = False


@dataclass(frozen=True, kw_only=True)
class Proving:
    """How far the proof after the deployment is.

    `begun`: the part under way; `task`: the one after the deployment; `judged`: the alarms that
    are, None: not known yet; `odd`: looks in a row at which another revision was primary.
    """

    begun: float
    task: TaskUnderWay | None = None
    judged: tuple[str, ...] | None = None
    odd: int = 0


@dataclass(frozen=True, kw_only=True)
class Following:
    """A deployment that is followed, and what was seen of it."""

    watch: Watch
    finding: Finding = field(default_factory=Finding)
    proof: Proof = field(default_factory=Proof)


@dataclass(frozen=True, kw_only=True)
class CodeDeployWatch:
    """The same of a deployment of CodeDeploy's. `waited`: seconds for which a person was waited.

    `until`: how long its stop or its own rollback is waited for; `rollback`: that one's id.
    """

    begun: float
    last: float
    installed_at: float | None = None
    waited: float = 0.0
    until: float = 0.0
    rollback: str | None = None
    outcome: Outcome | None = None
    cause: str = ""
    drained: bool | None = None
    restored: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How our deployment failed. `told`: the cause with the tasks' own reasons; `said`: by ECS.

    `running`: the primary deployment's task definition at that moment.
    """

    outcome: Outcome
    cause: str
    running: str
    told: str = ""
    said: str | None = None
    drained: bool | None = None
    healthy: bool = False


@dataclass(frozen=True, kw_only=True)
class Back:
    """The way back. `looks`: how often another primary deployment was seen; `target`: where to.

    `updates`: by an update rather than by ECS itself; `known`: ids of the deployments before that;
    `service_deployments`: ARNs. `superseded`: somebody else has
    taken over meanwhile.
    """

    target: str
    looks: int = 0
    updates: bool = False
    known: frozenset[str] = frozenset()
    service_deployments: frozenset[str] = frozenset()
    superseded: bool = False


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A scheduled task's target as it was read. `seen`: a checksum of all but what it names.

    `undated`: AWS takes the schedule's start date no more, for it is past.
    """

    seen: str
    undated: bool = False


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """Who wants the rollout cancelled, and since when it goes that way."""

    by: str
    at: float


@dataclass(frozen=True, kw_only=True)
class RolloutState:
    """One rollout. `id`: its own, also RunTask's client token and CreateDeployment's description.

    `look_at`: not before then is looked again. `base`: what the new revision is made from;
    `before`: what the service ran; `after`: what is to run; `back_to`: what it is being rolled back
    to; `deployment`: ECS's or CodeDeploy's id of ours. `intent`: the change under way; `taken`:
    those that AWS took, `unsure`: those whose answer was lost. `deregistering`: the revisions to
    deregister. `ending`: the result, where something is left to do after it; `result`: it is over.
    `found_made`: a companion's changes whose answer was lost, and that were seen to be made.
    `proving`: the proof after the deployment; then `ending` is the success that is to be proved.
    `undoes`: the success that another deployment of CodeDeploy's takes back (`undoing.py`).
    `told`: the step that was told last, at `told_at`; `line`: a checksum of the last line.
    """

    id: str
    plan: RolloutPlan
    begun: float
    step: StepName
    version: int = VERSION
    look_at: float = 0.0
    place: Place | None = None
    base: str | None = None
    before: str | None = None
    after: str | None = None
    back_to: str | None = None
    deployment: str | None = None
    was: Before = field(default_factory=Before)
    group: CodeDeployGroup | None = None
    task: TaskUnderWay | None = None
    following: Following | None = None
    codedeploy: CodeDeployWatch | None = None
    failure: Failure | None = None
    back: Back | None = None
    aim: Aim | None = None
    cancelled: Cancelled | None = None
    undoes: RolloutResult | None = None
    found_made: tuple[str, ...] | None = None
    deregistering: tuple[str, ...] = ()
    intent: Intent | None = None
    taken: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    ending: RolloutResult | None = None
    result: RolloutResult | None = None
    told: Told | None = None
    told_at: float = 0.0
    line: int = 0
    timings: Mapping[str, float] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    proving: Proving | None = None

    @property
    def registers(self) -> bool:
        """Whether the rollout is of a new revision, rather than of one that is there."""
        plan = self.plan
        of_service = plan.scheduled is not None and plan.scheduled.service is not None
        return not plan.force and plan.target is None and not of_service


class Next(NamedTuple):
    """What is looked at next (`look`: the step that takes it), and not before when."""

    look: StepName
    at: float


class Advanced(NamedTuple):
    """One step taken: what is known now, what is to be done, what is looked at after that.

    At most one action is a Change: its answer comes instead of the look.
    """

    state: RolloutState
    actions: tuple[Action, ...]
    next: Next


def sure(value: Value | None) -> Value:
    """A member of the state that is set in the step that asks for it."""
    if value is None:
        raise ValueError("the rollout's state lacks what its step needs")
    return value


def next_look(state: RolloutState) -> Next:
    """What `state` waits for: all that a new process needs to know to go on."""
    return Next(state.step, state.look_at)


def started_by(token: str) -> str:
    """What is written on a one-off task, so that it is found again (`startedBy` of RunTask).

    `token`: its client token: of the task before the deployment the rollout's id.
    """
    return f"slipway/{token}"


def post_token(state: RolloutState) -> str:
    """The client token of the task after the deployment."""
    return f"{state.id}p"


def made(state: RolloutState) -> frozenset[str]:
    """The changes that AWS took, or may have."""
    return frozenset({*state.taken, *state.unsure, *(state.found_made or ())})


def unsure_of_intent(state: RolloutState) -> RolloutState:
    """`state` where nothing else is left of it: a change under way may have been taken."""
    if state.intent is None or state.intent.operation in state.unsure:
        return state
    return replace(state, unsure=(*state.unsure, state.intent.operation))


def on(state: RolloutState, *actions: Action) -> Advanced:
    """`state` with `actions` to be carried out."""
    return Advanced(state, actions, next_look(state))


def intend(state: RolloutState, now: float, *actions: Action) -> Advanced:
    """The same, with the intent of the change among `actions` written down."""
    (change,) = [action for action in actions if isinstance(action, Change)]
    return on(replace(state, intent=Intent(operation=change.operation, at=now)), *actions)
